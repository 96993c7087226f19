"""Replaying the behaviour state."""

from reranker.learning import moments
from reranker.learning.moments import Moment
from tests.reranker.learning import shop

EVENTS = shop.events()
AT = [EVENTS[it].timestamp for it in (10, 200, 400, 600)]


def test_a_replay_begun_in_the_middle_comes_to_the_same() -> None:
    kept: list[Moment] = []
    every = moments.keeping(moments.replay(EVENTS, AT), AT[1], kept)
    whole = [(moment.at, dict(moment.values)) for moment in every]
    (begun,) = kept
    rest = moments.replay(EVENTS, AT[1:], begun)
    assert [(moment.at, dict(moment.values)) for moment in rest] == whole[1:]
    assert whole[1][1] != whole[2][1]


def test_what_was_kept_stays_as_it_was() -> None:
    kept: list[Moment] = []
    for moment in moments.keeping(moments.replay(EVENTS, AT), AT[1], kept):
        if moment.at == AT[1]:
            then = dict(moment.values)
    assert kept[0].values == then != moment.values
    list(moments.replay(EVENTS, AT[1:], kept[0]))
    assert kept[0].values == then
