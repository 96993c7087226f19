"""Which events teach the adaptive layer, and how much: the abuse policy. Pure.

An event teaches when it says what was done with an item of a list that was shown a while ago, by
somebody who can be told apart. One person, search text and item count once, by the weightiest deed;
so many different ones count in a window of a person, and ten times as many of an address. Known
robots teach nothing. Senders that are trusted (see event.Sender) are only held to counting once.
All of it changes in the transaction that folds the events, so a delivery again changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgpack

from indexer.behaviour import adaptive, phrases, shown_list
from indexer.behaviour.adaptive import Layer, Lesson
from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.popularity import CART, KIND_OF_ACTION, PURCHASE, RETURNS, VIEW
from indexer.behaviour.query_stats import EXPOSURE_POWER
from indexer.behaviour.shown_list import ShownList
from indexer.identity import hash64

LAYER, TAUGHT = "adaptive:", "taught:"
LAYER_TTL_SECONDS = 90 * 86_400
TAUGHT_TTL_SECONDS = WINDOW_SECONDS = 86_400
WEIGHTS = {VIEW: 0.3, CART: 0.6, PURCHASE: 1.0}
RETURNED = -1.0
# A click low in the list counts more, since few look there; no more than this many times.
EXAMINED_WEIGHT_MAX = 3.0
CLOCK_SECONDS = 300.0  # how far the clocks of clients may be off
ADDRESS_SHARE = 10
VERSION = 1

Values = Mapping[str, bytes | None]


def layer_key(model: str) -> str:
    """Key of the layer over one version of the model."""
    return f"{LAYER}{model}"


def taught_key(person: str) -> str:
    """Key of what a person (or an address) taught in the last window."""
    return f"{TAUGHT}{person}"


@dataclass(frozen=True, slots=True)
class Folding:
    """The state with its phrases, and beside it the layers; `events_max` are of a person's window.

    0 turns the layer's learning off.
    """

    rest: phrases.Folding
    events_max: int

    def basket_keys(self, events: Iterable[BehaviourEvent]) -> list[str]:
        """Those of the state, and of the lists that were shown."""
        found = list(events)
        return [*self.rest.basket_keys(found), *self._lists(found)]

    def keys_for(self, events: Sequence[BehaviourEvent], baskets: Values) -> list[str]:
        """Those of the state, of the lists' layers, and of those who teach."""
        of_state = {k: v for k, v in baskets.items() if not k.startswith(shown_list.PREFIX)}
        lists = [shown_list.decode(baskets.get(key)) for key in self._lists(events)]
        layers = {layer_key(it.model) for it in lists if it is not None}
        teachers = {
            taught_key(who) for event in events if self._may_teach(event) for who in _who(event)
        }
        return [*self.rest.keys_for(events, of_state), *sorted(layers), *sorted(teachers)]

    def fold(self, values: Values, events: Sequence[BehaviourEvent]) -> dict[str, bytes]:
        """New values of the state and of layers."""
        of_state = {k: v for k, v in values.items() if not k.startswith(shown_list.PREFIX)}
        return self.rest.fold(of_state, events) | self._taught(values, events)

    def _taught(self, values: Values, events: Sequence[BehaviourEvent]) -> dict[str, bytes]:
        layers: dict[str, Layer] = {}
        books: dict[str, _Book] = {}
        for event in events:
            shown = self._list(values, event)
            place = (
                None if shown is None or _out_of_time(event, shown) else shown.place(event.item_id)
            )
            if shown is None or place is None:
                continue
            weight = self._admitted(values, books, event) * _examined(event, place)
            if weight == 0.0:
                continue
            key, width = layer_key(shown.model), shown.features.shape[1]
            layer = layers.get(key) or adaptive.decode(values.get(key), width)
            lesson = Lesson(shown.features, shown.scores, place, weight, shown.segment)
            layers[key] = adaptive.learn(layer, lesson)
        return {
            **{key: adaptive.encode(layer) for key, layer in layers.items()},
            **{key: book.encode() for key, book in books.items() if book.changed},
        }

    def _admitted(self, values: Values, books: dict[str, "_Book"], event: BehaviourEvent) -> float:
        """How much of an event is new and within bounds; it is noted with whoever sent it."""
        weight = _weight(event.action)
        what = hash64(f"{event.query_key or event.query_id}\n{event.item_id}")
        keys = [taught_key(who) for who in _who(event)]
        for key in keys:
            if key not in books:
                books[key] = _Book.decode(values.get(key))
        own, *others = (books[key] for key in keys)
        counted = own.counted(what, event.timestamp)
        if weight > 0.0:
            weight = max(weight - max(counted, 0.0), 0.0)
        elif counted == RETURNED:
            weight = 0.0
        bounds = zip((own, *others), (1, ADDRESS_SHARE), strict=False)
        full = any(book.deeds(event.timestamp) >= self.events_max * share for book, share in bounds)
        if weight == 0.0 or (full and event.sender != "trusted"):
            return 0.0
        own.note(what, event.timestamp, _weight(event.action))
        for book in others:
            book.note(hash64(f"{keys[0]}\n{what}"), event.timestamp, 0.0)
        return weight

    def _lists(self, events: Iterable[BehaviourEvent]) -> list[str]:
        keys = [shown_list.key(e.query_id) for e in events if e.query_id and self._may_teach(e)]
        return list(dict.fromkeys(keys))

    def _list(self, values: Values, event: BehaviourEvent) -> ShownList | None:
        if not event.query_id or not self._may_teach(event):
            return None
        return shown_list.decode(values.get(shown_list.key(event.query_id)))

    def _may_teach(self, event: BehaviourEvent) -> bool:
        told_apart = event.user or event.session or event.sender == "trusted"
        known = _weight(event.action) != 0.0 and event.sender != "robot"
        return self.events_max > 0 and known and bool(told_apart)


def _out_of_time(event: BehaviourEvent, shown: ShownList) -> bool:
    """Whether a deed is dated as if the list had not been there; then windows could be evaded."""
    return not -CLOCK_SECONDS <= event.timestamp - shown.time <= WINDOW_SECONDS


def _who(event: BehaviourEvent) -> Iterator[str]:
    """Whose windows an event counts in: the person's first."""
    yield event.user or event.session or f"q-{hash64(event.query_id or ''):016x}"
    if event.address is not None:
        yield event.address


def _weight(action: str) -> float:
    if action in RETURNS:
        return RETURNED
    return WEIGHTS.get(KIND_OF_ACTION.get(action, -1), 0.0)


def _examined(event: BehaviourEvent, place: int) -> float:
    """What a click counts for where it stood; what was bought was looked at, wherever it stood."""
    if KIND_OF_ACTION.get(event.action) != VIEW:
        return 1.0
    return float(min((1.0 + place) ** EXPOSURE_POWER, EXAMINED_WEIGHT_MAX))


class _Book:
    """What one person taught lately: by digest of search text and item, when and how much."""

    def __init__(self, rows: dict[int, tuple[float, float]]) -> None:
        self._rows = rows
        self.changed = False

    @classmethod
    def decode(cls, blob: bytes | None) -> "_Book":
        version, rows = msgpack.unpackb(blob) if blob else (VERSION, [])
        known = version == VERSION
        return cls({what: (time, weight) for what, time, weight in rows} if known else {})

    def encode(self) -> bytes:
        """The value; what left the window before the latest deed is forgotten."""
        latest = max(time for time, _ in self._rows.values())
        rows = [
            [what, time, weight]
            for what, (time, weight) in self._rows.items()
            if time > latest - WINDOW_SECONDS
        ]
        packed: bytes = msgpack.packb([VERSION, rows])
        return packed

    def counted(self, what: int, now: float) -> float:
        """How much the same deed counted within the window before; 0: not at all."""
        time, weight = self._rows.get(what, (-float("inf"), 0.0))
        return weight if abs(now - time) < WINDOW_SECONDS else 0.0

    def deeds(self, now: float) -> int:
        """How many different ones there are in the window."""
        return sum(1 for time, _ in self._rows.values() if abs(now - time) < WINDOW_SECONDS)

    def note(self, what: int, now: float, weight: float) -> None:
        """Take one down."""
        self._rows[what] = (now, weight)
        self.changed = True
