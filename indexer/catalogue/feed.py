"""Catalogue files to products, a line at a time; pure but for reading the stream it is given.

JSON lines or CSV, plain or gzip. A line that cannot be read becomes a Rejection with its number and
reason; the lines after it go on.
"""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import orjson

from indexer.catalogue.product import Product, read_product
from indexer.catalogue.tally import SOURCE_CHARS_KEPT, Rejection
from indexer.errors import AskedWrongly, InvalidProduct

Format = Literal["jsonl", "csv"]
GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
SEPARATORS = (",", ";", "\t", "|")
LIST_SEPARATOR = "|"
LIST_FIELDS = ("categories", "images")


def format_of(path: str) -> Format:
    """By the file name; standard input and unknown names are JSON lines."""
    name = path.removesuffix(".gz").lower()
    return "csv" if name.endswith((".csv", ".tsv")) else "jsonl"


def open_feed(path: str, standard_input: BinaryIO) -> BinaryIO:
    """The bytes of a file, `-` for standard input; gzip is recognised by its first bytes."""
    if path == "-":
        plain = standard_input
    else:
        try:
            plain = Path(path).open("rb")  # noqa: SIM115 - the caller closes it
        except OSError as error:
            raise AskedWrongly(f"{path} cannot be read: {error.strerror}") from None
    return cast(BinaryIO, gzip.GzipFile(fileobj=plain) if _is_gzip(plain) else plain)


def read_feed(
    stream: BinaryIO, form: Format, fields: Mapping[str, str], line_bytes_max: int
) -> Iterator[tuple[int, Product | Rejection]]:
    """Each line of the feed as (number from 1, product or what is wrong); blank lines are none."""
    read = read_csv if form == "csv" else read_jsonl
    return read(stream, fields, line_bytes_max)


def read_jsonl(
    stream: BinaryIO, fields: Mapping[str, str], line_bytes_max: int
) -> Iterator[tuple[int, Product | Rejection]]:
    """One JSON object a line."""
    for number, line in _lines(stream, line_bytes_max):
        if line.strip():
            yield number, _product(number, line, fields, line_bytes_max)


def _product(
    number: int, line: bytes, fields: Mapping[str, str], line_bytes_max: int
) -> Product | Rejection:
    try:
        return read_product(_decoded(line, line_bytes_max), fields)
    except InvalidProduct as error:
        return Rejection(number, error.message, _shown(line))


def _decoded(line: bytes, line_bytes_max: int) -> dict[str, Any]:
    if len(line) > line_bytes_max:
        raise InvalidProduct(f"the line is longer than {line_bytes_max} bytes")
    try:
        decoded = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidProduct(f"not JSON in UTF-8: {error}") from None
    if not isinstance(decoded, dict):
        raise InvalidProduct(f"a line holds one JSON object, this one a {type(decoded).__name__}")
    return decoded


def read_csv(
    stream: BinaryIO, fields: Mapping[str, str], line_bytes_max: int
) -> Iterator[tuple[int, Product | Rejection]]:
    """Rows under a header; empty cells say nothing, lists are split at `|`."""
    lines = _lines(stream, line_bytes_max)
    _, first = next(lines, (0, b""))
    header = _header(first)
    separator = max(SEPARATORS, key=first.decode("utf-8", "replace").count)
    position = _Position(1)
    texts = _texts(lines, position)
    names = next(csv.reader([header], delimiter=separator), [])
    _check_header(names)
    rows = csv.reader(texts, delimiter=separator)
    previous_limit = csv.field_size_limit(line_bytes_max)
    try:
        yield from _rows(rows, names, fields, position, line_bytes_max)
    finally:
        csv.field_size_limit(previous_limit)


@dataclass(slots=True)
class _Position:
    """The number of the line read last; a quoted cell may hold several lines."""

    line: int


def _texts(lines: Iterator[tuple[int, bytes]], position: _Position) -> Iterator[str]:
    for number, line in lines:
        position.line = number
        yield line.decode("utf-8", "surrogateescape")


def _rows(
    rows: Iterator[list[str]],
    names: list[str],
    fields: Mapping[str, str],
    position: _Position,
    line_bytes_max: int,
) -> Iterator[tuple[int, Product | Rejection]]:
    while True:
        number = position.line + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, Rejection(number, f"not CSV: {error}", "")
            continue
        if not any(row):
            continue
        try:
            yield number, read_product(_cells(names, row, fields, line_bytes_max), fields)
        except InvalidProduct as error:
            shown = ",".join(row).encode("utf-8", "surrogateescape")
            yield number, Rejection(number, error.message, _shown(shown))


def _cells(
    names: list[str], row: list[str], fields: Mapping[str, str], line_bytes_max: int
) -> dict[str, Any]:
    size = sum(len(cell) for cell in row)
    if size > line_bytes_max:
        raise InvalidProduct(f"the row is longer than {line_bytes_max} bytes")
    if len(row) > len(names):
        raise InvalidProduct(f"{len(row)} cells under a header of {len(names)}")
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        raise InvalidProduct("not UTF-8") from None
    cells: dict[str, Any] = {
        name: cell for name, cell in zip(names, row, strict=False) if cell.strip()
    }
    for ours in LIST_FIELDS:
        theirs = fields.get(ours, ours)
        if theirs in cells:
            cells[theirs] = [part.strip() for part in cells[theirs].split(LIST_SEPARATOR)]
    attributes = fields.get("attributes", "attributes")
    if attributes in cells:
        cells[attributes] = _attributes(cells[attributes])
    return cells


def _attributes(cell: str) -> Any:
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        raise InvalidProduct(f"attributes: write a JSON object (is {cell[:60]!r})") from None


def _header(line: bytes) -> str:
    try:
        return line.decode().strip()
    except UnicodeDecodeError:
        raise AskedWrongly("the header of the CSV file is not UTF-8: convert the file") from None


def _check_header(names: list[str]) -> None:
    if len(set(names)) < len(names) or not all(names):
        raise AskedWrongly(
            f"the header of the CSV file needs distinct names, it is {json.dumps(names)}"
        )


def _lines(stream: BinaryIO, line_bytes_max: int) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; of one that is too long only `line_bytes_max + 1` bytes."""
    number = 0
    while line := stream.readline(line_bytes_max + 1):
        number += 1
        rest = line
        while len(rest) > line_bytes_max and not rest.endswith(b"\n"):
            rest = stream.readline(line_bytes_max + 1)
        bare = line.rstrip(b"\r\n")
        yield number, bare.removeprefix(BOM) if number == 1 else bare


def _is_gzip(stream: BinaryIO) -> bool:
    return isinstance(stream, io.BufferedReader) and stream.peek(2)[:2] == GZIP_MAGIC


def _shown(line: bytes) -> str:
    return line[: SOURCE_CHARS_KEPT * 4].decode("utf-8", "replace")[:SOURCE_CHARS_KEPT]
