"""Time values as Elasticsearch writes them."""

import pytest

from reranker.retrieval import time_value


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("500ms", 0.5),
        ("2s", 2.0),
        ("1.5m", 90.0),
        ("1H", 3600.0),
        ("1d", 86_400.0),
        ("7micros", 7e-6),
    ],
)
def test_a_time_value_is_read(value: str, seconds: float) -> None:
    assert time_value.seconds(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["-1", "", "soon", "5", 5, None, "1s2"])
def test_what_is_none_is_none(value: object) -> None:
    assert time_value.seconds(value) is None
