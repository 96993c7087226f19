"""The default encoder finds what is meant, in Chinese, in English and from one to the other."""

import numpy as np
import pytest

from indexer.embedding.encoder import DEFAULT_ENCODER, open_encoder

EARPHONES = ["蓝牙耳机", "真无线耳机", "AirPods", "降噪耳机"]
OTHERS = [
    "男士跑步鞋",
    "不锈钢保温杯",
    "纯棉四件套",
    "儿童积木玩具",
    "电饭煲",
    "有机绿茶",
    "羊毛围巾",
    "猫砂",
    "瑜伽垫",
    "圆珠笔",
]


def similarity(query: str, titles: list[str]) -> np.ndarray:
    encoder = open_encoder(DEFAULT_ENCODER)
    return encoder.encode(titles, role="passage") @ encoder.encode([query], role="query")[0]


@pytest.mark.parametrize("query", ["无线耳机", "wireless earphones", "wireless headphones"])
def test_every_earphone_ranks_above_every_other_thing(query: str) -> None:
    assert similarity(query, EARPHONES).min() > similarity(query, OTHERS).max()


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("running shoes for men", "男士跑步鞋"),
        ("stainless steel thermos", "不锈钢保温杯"),
        ("rice cooker", "电饭煲"),
        ("yoga mat", "瑜伽垫"),
        ("green tea", "有机绿茶"),
        ("wool scarf", "羊毛围巾"),
        ("cat litter", "猫砂"),
        ("toy building blocks for children", "儿童积木玩具"),
    ],
)
def test_an_english_query_finds_the_chinese_title(query: str, wanted: str) -> None:
    titles = EARPHONES + OTHERS
    assert titles[int(similarity(query, titles).argmax())] == wanted


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("男士跑鞋", "Running shoes for men"),
        ("保温杯", "Stainless steel thermos flask"),
        ("无线耳机", "True wireless earbuds"),
        ("瑜伽垫", "Yoga mat"),
    ],
)
def test_a_chinese_query_finds_the_english_title(query: str, wanted: str) -> None:
    titles = [
        "Running shoes for men",
        "Stainless steel thermos flask",
        "True wireless earbuds",
        "Yoga mat",
        "Wooden picture frame",
        "Scented candle",
    ]
    assert titles[int(similarity(query, titles).argmax())] == wanted
