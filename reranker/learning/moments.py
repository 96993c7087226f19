"""The behaviour state as it was at past moments: events folded again in memory, as the store does.

Pure. The fold is `indexer.behaviour.state.fold`, so what training sees is what serving saw.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexer.behaviour import (
    copurchase,
    popularity,
    query_stats,
    shopper_profile,
    state,
    trending,
)
from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.popularity import USUAL_HALF_LIFE_HOURS
from indexer.behaviour.query_stats import QueryStats
from indexer.behaviour.shopper_profile import ShopperProfile

CHUNK_EVENTS = 20_000


@dataclass(frozen=True)
class Moment:
    """The state with all events up to `at` (seconds, inclusive) and none after."""

    at: float
    values: Mapping[str, bytes]

    def shopper(self, user: str | None) -> ShopperProfile:
        """The profile of a pseudonym; never seen where there is none."""
        return shopper_profile.decode(
            None if user is None else self.values.get(state.shopper_key(user))
        )

    def popularity(self, ids: Sequence[str]) -> popularity.Popularity:
        """Counts of items as of this moment."""
        blobs = [self.values.get(state.popularity_key(item_id)) for item_id in ids]
        return popularity.unpack_many(blobs, self.at)

    @property
    def board(self) -> bytes | None:
        """What sells most (`indexer.behaviour.trending`)."""
        return self.values.get(trending.BOARD)

    def partners(self, ids: Sequence[str]) -> list[np.ndarray]:
        """Partner rows of items."""
        return [copurchase.unpack(self.values.get(state.partners_key(i))) for i in ids]

    def query_stats(self, query: str) -> QueryStats:
        """Counts of a normalised search text."""
        return query_stats.decode(self.values.get(state.query_stats_key(query)))


def replay(
    events: Sequence[BehaviourEvent],
    at: Sequence[float],
    begun: Moment | None = None,
    half_life_hours: float = USUAL_HALF_LIFE_HOURS,
) -> Iterator[Moment]:
    """The moments `at`, oldest first; `events` in time order. Those up to a moment that is `begun`
    with are not folded again. `half_life_hours` is the index's, of what is trending.

    A yielded moment reads the live dictionary: use it up before asking for the next.
    """
    times = np.array([e.timestamp for e in events])
    values: dict[str, bytes] = {} if begun is None else dict(begun.values)
    done = 0 if begun is None else int(np.searchsorted(times, begun.at, side="right"))
    for moment in at:
        end = int(np.searchsorted(times, moment, side="right"))
        while done < end:
            chunk = events[done : min(done + CHUNK_EVENTS, end)]
            baskets = {key: values.get(key) for key in state.basket_keys(chunk)}
            keys = state.keys_for(chunk, baskets)
            before = {key: values.get(key) for key in keys}
            values.update(state.fold(before, chunk, half_life_hours))
            done += len(chunk)
        yield Moment(moment, values)


def keeping(replayed: Iterable[Moment], at: float, kept: list[Moment]) -> Iterator[Moment]:
    """The same moments; the one of `at` is put into `kept`, to begin with another time."""
    for moment in replayed:
        if moment.at == at:
            kept.append(replace(moment, values=dict(moment.values)))
        yield moment
