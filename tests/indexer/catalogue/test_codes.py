"""Codes as they are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue import codes


@pytest.mark.parametrize(
    "text", ["BRK.B", "brk b", " Brk-B ", "BRK/B", "ＢＲＫ．Ｂ", "brk　b", "brkb"]
)
def test_case_width_and_signs_do_not_matter(text: str) -> None:
    assert codes.folded(text) == "brkb"


@pytest.mark.parametrize("text", ["", " ?!", "6" * (codes.CODE_CHARS_MAX + 1)])
def test_what_cannot_be_a_code_is_none(text: str) -> None:
    assert codes.folded(text) == ""


@given(st.from_regex(r"[A-Za-z0-9]{1,12}", fullmatch=True), st.sampled_from("-./ _·"))
def test_a_sign_anywhere_changes_nothing(code: str, sign: str) -> None:
    assert {codes.folded(sign.join(code)), codes.folded(f"{sign}{code.upper()}{sign}")} == {
        codes.folded(code)
    }


def test_codes_are_read_where_they_stand_and_once() -> None:
    document = {
        "sku": ["A-1", "a 1", 7, None, True],
        "ids": {"isin": "US0378331005", "other": 1},
        "name": "no code",
    }
    found = codes.of(document, ("sku", "ids.isin", "missing", "ids"))
    assert found == ["a1", "7", "us0378331005"]
    assert document["ids"] == {"isin": "US0378331005", "other": 1}
