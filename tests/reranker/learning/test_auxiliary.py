"""Topic and sentiment as tasks beside ranking: real labels, off by default, gone at export."""

from typing import Any

import numpy as np
import pytest
import torch

from indexer.catalogue import card
from reranker.learning import auxiliary, fit
from reranker.learning import goods as catalogue
from reranker.learning.auxiliary import UNKNOWN, Auxiliary, ItemLabels
from reranker.learning.course import Course, Task
from reranker.learning.equipment import Equipment
from reranker.learning.goods import Goods
from reranker.learning.schedule import Schedule
from tests.reranker.learning.lists import list_set, vectors
from tests.reranker.learning.test_network import SMALL

NAN = float("nan")


def goods(categories: list[tuple[str, ...]], ratings: list[float] | None) -> Goods:
    blobs = [
        card.pack(title="x", vector=np.ones(4, dtype=np.float32), categories=c) for c in categories
    ]
    ids = [str(number) for number in range(len(categories))]
    return catalogue.goods(ids, ids, blobs, 4, ratings)


def test_no_task_weighs_anything_by_default() -> None:
    shop = goods([("a", "b")] * 5 + [("b",)] * 5, [1.0] * 5 + [5.0] * 5)
    assert auxiliary.labels_of(shop, Schedule().auxiliary) is None


def test_the_topic_is_the_first_category_and_a_rare_one_is_none() -> None:
    shop = goods([("a", "b")] * 5 + [("b",)] * 6 + [("c",)] * 4 + [()], None)
    found = auxiliary.labels_of(shop, {"topic": 0.1})
    assert found is not None
    assert found.topics == 2
    topic = found.topic.numpy()
    assert len(set(topic[:5])) == len(set(topic[5:11])) == 1
    assert topic[0] != topic[5]
    assert (topic[11:] == UNKNOWN).all()


def test_sentiment_is_the_rating_on_the_range_of_the_catalogue() -> None:
    shop = goods([()] * 4, [2.0, NAN, 4.0, 3.0])
    found = auxiliary.labels_of(shop, {"topic": 0.1, "sentiment": 0.2})
    assert found is not None
    assert found.weights == {"sentiment": 0.2}  # there are no topics to learn
    np.testing.assert_allclose(found.sentiment.numpy(), [0.0, NAN, 1.0, 0.5])


@pytest.mark.parametrize("ratings", [None, [NAN] * 3, [4.0] * 3])
def test_ratings_that_say_nothing_are_no_task(ratings: list[float] | None) -> None:
    assert auxiliary.labels_of(goods([()] * 3, ratings), {"sentiment": 1.0}) is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"rating": 4.5}, 4.5),
        ({"attributes": {"rating": 3}}, 3.0),
        ({"attributes.rating": 2}, 2.0),
        ({"rating": True}, None),
        ({"rating": "good"}, None),
        ({}, None),
    ],
)
def test_a_rating_is_read_where_a_catalogue_has_it(source: dict[str, Any], expected: Any) -> None:
    found = catalogue.rating(source)
    assert np.isnan(found) if expected is None else found == expected


def labels(weights: dict[Any, float]) -> ItemLabels:
    """Topics and ratings that stand in the items' vectors."""
    text = vectors().text_turned
    return ItemLabels(
        (text[:, 0] > 0).long() + 2 * (text[:, 1] > 0).long(),
        torch.sigmoid(3 * text[:, 2]),
        4,
        weights,
    )


def course(about: ItemLabels | None, seed: int = 3) -> Course:
    train = list_set(120, seed=1)
    task = Task(
        part="fit",
        network=fit.new_network(train, vectors(), SMALL, seed),
        lists=train,
        vectors=vectors(),
        schedule=SMALL,
        trained=fit.heads_of(train, SMALL.head_weights),
        about=about,
        epochs=6,
        learning_rate=1e-2,
        seed=seed,
        measured=False,
        kept=False,
        start=None,
    )
    return Course(task, Equipment())


def test_the_tasks_are_learned_from_the_item_token() -> None:
    about = labels({"topic": 1.0, "sentiment": 1.0})
    made = course(about)
    made.run(None, lambda _: None)
    network, heads = made.task.network, made.objective.auxiliary
    assert heads is not None
    with torch.no_grad():
        token = network.item(vectors().text_turned, vectors().taste[0])
        topic = heads.heads["topic"](token).argmax(dim=1)
        liked = torch.sigmoid(heads.heads["sentiment"](token).squeeze(1))
    assert (topic == about.topic).float().mean() > 0.8  # of four
    assert np.corrcoef(liked.numpy(), about.sentiment.numpy())[0, 1] > 0.7


def test_unknown_labels_count_nothing() -> None:
    about = labels({"topic": 1.0, "sentiment": 1.0})
    heads, token = Auxiliary(8, about, 0), torch.randn(6, 8)
    topic, rated = torch.tensor([0, 1, 2, 3, -1, -1]), torch.tensor([0.1, 0.9, NAN, NAN, 0.5, 0.2])
    with torch.no_grad():
        both = heads(token, topic, rated)
        others = token.clone()
        others[4:] += 7.0  # without a topic: matters to the sentiment alone
        only_topic = [heads(t, topic, torch.full((6,), NAN)) for t in (token, others)]
        nothing = heads(token, torch.full((6,), UNKNOWN), torch.full((6,), NAN))
    assert both > only_topic[0] > 0
    torch.testing.assert_close(only_topic[0], only_topic[1])
    assert nothing == 0


def test_a_network_trained_with_them_has_the_parts_of_one_without() -> None:
    plain, helped = course(None), course(labels({"topic": 1.0}))
    for made in (plain, helped):
        made.run(None, lambda _: None)
    assert list(plain.task.network.state_dict()) == list(helped.task.network.state_dict())
    changed = [
        not torch.equal(a, b)
        for a, b in zip(
            plain.task.network.parameters(), helped.task.network.parameters(), strict=True
        )
    ]
    assert any(changed)
