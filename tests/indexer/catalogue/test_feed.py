"""Feeds: each line a product or a rejection with its number, and the lines after it go on."""

import gzip
import io
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue import feed
from indexer.catalogue.product import Product
from indexer.catalogue.tally import Rejection
from indexer.errors import AskedWrongly

LINE_BYTES_MAX = 1000


def read(
    text: bytes | str, form: feed.Format = "jsonl", fields: dict[str, str] | None = None
) -> list[tuple[int, Product | Rejection]]:
    data = text.encode() if isinstance(text, str) else text
    return list(feed.read_feed(io.BytesIO(data), form, fields or {}, LINE_BYTES_MAX))


def good(found: list[tuple[int, Product | Rejection]]) -> list[tuple[int, str]]:
    return [(number, one.id) for number, one in found if isinstance(one, Product)]


def bad(found: list[tuple[int, Product | Rejection]]) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for _, one in found if isinstance(one, Rejection) and one.line]


def test_bad_lines_are_rejected_with_number_reason_and_source() -> None:
    found = read(
        b'{"id":"1","title":"Mug"}\n'
        b"{not json}\n"
        b"\n"
        b'{"id":"2","title":"caf\xe9"}\n'
        b"[1]\n"
        b'{"id":"3","title":"Cup","price":NaN}\n'
        b'{"id":"4","title":"Cup"}'
    )
    assert good(found) == [(1, "1"), (7, "4")]
    assert [line for line, _ in bad(found)] == [2, 4, 5, 6]
    assert "JSON" in bad(found)[0][1]
    assert "one JSON object" in bad(found)[2][1]
    sources = [one.source for _, one in found if isinstance(one, Rejection)]
    assert sources[0] == "{not json}"
    assert "caf" in sources[1]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
def test_a_line_may_be_as_long_as_the_limit_and_no_longer(ending: bytes) -> None:
    line = b'{"id":"1","title":"' + b"x" * (LINE_BYTES_MAX - 21) + b'"}'
    assert len(line) == LINE_BYTES_MAX
    assert good(read(line + ending)) == [(1, "1")]
    longer = line[:-2] + b'x"}'
    found = read(longer + ending + b'{"id":"2","title":"b"}' if ending else longer)
    assert bad(found) == [(1, f"the line is longer than {LINE_BYTES_MAX} bytes")]
    assert good(found) == ([(2, "2")] if ending else [])


def test_a_huge_line_is_skipped_without_being_held() -> None:
    huge = b'{"id":"1","title":"' + b"x" * (50 * LINE_BYTES_MAX) + b'"}\n'
    found = read(huge + b'{"id":"2","title":"b"}\n')
    assert good(found) == [(2, "2")]
    (rejection,) = [one for _, one in found if isinstance(one, Rejection)]
    assert len(rejection.source) <= LINE_BYTES_MAX + 1


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert good(read(b'\xef\xbb\xbf{"id":"1","title":"a"}\n')) == [(1, "1")]
    assert good(read(b"\xef\xbb\xbfid,title\n1,a\n", "csv")) == [(2, "1")]


def test_csv_rows_are_products_with_lists_attributes_and_quoted_lines() -> None:
    found = read(
        "id,title,price,categories,attributes,colour\n"
        '1,"Mug, large",3.5,Kitchen|Mugs,"{""size"":""L""}",red\n'
        '2,"Two\nlines",,,,\n'
        "3,Cup,-1,,,\n"
        "4,Cup,1,,,,,\n"
        "5,Cup\n",
        "csv",
    )
    first = found[0][1]
    assert isinstance(first, Product)
    assert first.title == "Mug, large"
    assert first.price == 3.5
    assert first.categories == ("Kitchen", "Mugs")
    assert first.attributes == {"size": "L"}
    assert first.extra == {"colour": "red"}
    assert good(found) == [(2, "1"), (3, "2"), (7, "5")]
    assert [line for line, _ in bad(found)] == [5, 6]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_the_headers(separator: str) -> None:
    text = separator.join(["id", "title", "price"]) + "\n" + separator.join(["1", "Mug", "2"])
    assert good(read(text, "csv")) == [(2, "1")]


def test_a_csv_cell_that_is_not_utf8_rejects_its_row_alone() -> None:
    found = read(b"id,title\n1,caf\xe9\n2,cup\n", "csv")
    assert bad(found) == [(2, "not UTF-8")]
    assert good(found) == [(3, "2")]


def test_a_csv_header_must_name_each_column_once() -> None:
    with pytest.raises(AskedWrongly, match="distinct names"):
        read("id,id\n1,2\n", "csv")


def test_an_empty_feed_has_no_lines() -> None:
    assert read("") == []
    assert read("\n \n") == []
    assert read("id,title\n", "csv") == []


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("-", "jsonl"),
        ("a.jsonl", "jsonl"),
        ("a.ndjson.gz", "jsonl"),
        ("A.CSV", "csv"),
        ("a.csv.gz", "csv"),
        ("a.tsv", "csv"),
    ],
)
def test_the_format_is_that_of_the_name(path: str, form: str) -> None:
    assert feed.format_of(path) == form


def test_gzip_is_recognised_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "products.jsonl"
    path.write_bytes(gzip.compress(b'{"id":"1","title":"a"}\n'))
    with feed.open_feed(str(path), io.BytesIO()) as stream:
        assert good(list(feed.read_feed(stream, "jsonl", {}, LINE_BYTES_MAX))) == [(1, "1")]


def test_a_missing_file_is_named() -> None:
    with pytest.raises(AskedWrongly, match=r"nowhere\.jsonl"):
        feed.open_feed("nowhere.jsonl", io.BytesIO())


def test_a_field_mapping_holds_for_csv_columns_too() -> None:
    found = read(
        "sku,name,cats\n1,Mug,a|b\n", "csv", {"id": "sku", "title": "name", "categories": "cats"}
    )
    assert cast(Product, found[0][1]).categories == ("a", "b")


@given(st.binary(max_size=400), st.sampled_from(["jsonl", "csv"]))
def test_no_bytes_end_a_feed_early_or_go_uncounted(junk: bytes, form: feed.Format) -> None:
    head = b"\n" if form == "jsonl" else b"id,title\n"
    try:
        found = read(head + junk + b"\n", form)
    except AskedWrongly:
        return
    if form == "jsonl":
        lines = [line for line in junk.split(b"\n") if line.strip()]
        assert len(found) == len(lines)
