"""What a stored document says at a dotted path, in whichever form it came."""

from typing import Any

import pytest

from indexer.catalogue.reading import text_at, values_at


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"a": {"b": "mug"}}, ["mug"]),
        ({"a.b": "mug"}, ["mug"]),
        ({"a": [{"b": "mug"}, {"b": ["cup", None]}, {}]}, ["mug", "cup"]),
        ({"a": {"b": [["mug"], "cup"]}}, ["mug", "cup"]),
        ({"a": {"b": None}, "ab": 1}, []),
        ({"a": "mug"}, []),
    ],
)
def test_values_are_found_in_lists_and_objects(document: dict[str, Any], found: list[str]) -> None:
    assert values_at(document, "a.b") == found
    assert text_at(document, "a.b") == (" ".join(found) or None)


def test_a_number_may_be_a_title() -> None:
    assert text_at({"title": 1984}, "title") == "1984"
    assert text_at({"title": {"en": "Mug"}}, "title") is None
