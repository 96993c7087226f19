"""What recommendations learn from: visits of known shoppers, ranked as they were before; pure.

A visit is a basket, or deeds of one shopper without a pause. What was done in it from some deed on
is what a list without a query should have shown just before: half of the cases stand at its
beginning, the others in its midst. Some start from items that were in it, as the page of an item or
a cart does.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.popularity import KIND_OF_ACTION, VIEW
from reranker.learning import cases as making
from reranker.learning.cases import Case, Labels, Sampling
from reranker.learning.plan import Plan, cut_of, moments_of
from reranker.learning.schedule import Schedule

PAUSE_SECONDS = 1800.0  # what ends a visit, as web analytics count
MIDST_SHARE = 0.5
SEEDED_SHARE = 0.3
SEEDS_MAX = 3
TIMES_MAX = 8  # how often one visit is learned from, entered anew each time
LATE_DENSITY = 2.0  # cases a visit of the held-out days in the refit, against those before
# How often the state is at most so many days old, as it is served; else as stale as a search's.
FRESH_SHARE, FRESH_DAYS = 0.5, 3.0


@dataclass(frozen=True)
class Visit:
    """What a shopper (a pseudonym; None: not known) did in a row, oldest first."""

    user: str | None
    deeds: tuple[BehaviourEvent, ...]

    @property
    def begun(self) -> float:
        """Seconds since the epoch."""
        return self.deeds[0].timestamp

    def entered(self, random: np.random.Generator) -> "Visit":
        """The visit from its beginning or, as often, from one of its later moments on."""
        later = sorted({deed.timestamp for deed in self.deeds})[1:]
        if not later or random.random() >= MIDST_SHARE:
            return self
        since = later[int(random.integers(len(later)))]
        return Visit(self.user, tuple(deed for deed in self.deeds if deed.timestamp >= since))


def visits(events: Iterable[BehaviourEvent], items: Collection[str]) -> list[Visit]:
    """Visits of `events` in time order, oldest first; only deeds with `items` count."""
    together: dict[str, list[BehaviourEvent]] = defaultdict(list)
    latest: dict[str, tuple[str, float]] = {}
    for event in events:
        if KIND_OF_ACTION.get(event.action, 0) < VIEW or event.item_id not in items:
            continue
        together[_visit_of(event, latest)].append(event)
    found = [Visit(deeds[0].user, tuple(deeds)) for deeds in together.values()]
    return sorted(found, key=lambda visit: visit.begun)


def _visit_of(event: BehaviourEvent, latest: dict[str, tuple[str, float]]) -> str:
    """The name of the visit that a deed belongs to; notes it as the latest of its shopper."""
    who = event.user or event.session
    if event.basket or who is None:
        return f"basket {event.basket or event.event_id}"
    name, ended = latest.get(who, ("", -np.inf))
    if event.timestamp - ended > PAUSE_SECONDS:
        name = f"visit {who} {event.timestamp}"
    latest[who] = (name, event.timestamp)
    return name


def labels_of(deeds: Iterable[BehaviourEvent]) -> Labels:
    """Click, cart and purchase of each item, in the order in which they were touched."""
    found: dict[str, list[float]] = {}
    for deed in deeds:
        found.setdefault(deed.item_id, [0.0, 0.0, 0.0])[KIND_OF_ACTION[deed.action] - VIEW] = 1.0
    return {item_id: (it[0], it[1], it[2]) for item_id, it in found.items()}


def plan(
    events: Sequence[BehaviourEvent], items: Collection[str], schedule: Schedule
) -> Plan | None:
    """The plan for `events` in time order, split as that of searches; None where it has no cases.

    Training may start from stale states, as a search does; what is measured is not seeded.
    """
    cut = cut_of(events, schedule)
    at = moments_of(events, cut, schedule)
    if cut >= events[-1].timestamp or at[0] >= cut:
        return None
    every = visits(events, items)
    sampling = Sampling(
        cases=schedule.visit_cases, gap_days_max=schedule.gap_days_max, strangers=schedule.strangers
    )
    first_seen = _first_seen(every)
    early, late = (
        [it for it in every if at[0] < it.begun <= cut],
        [it for it in every if it.begun > cut],
    )
    moment = at.index(cut)
    measured = Sampling(
        cases=schedule.held_out_visits,
        frozen=True,
        follows=schedule.held_out_state == "moment",
        strangers=schedule.strangers,
    )
    random = np.random.default_rng(schedule.seed)
    train = _cases(early, [t for t in at if t < cut], first_seen, sampling, random, SEEDED_SHARE)
    held_out = _cases(late, at[moment:], first_seen, measured, random, 0.0)
    dense = replace(
        sampling, cases=round(LATE_DENSITY * len(train) * len(late) / max(len(early), 1))
    )
    refit = _cases(late, at, first_seen, dense, random, SEEDED_SHARE) if schedule.refit else []
    return Plan(
        at=at,
        cut=cut,
        train=_sorted(train),
        held_out=_sorted([replace(case, moment=moment + case.moment) for case in held_out]),
        late=_sorted(refit),
    )


def _cases(
    found: Sequence[Visit],
    at: Sequence[float],
    first_seen: dict[str, float],
    sampling: Sampling,
    random: np.random.Generator,
    seeded: float,
) -> list[Case]:
    """At most `sampling.cases` cases, drawn without regard to how much a visit holds; to learn
    from, a visit is taken again once all have been.
    """
    cases: list[Case] = []
    strangers_left = round(sampling.cases * sampling.strangers)
    times = 1 if sampling.frozen else TIMES_MAX
    for place in _turns(len(found), times, random):
        if len(cases) >= sampling.cases:
            break
        visit = found[place].entered(random)
        known = np.inf if visit.user is None else first_seen[visit.user]
        fresh = not sampling.frozen and random.random() < FRESH_SHARE
        drawn = replace(sampling, gap_days_max=FRESH_DAYS) if fresh else sampling
        moment = making.moment_before(at, visit.begun, known, drawn, random)
        if moment is None:
            continue
        deeds = labels_of(visit.deeds)
        seeds = _seeds(deeds, random) if random.random() < seeded else ()
        if known > at[moment] and not seeds:
            if strangers_left == 0:
                continue
            strangers_left -= 1
        labels = {item: done for item, done in deeds.items() if item not in seeds}
        case = Case(moment, visit.begun, visit.user, "", labels, seeds=seeds)
        cases.append(replace(case, context=visit.deeds[0].context or {}))
    return cases


def _turns(count: int, times: int, random: np.random.Generator) -> Iterator[int]:
    for _ in range(times):
        yield from random.permutation(count).tolist()


def _seeds(labels: Labels, random: np.random.Generator) -> tuple[str, ...]:
    """The first few items of a visit, never all of them."""
    most = min(SEEDS_MAX, len(labels) - 1)
    count = int(random.integers(1, most + 1)) if most > 0 else 0
    return tuple(labels)[:count]


def _first_seen(every: Iterable[Visit]) -> dict[str, float]:
    seen: dict[str, float] = {}
    for visit in every:
        if visit.user is not None:
            seen.setdefault(visit.user, visit.begun)
    return seen


def _sorted(found: Sequence[Case]) -> list[Case]:
    return sorted(found, key=lambda case: (case.moment, case.time))
