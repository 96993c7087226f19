"""Which cases are learned from and which are kept to measure on: split by time only; pure.

    first ... moments a week apart ... cut ......... until
              training cases           | held-out cases: state frozen at the cut
              training cases ........................ (refit, after measuring)

The gap between state and purchase is the same when training, when measuring and when serving, as
far as the schedule does not say that the state follows the held-out cases.
Shoppers whose whole life lies within the gap are learned from with a state of the moment before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.popularity import DAY_SECONDS
from reranker.learning import cases as making
from reranker.learning import judged as judging
from reranker.learning import known_items
from reranker.learning.cases import Case, LoggedSearch, Sampling
from reranker.learning.judged import Grades
from reranker.learning.position_bias import NO_CORRECTION, PositionBias, harvest
from reranker.learning.schedule import Schedule

HELD_OUT_SHARE_MAX = 0.25
HELD_OUT_PURCHASES_SHARE = 0.1
WARM_UP_SHARE = 0.2


@dataclass(frozen=True)
class Plan:
    """Cases by use; `at` are the moments they number, `cut` one of them.

    Clicks that are trained on are weighted against `position_bias`, those measured on are not.
    `probes` are measured on beside them: what no behaviour may spoil, as of the cut.
    """

    at: list[float]
    cut: float
    train: list[Case]
    held_out: list[Case]
    late: list[Case]
    position_bias: PositionBias = NO_CORRECTION
    probes: list[Case] = field(default_factory=list)

    @property
    def queries(self) -> list[str]:
        """Every distinct query, in order of first use."""
        every = [*self.train, *self.held_out, *self.late, *self.probes]
        return list(dict.fromkeys(case.query for case in every))

    @property
    def tables_at(self) -> list[int]:
        """The moment that is the cut: the table of the measured model is of then."""
        return [self.at.index(self.cut)]


def plan(
    events: Sequence[BehaviourEvent],
    searches: Sequence[LoggedSearch],
    titles: Mapping[str, str],
    schedule: Schedule,
    judged: Grades | None = None,
) -> Plan | None:
    """The plan for `events` in time order, with `judged` queries beside what it says of them; None
    where they span no time to split.
    """
    first, until = events[0].timestamp, events[-1].timestamp
    cut = cut_of(events, schedule)
    at = moments_of(events, cut, schedule)
    if cut >= until or at[0] >= cut:
        return None
    sampling = Sampling(
        cases=schedule.cases, gap_days_max=schedule.gap_days_max, strangers=schedule.strangers
    )
    bias = _position_bias(events, searches, cut, schedule)
    train = _train(events, searches, titles, at, cut, sampling, schedule, bias)
    held_out = _held_out(events, searches, titles, at, cut, sampling, schedule)
    late = _late(events, searches, titles, at, cut, until - first, sampling, schedule, bias)
    found = judging.cases(judged or {}, at, at.index(cut), schedule)
    train += found.train
    late += found.late
    known = known_items.cases(titles, at, at.index(cut), train, late, schedule.seed + 4)
    return Plan(
        at=at,
        cut=cut,
        train=_sorted([*train, *known.train]),
        held_out=_sorted([*held_out, *found.held_out]),
        late=_sorted([*late, *known.late]) if schedule.refit else [],
        position_bias=bias,
        probes=known.probes,
    )


def _position_bias(
    events: Sequence[BehaviourEvent],
    searches: Sequence[LoggedSearch],
    cut: float,
    schedule: Schedule,
) -> PositionBias:
    """As the days before the cut tell it."""
    if schedule.position_bias == "none":
        return NO_CORRECTION
    early = [search for search in searches if search.time <= cut]
    return harvest(making.impressions(early, (e for e in events if e.timestamp <= cut)))


def cut_of(events: Sequence[BehaviourEvent], schedule: Schedule) -> float:
    """When the held-out time of `events` in time order begins, seconds since the epoch.

    Some days before the end, more where those days hold too few purchases to measure on.
    """
    first, until = events[0].timestamp, events[-1].timestamp
    bought = [e.timestamp for e in events if e.action == "purchase"]
    few = min(2 * schedule.held_out_cases, int(HELD_OUT_PURCHASES_SHARE * len(bought)))
    reach = until - bought[-few] if few else 0.0
    held_out = max(schedule.held_out_days * DAY_SECONDS, reach)
    return until - min(held_out, (until - first) * HELD_OUT_SHARE_MAX)


def moments_of(events: Sequence[BehaviourEvent], cut: float, schedule: Schedule) -> list[float]:
    """The moments whose state is learned from, `cut` one of them, seconds since the epoch."""
    first, until = events[0].timestamp, events[-1].timestamp
    start = first + WARM_UP_SHARE * (until - first)
    return sorted({*_moments(start, cut, until, schedule), *_lively(events, start, schedule)})


def _lively(events: Sequence[BehaviourEvent], start: float, schedule: Schedule) -> Sequence[float]:
    """Moments just before purchases, denser where more is bought."""
    bought = [e.timestamp for e in events if e.action == "purchase" and e.timestamp > start]
    step = -(-len(bought) // schedule.lively_moments) or 1
    return [float(np.nextafter(time, -np.inf)) for time in bought[::step]]


def _moments(start: float, cut: float, until: float, schedule: Schedule) -> list[float]:
    """Moments from `start` to `cut`, at most `moments_max`, and on with the same step."""
    spacing = schedule.moment_spacing_days * DAY_SECONDS
    spacing = min(spacing, max((cut - start) / 2, 1.0))
    spacing = max(spacing, (until - start) / schedule.moments_max)
    before = making.moments(start, cut, spacing / DAY_SECONDS)
    after = [cut + k * spacing for k in range(1, int((until - cut) / spacing) + 1)]
    return [*before, *(time for time in after if time < until)]


def _train(
    events: Sequence[BehaviourEvent],
    searches: Sequence[LoggedSearch],
    titles: Mapping[str, str],
    at: Sequence[float],
    cut: float,
    sampling: Sampling,
    schedule: Schedule,
    bias: PositionBias,
) -> list[Case]:
    before = [e for e in events if e.timestamp <= cut]
    early = [time for time in at if time < cut]
    found = making.derived(before, titles, early, sampling, schedule.seed)
    searched = [s for s in searches if s.time <= cut]
    return _sorted([*found, *making.logged(searched, before, early, bias)])


def _held_out(
    events: Sequence[BehaviourEvent],
    searches: Sequence[LoggedSearch],
    titles: Mapping[str, str],
    at: Sequence[float],
    cut: float,
    sampling: Sampling,
    schedule: Schedule,
) -> list[Case]:
    """Measured with the state of the cut; shoppers who came later with their own of that moment,
    and all lists where the schedule says so.
    """
    moment, follows = at.index(cut), schedule.held_out_state == "moment"
    fewer = replace(
        sampling,
        cases=schedule.held_out_cases,
        recency_half_life_days=1e6,
        frozen=True,
        follows=follows,
    )
    found = making.derived(events, titles, at[moment:], fewer, schedule.seed + 1, since=cut)
    searched = [s for s in searches if s.time > cut]
    later = [e for e in events if e.timestamp > cut]
    found += making.logged(searched, later, at[moment:] if follows else [cut])
    return _sorted([replace(case, moment=moment + case.moment) for case in found])


def _late(
    events: Sequence[BehaviourEvent],
    searches: Sequence[LoggedSearch],
    titles: Mapping[str, str],
    at: Sequence[float],
    cut: float,
    span: float,
    sampling: Sampling,
    schedule: Schedule,
    bias: PositionBias,
) -> list[Case]:
    """What the refit learns beside the training cases: as dense in time as those."""
    if not schedule.refit:
        return []
    share = (events[-1].timestamp - cut) / max(span * (1 - WARM_UP_SHARE), 1.0)
    cases = max(round(2 * share * sampling.cases), 1)
    dense = replace(sampling, cases=cases)
    found = making.derived(events, titles, at, dense, schedule.seed + 2, since=cut)
    searched = [s for s in searches if s.time > cut]
    return _sorted([*found, *making.logged(searched, events, at, bias)])


def _sorted(found: Sequence[Case]) -> list[Case]:
    return sorted(found, key=lambda case: (case.moment, case.time))
