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


def titles(found: list[tuple[int, Product | Rejection]]) -> dict[str, str | None]:
    return {one.id: one.title for _, one in found if isinstance(one, Product)}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_breaks_in_a_quoted_csv_cell_are_kept(ending: str) -> None:
    rows = ["id,title,description", '1,Bag,"Waterproof', "canvas", "", 'for ""rain"""', "2,Cup,"]
    found = read(ending.join(rows) + ending, "csv")
    assert good(found) == [(2, "1"), (6, "2")]
    assert cast(Product, found[0][1]).description == 'Waterproof\ncanvas\n\nfor "rain"'


@pytest.mark.parametrize(
    "after",
    [
        'm3,"A title",5\nm4,Cup,6\n',
        "m3,A title,5\nm4,Cup,6\n",
        'm3,"A title",5\nm4,Cup,6',
        'm3,A title,5\n\nm4,"Cu""p",6\n',
        'm3,A title,5\nm4,"Two\nlines",6\n',
        'm3,"",5\nm4,Cup,6\nm3,"A title",5\n',
    ],
)
def test_an_unclosed_quote_rejects_its_line_and_swallows_none(after: str) -> None:
    found = read('id,title,price\nm1,Mug,5\nm2,"unclosed title,6\n' + after, "csv")
    assert {"m1", "m3", "m4"} == set(titles(found))
    (line, reason), *_ = bad(found)
    assert line == 3
    assert "close each quote" in reason
    (source, *_) = [one.source for _, one in found if isinstance(one, Rejection)]
    assert source == 'm2,"unclosed title,6'


def test_each_unclosed_quote_is_a_rejection_of_its_own() -> None:
    found = read('id,title\n1,"a\n2,"b\n3,c\n4,"d\n5,e\n6,"f', "csv")
    assert [line for line, _ in bad(found)] == [2, 3, 5, 7]
    assert good(found) == [(4, "3"), (6, "5")]


def test_a_quote_alone_in_a_quoted_cell_rejects_its_line() -> None:
    found = read('id,title\n1,19" monitor\n2,"a 19" monitor"\n3,"a 19"" monitor"\n', "csv")
    assert [line for line, _ in bad(found)] == [3]
    assert titles(found) == {"1": '19" monitor', "3": 'a 19" monitor'}


def test_the_rest_of_a_row_with_a_bad_quote_is_no_product() -> None:
    found = read(
        "id,title,price\n"
        '1,"Waterproof\nthe "best" canvas\nred, blue\nor green",6\n2,Cup,5\n3,Mug\n',
        "csv",
    )
    assert good(found) == [(6, "2"), (7, "3")]
    assert [line for line, _ in bad(found)] == [2, 3, 4, 5]
    assert all("may belong to line 2" in reason for _, reason in bad(found)[1:])


def test_rows_shorter_than_the_header_go_on_after_a_bad_quote() -> None:
    found = read('id,title,price\n1,a\n2,"b\n3,c\n4,d\n', "csv")
    assert good(found) == [(2, "1"), (4, "3"), (5, "4")]


def test_a_row_that_a_quote_made_too_wide_gives_its_lines_back() -> None:
    found = read('id,title\n1,"a\n2,b\n3,c",d\n4,e\n', "csv")
    assert good(found) == [(3, "2"), (5, "4")]
    assert bad(found)[0][0] == 2
    assert "3 cells under a header of 2" in bad(found)[0][1]


def test_an_open_quote_holds_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{number},cup\n" for number in range(1000))
    found = read('id,title\nx,"a\n' + rows, "csv")
    assert len(good(found)) == 1000
    ((line, reason),) = bad(found)
    assert line == 2
    assert f"no end within {LINE_BYTES_MAX} bytes" in reason
    monkeypatch.setattr(feed, "ROW_LINES_MAX", 20)
    found = read('id,title\nx,"a\n' + rows, "csv")
    assert len(good(found)) == 1000
    assert "no end within 20 lines" in bad(found)[0][1]


def test_a_csv_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    fits = "1," + "x" * (LINE_BYTES_MAX - 2)
    assert good(read(f"id,title\r\n{fits}\r\n", "csv")) == [(2, "1")]
    found = read(f"id,title\n{fits}x\n2,cup\n", "csv")
    assert bad(found) == [(2, f"the line is longer than {LINE_BYTES_MAX} bytes")]
    assert good(found) == [(3, "2")]


def test_a_csv_line_with_a_bare_carriage_return_is_rejected() -> None:
    found = read("id,title\n1,a\rb\n2,c\n", "csv")
    assert good(found) == [(3, "2")]
    assert "line feed" in bad(found)[0][1]


@pytest.mark.parametrize("header", ['id,"title\n1,a\n', "id,title\r1,a\r"])
def test_a_csv_header_that_cannot_be_read_is_said(header: str) -> None:
    with pytest.raises(AskedWrongly, match="in one line"):
        read(header, "csv")


CELL = st.sampled_from(["{}", '"{}', '{}"', '"{}"', '{}""', '{}"{}', '"{}""', '""{}'])


@given(st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=12))
def test_no_word_of_a_csv_feed_is_lost(shapes: list[list[str]]) -> None:
    rows = [
        [cell.format(*[f"w{row}x{column}."] * 2) for column, cell in enumerate(cells)]
        for row, cells in enumerate(shapes)
    ]
    found = read("id,title,colour\n" + "\n".join(map(",".join, rows)), "csv")
    numbers = [number for number, _ in found]
    assert numbers == sorted(set(numbers))
    said = repr(found)
    assert all(
        f"w{row}x{column}." in said
        for row, cells in enumerate(rows)
        for column in range(len(cells))
    )


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_truncated_gzip_is_read_up_to_the_damage(tmp_path: Path, form: feed.Format) -> None:
    lines = [f'{{"id":"{number}","title":"a"}}' for number in range(2000)]
    if form == "csv":
        lines = ["id,title", *(f"{number},a" for number in range(2000))]
    path = tmp_path / "feed.gz"
    whole = gzip.compress("\n".join(lines).encode())
    path.write_bytes(whole[: len(whole) // 2])
    found: list[int] = []
    with (
        feed.open_feed(str(path), io.BytesIO()) as stream,
        pytest.raises(AskedWrongly, match=r"damaged after line \d+ \(.*end-of-stream") as raised,
    ):
        found.extend(n for n, _ in feed.read_feed(stream, form, {}, LINE_BYTES_MAX))
    assert 0 < found[-1] < 2000
    assert f"after line {found[-1]} " in str(raised.value)


def test_rows_behind_an_open_quote_are_read_before_the_damage_is_told() -> None:
    class Damaged(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            line = super().readline(size)
            if not line:
                raise EOFError("cut off")
            return line

    found = []
    with pytest.raises(AskedWrongly, match=r"damaged after line 4 \(cut off\)"):
        found.extend(feed.read_feed(Damaged(b'id,title\n1,"a\n2,b\n3,c\n'), "csv", {}, 1000))
    assert good(found) == [(3, "2"), (4, "3")]
    assert [line for line, _ in bad(found)] == [2]
