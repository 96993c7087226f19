"""Who computes, and who may wait, while lists are scored."""

import numpy as np
import pytest

from indexer.behaviour import query_stats, shopper_profile
from indexer.catalogue import card
from reranker.retrieval.candidates import Candidates
from reranker.serving import knowledge, scoring
from reranker.serving.knowledge import Asked, Items, Known
from reranker.signals.build import ModelInput, assemble
from reranker.signals.past import Past
from reranker.signals.situation import Situation

DIMS = 8


class NoModels:
    """A registry in which nothing was ever promoted."""

    def found(self, _index: str, _digest: str) -> tuple[None, bool]:
        return None, False


def asked(count: int) -> Asked:
    ids = [f"item-{number}" for number in range(count)]
    rank = np.arange(1, count + 1, dtype=np.float32)
    none = np.full(count, np.nan, dtype=np.float32)
    past = Past(shopper_profile.empty(), None, [], 0.0)
    return Asked(
        index="shop",
        recipe_digest="digest",
        text="lamp",
        candidates=Candidates(ids, 100.0 - rank, rank, none, none),
        window=count,
        vector=None,
        who=Known(past, query_stats.decode(None)),
        dims=DIMS,
        context={},
    )


def test_one_thread_computes_at_a_time_and_none_holds_the_others_up_while_it_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: dict[str, bool] = {}

    def read(_memory: object, _refill: object, _index: str, ids: list[str], dims: int) -> Items:
        taken["reading"] = scoring._TURN.locked()
        records, present = card.unpack_many([None] * len(ids), dims)
        return Items(records, present, [None] * len(ids))

    def computed(situation: Situation) -> ModelInput:
        taken["computing"] = scoring._TURN.locked()
        return assemble(situation)

    monkeypatch.setattr(knowledge, "items", read)
    monkeypatch.setattr(scoring, "assemble", computed)
    fused = scoring.fused(None, None, NoModels(), asked(3))  # type: ignore[arg-type]
    assert taken == {"reading": False, "computing": True}
    assert not scoring._TURN.locked()
    assert fused.degraded is None
    assert len(fused.scores) == 3
