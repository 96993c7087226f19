"""Taking our part out of a body leaves everything else where it stands."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.retrieval.cut import without_own_ext
from reranker.retrieval.request import strip

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
EXT = st.dictionaries(st.sampled_from(["ubi", "hitweave", "other", "é"]), st.just({"a": [1, "ü"]}))
BODIES = st.dictionaries(st.text(max_size=3) | st.just("ext"), JSON, max_size=4)


@given(BODIES, EXT, st.permutations(range(5)), st.sampled_from([None, 1]), st.booleans())
def test_what_is_left_is_the_body_without_our_part_at_its_place(
    body: dict[str, Any], ext: dict[str, Any], order: list[int], indent: int | None, wide: bool
) -> None:
    whole = list({**body, "ext": ext}.items())
    shuffled = dict(whole[at] for at in order if at < len(whole))
    text = json.dumps(shuffled, indent=indent, ensure_ascii=not wide).encode("utf-8", "replace")
    rest = without_own_ext(text)
    if "ext" not in shuffled or not {"ubi", "hitweave"} & set(ext):
        assert rest is None
        return
    assert rest is not None
    assert json.loads(rest) == strip(json.loads(text))[0]
    if len(rest) == len(text):
        assert all(was == now or now == 32 for was, now in zip(text, rest, strict=True))
    else:  # what stands last leaves no blanks, since nothing after it could move
        assert list(shuffled)[-1] == "ext"
        assert text.startswith(rest[:-1].rstrip())


def test_a_name_given_twice_is_left_to_whoever_reads_it() -> None:
    assert without_own_ext(b'{"ext": {"ubi": {}}, "ext": {"ubi": {}}}') is None


@pytest.mark.parametrize("text", [b"[]", b'"lamp"'])
def test_what_is_no_object_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match="object"):
        without_own_ext(text)
