"""What training learns from: one search each, with what was done after it; pure.

Two sources. Logged: a search with its query id and the deeds that carry the same id. Derived:
where a purchase came from no known search, a query made from the bought item's title. A case is
ranked with the state as of `as_of`, which lies before everything of its own basket.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.popularity import DAY_SECONDS, IMPRESSION, KIND_OF_ACTION, VIEW
from reranker.learning.derived_queries import SpanStyle, derive
from reranker.learning.position_bias import NO_CORRECTION, Impressions, PositionBias
from reranker.signals.served import Served

# A label per head of the network: click, cart, purchase. A click that was unlikely to be seen
# counts more than one.
Labels = dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Case:
    """One search: `moment` numbers the snapshot of the state; `target` is a derived case's item.

    A list without a search has an empty query; `seeds` are the items that it starts from. Of
    `judged` cases the labels are gains of graded judgements, not deeds; a `named` one asks for its
    target by the whole title, and no deed says so. `context` is what the request, or the deed that
    the case was made of, said of its own.

    Of a logged search, `shown` are the ids it showed, in order, `positions` where each stood
    (from 1), and `served` what the model saw of the first of them; None: not known.
    """

    moment: int
    time: float
    user: str | None
    query: str
    labels: Labels
    target: str | None = None
    shown: tuple[str, ...] | None = None
    positions: tuple[int, ...] | None = None
    served: Served | None = None
    seeds: tuple[str, ...] = ()
    judged: bool = False
    named: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def derived(self) -> bool:
        """Whether the query is a proxy made from the title of what was bought."""
        return self.target is not None and not self.named


@dataclass(frozen=True)
class Sampling:
    """How derived cases are drawn.

    `gap_days_max`: the state is up to this much older than the purchase, as it is when serving
    with a model and counts that are not of this minute. `strangers`: share of cases of shoppers
    without a profile at the moment, more where the known ones do not make up the number.
    `frozen`: the oldest state there is, as when measuring; `follows`: the latest one.
    """

    cases: int
    gap_days_max: float = 35.0
    strangers: float = 0.1
    frozen: bool = False
    follows: bool = False
    recency_half_life_days: float = 150.0
    style: SpanStyle = field(default_factory=SpanStyle)


def moments(first: float, last: float, spacing_days: float) -> list[float]:
    """Snapshot times from `last` backwards, oldest first; none before `first`."""
    count = max(int((last - first) / (spacing_days * DAY_SECONDS)), 0)
    return [last - k * spacing_days * DAY_SECONDS for k in range(count, -1, -1)]


def derived(
    events: Sequence[BehaviourEvent],
    titles: Mapping[str, str],
    at: Sequence[float],
    sampling: Sampling,
    seed: int,
    since: float = -np.inf,
) -> list[Case]:
    """Cases from purchases after `since` that came from no known search.

    The snapshot of a case is drawn among those of the last `gap_days_max` days before its basket
    began; a shopper who was not known then, but is at the latest, is served with the latest, since
    profiles follow deeds within a second. Everything that the basket holds is labelled; the
    candidates decide what of it counts.
    """
    random = np.random.default_rng(seed)
    bought = [
        e for e in events if e.action == "purchase" and not e.query_key and e.item_id in titles
    ]
    baskets = _baskets(bought)
    late = [e for e in bought if baskets[_basket(e)].begun > max(since, at[0])]
    if not late:
        return []
    first_seen, every_title = _first_seen(events), list(titles.values())
    order = random.choice(len(late), len(late), replace=False, p=_recency(late, sampling))
    found: list[Case] = []
    further: list[Case] = []
    strangers_left = round(sampling.cases * sampling.strangers)
    for event in (late[i] for i in order):
        if len(found) >= sampling.cases:
            break
        basket = baskets[_basket(event)]
        known = np.inf if event.user is None else first_seen[event.user]
        moment = moment_before(at, basket.begun, known, sampling, random)
        query = derive(titles[event.item_id], sampling.style, random, every_title)
        if moment is None or query is None:
            continue
        labels: Labels = dict.fromkeys(basket.items, (0.0, 0.0, 1.0))
        case = Case(moment, event.timestamp, event.user, query, labels, event.item_id)
        case = replace(case, context=event.context or {})
        if known <= at[moment]:
            found.append(case)
        elif strangers_left == 0:
            further.append(case)
        else:
            strangers_left -= 1
            found.append(case)
    found += further[: sampling.cases - len(found)]
    return sorted(found, key=lambda case: (case.moment, case.time))


@dataclass(frozen=True)
class LoggedSearch:
    """A search as the journal has it; `user` is a pseudonym, `shown` in order.

    `start` is how many hits stood before the first of these; `served` what the model saw of them.
    """

    query_id: str
    time: float
    user: str | None
    text: str
    shown: tuple[str, ...]
    start: int = 0
    served: Served | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


def logged(
    searches: Iterable[LoggedSearch],
    events: Iterable[BehaviourEvent],
    at: Sequence[float],
    bias: PositionBias = NO_CORRECTION,
) -> list[Case]:
    """Cases from logged searches that something was done after; the latest snapshot before each.

    A click counts by the inverse of how likely its position was looked at.
    """
    following = _following(events)
    found = []
    for search in searches:
        after = following.get(search.query_id, [])
        positions = _positions(search, after)
        labels = _labels(after, positions, bias)
        moment = int(np.searchsorted(at, search.time, side="left")) - 1
        if labels and moment >= 0:
            case = Case(
                *(moment, search.time, search.user, search.text, labels),
                shown=search.shown,
                positions=tuple(positions[item_id] for item_id in search.shown),
                served=search.served,
                context=search.context,
            )
            found.append(case)
    return sorted(found, key=lambda case: (case.moment, case.time))


def impressions(searches: Iterable[LoggedSearch], events: Iterable[BehaviourEvent]) -> Impressions:
    """Every shown item of the logged searches, where it stood and whether it was clicked."""
    following = _following(events)
    pairs: dict[tuple[str, str], int] = {}
    pair, position, clicked = [], [], []
    for search in searches:
        after = following.get(search.query_id, [])
        hit = {e.item_id for e in after if KIND_OF_ACTION[e.action] == VIEW}
        for item_id, stood in _positions(search, after).items():
            pair.append(pairs.setdefault((search.text, item_id), len(pairs)))
            position.append(stood)
            clicked.append(item_id in hit)
    return Impressions(
        np.array(pair, dtype=np.int64),
        np.array(position, dtype=np.int64),
        np.array(clicked, dtype=bool),
    )


def _following(events: Iterable[BehaviourEvent]) -> dict[str, list[BehaviourEvent]]:
    """What was done with items after each search, by its id."""
    found: dict[str, list[BehaviourEvent]] = defaultdict(list)
    for event in events:
        if event.query_id and event.action in KIND_OF_ACTION:
            found[event.query_id].append(event)
    return found


def _positions(search: LoggedSearch, after: Iterable[BehaviourEvent]) -> dict[str, int]:
    """Where each shown item stood, from 1: as its impression says, else as it was answered."""
    stood = {item_id: search.start + row for row, item_id in enumerate(search.shown, 1)}
    for event in after:
        seen = KIND_OF_ACTION[event.action] == IMPRESSION and event.position is not None
        if seen and event.item_id in stood:
            stood[event.item_id] = int(event.position or 1)
    return stood


def _labels(
    after: Iterable[BehaviourEvent], positions: Mapping[str, int], bias: PositionBias
) -> Labels:
    """Labels of the shown items, of all where it is not known what was shown."""
    labels = Labels()
    for deed in after:
        kind = KIND_OF_ACTION[deed.action] - VIEW
        if kind < 0 or (positions and deed.item_id not in positions):
            continue
        grades = list(labels.get(deed.item_id, (0.0, 0.0, 0.0)))
        grades[kind] = 1.0
        if kind == 0 and positions:
            grades[kind] = bias.weight(positions[deed.item_id])
        labels[deed.item_id] = (grades[0], grades[1], grades[2])
    return labels


@dataclass
class _Basket:
    begun: float
    items: list[str]


def _basket(event: BehaviourEvent) -> str:
    return event.basket or event.event_id


def _baskets(bought: Iterable[BehaviourEvent]) -> dict[str, _Basket]:
    found: dict[str, _Basket] = {}
    for event in bought:
        basket = found.setdefault(_basket(event), _Basket(event.timestamp, []))
        basket.begun = min(basket.begun, event.timestamp)
        basket.items.append(event.item_id)
    return found


def _first_seen(events: Iterable[BehaviourEvent]) -> dict[str, float]:
    seen: dict[str, float] = {}
    for event in events:
        if event.user is not None:
            seen[event.user] = min(seen.get(event.user, np.inf), event.timestamp)
    return seen


def _recency(late: Sequence[BehaviourEvent], sampling: Sampling) -> np.ndarray:
    times = np.array([e.timestamp for e in late])
    half_life = sampling.recency_half_life_days * DAY_SECONDS
    weight = np.exp2(-(times.max() - times) / half_life)
    share: np.ndarray = weight / weight.sum()
    return share


def moment_before(
    at: Sequence[float],
    begun: float,
    known: float,
    sampling: Sampling,
    random: np.random.Generator,
) -> int | None:
    """A snapshot strictly before `begun` and not over the gap before it, else the latest before;
    the latest also for a shopper `known` (seconds) since then only. None: there is none before.
    """
    last = int(np.searchsorted(at, begun, side="left")) - 1
    gap = sampling.gap_days_max * DAY_SECONDS
    first = int(np.searchsorted(at, begun - gap, side="left"))
    if last < 0:
        return None
    if sampling.follows:
        return last
    drawn = 0 if sampling.frozen else int(random.integers(min(first, last), last + 1))
    return last if at[drawn] < known <= at[last] else drawn
