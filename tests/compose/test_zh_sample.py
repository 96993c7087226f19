"""The Chinese sample is a catalogue that can be imported, and its judgements speak of it."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from compose import sample
from indexer.catalogue.product import Product

FOLDER = Path(sample.__file__).parent
WORKED_EXAMPLE = {"蓝牙耳机", "真无线耳机", "AirPods", "降噪耳机", "男士跑步鞋", "不锈钢保温杯"}


@pytest.fixture(scope="module")
def goods() -> list[dict[str, Any]]:
    lines = (FOLDER / "zh-products.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def judgements() -> list[dict[str, str]]:
    with (FOLDER / "zh-judgements.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_line_is_a_product_with_all_that_a_shop_says(goods: list[dict[str, Any]]) -> None:
    for line in goods:
        product = Product.model_validate(line)
        assert product.description
        assert product.brand
        assert product.price
        assert (product.currency, product.language) == ("CNY", "zh")
        assert 0 <= line["popularity"] <= 1


def test_there_are_300_different_goods_in_20_categories(goods: list[dict[str, Any]]) -> None:
    assert len({line["id"] for line in goods}) == len(goods) >= 300
    assert len({line["title"] for line in goods}) == len(goods)
    assert len({line["description"] for line in goods}) == len(goods)
    assert len({line["categories"][0] for line in goods}) >= 20


def test_the_worked_example_is_among_them(goods: list[dict[str, Any]]) -> None:
    assert {line["title"] for line in goods} >= WORKED_EXAMPLE


def test_judgements_grade_goods_that_exist_from_0_to_3(
    goods: list[dict[str, Any]], judgements: list[dict[str, str]]
) -> None:
    assert {row["docid"] for row in judgements} <= {line["id"] for line in goods}
    assert {row["rating"] for row in judgements} == {"0", "1", "2", "3"}
    assert len({(row["query"], row["docid"]) for row in judgements}) == len(judgements)


def test_forty_queries_and_more_each_have_a_best_answer_some_in_english(
    judgements: list[dict[str, str]],
) -> None:
    queries = {row["query"] for row in judgements}
    assert len(queries) >= 40
    assert queries == {row["query"] for row in judgements if row["rating"] == "3"}
    assert sum(query.isascii() for query in queries) >= 10
