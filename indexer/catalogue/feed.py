"""Catalogue files to products, a line at a time; pure but for reading the stream it is given.

JSON lines or CSV, plain or gzip. A line that cannot be read becomes a Rejection with its number and
reason; the lines after it go on. A file that is damaged is read up to there, then AskedWrongly says
after which line.
"""

import csv
import gzip
import io
import json
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import orjson

from indexer.catalogue.product import Product, read_product
from indexer.catalogue.tally import SOURCE_CHARS_KEPT, Rejection
from indexer.errors import AskedWrongly, InvalidProduct

Format = Literal["jsonl", "csv"]
Line = tuple[int, bytes]
GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
SEPARATORS = (",", ";", "\t", "|")
ROW_LINES_MAX = 10_000  # a quote that is open for longer is taken for one that was forgotten
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
    separator = max(SEPARATORS, key=first.decode("utf-8", "replace").count)
    names = _names(_header(first), separator)
    previous_limit = csv.field_size_limit(line_bytes_max)
    try:
        yield from _rows(_RowLines(lines, line_bytes_max), names, separator, fields)
    finally:
        csv.field_size_limit(previous_limit)


@dataclass(slots=True)
class _RowLines:
    """Lines for the csv module; those of the row under way are held, so that it can be undone."""

    lines: Iterator[Line]
    bytes_max: int
    held: list[Line] = field(default_factory=list)
    held_bytes: int = 0
    again: deque[Line] = field(default_factory=deque)
    damage: AskedWrongly | None = None  # what ended the lines, if not the end of the file

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._next_line()
        self.held.append(line)
        self.held_bytes += len(line[1]) + 1
        if self.held_bytes > self.bytes_max + 1:
            raise csv.Error(f"no end within {self.bytes_max} bytes")
        if len(self.held) > ROW_LINES_MAX:
            raise csv.Error(f"no end within {ROW_LINES_MAX} lines")
        return line[1].decode("utf-8", "surrogateescape") + "\n"

    @property
    def number(self) -> int:
        """Where the row under way begins."""
        return self.held[0][0]

    @property
    def source(self) -> bytes:
        """The row under way as it stands in the file."""
        return b"\n".join(line for _, line in self.held)

    def begin_row(self) -> None:
        """The row before is done with."""
        self.held, self.held_bytes = [], 0

    def undo_row(self) -> None:
        """All lines of the row but its first will be read again."""
        self.again.extendleft(reversed(self.held[1:]))

    def _next_line(self) -> Line:
        if self.again:
            return self.again.popleft()
        try:
            return next(self.lines)
        except AskedWrongly as damage:
            self.damage = damage
            raise StopIteration from None


@dataclass(slots=True)
class _Doubt:
    """After a line that is not CSV, what follows may be the rest of its row and no product.

    It ends with a row that has as many cells as the rows before and no odd quote.
    """

    cells: int
    since: int = 0  # the line it began with; 0 for none

    def check(self, row: list[str], lines: _RowLines) -> None:
        """Raise csv.Error when this may be no row of its own."""
        if self.since and (len(row) != self.cells or lines.source.count(b'"') % 2):
            raise csv.Error(f"it may belong to line {self.since}, which cannot be read")
        self.cells, self.since = len(row), 0


def _rows(
    lines: _RowLines, names: list[str], separator: str, fields: Mapping[str, str]
) -> Iterator[tuple[int, Product | Rejection]]:
    """Of a row that is not CSV its first line is rejected, and the others are read again.

    A quote that was not closed may have swallowed them.
    """
    rows = csv.reader(lines, delimiter=separator, strict=True)
    doubt = _Doubt(len(names))
    while True:
        lines.begin_row()
        try:
            row = next(rows)
            if not any(row):
                continue
            if len(lines.held) > 1:
                _check_count(row, names)
            doubt.check(row, lines)
        except StopIteration:
            break
        except (csv.Error, InvalidProduct) as error:
            number, line = lines.held[0]
            doubt.since = doubt.since or number
            lines.undo_row()
            yield number, Rejection(number, _not_csv(error, line, lines.bytes_max), _shown(line))
            continue
        yield lines.number, _row_product(lines, names, row, fields)
    if lines.damage:
        raise lines.damage


def _not_csv(error: Exception, line: bytes, line_bytes_max: int) -> str:
    """Why a line is rejected and what to do."""
    if len(line) > line_bytes_max:
        return f"the line is longer than {line_bytes_max} bytes"
    if b"\r" in line:
        return (
            f"not CSV ({error}): end lines with a line feed, or quote cells that hold line breaks"
        )
    return (
        f"not CSV ({error}): close each quote that opens a cell, and write a quote inside a quoted "
        'cell twice ("")'
    )


def _row_product(
    lines: _RowLines, names: list[str], row: list[str], fields: Mapping[str, str]
) -> Product | Rejection:
    try:
        return read_product(_cells(names, row, fields), fields)
    except InvalidProduct as error:
        return Rejection(lines.number, error.message, _shown(lines.source))


def _check_count(row: list[str], names: list[str]) -> None:
    if len(row) > len(names):
        raise InvalidProduct(f"{len(row)} cells under a header of {len(names)}")


def _cells(names: list[str], row: list[str], fields: Mapping[str, str]) -> dict[str, Any]:
    _check_count(row, names)
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


def _names(header: str, separator: str) -> list[str]:
    try:
        names = next(csv.reader([header], delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise AskedWrongly(
            f"the header of the CSV file cannot be read ({error}): write it in one line that ends "
            "with a line feed, with closed quotes"
        ) from None
    if len(set(names)) < len(names) or not all(names):
        raise AskedWrongly(
            f"the header of the CSV file needs distinct names, it is {json.dumps(names)}"
        )
    return names


def _lines(stream: BinaryIO, line_bytes_max: int) -> Iterator[Line]:
    """Lines with their numbers; of one that is too long only `line_bytes_max + 1` bytes."""
    number = 0
    try:
        while line := stream.readline(line_bytes_max + 1):
            rest = line
            while len(rest) > line_bytes_max and not rest.endswith(b"\n"):
                rest = stream.readline(line_bytes_max + 1)
            number += 1
            bare = line.rstrip(b"\r\n")
            yield number, bare.removeprefix(BOM) if number == 1 else bare
    except (OSError, EOFError, zlib.error) as error:
        raise AskedWrongly(
            f"the file is damaged after line {number} ({error}): the lines up to it are sent; "
            "send a whole file, products that did not change are not done again"
        ) from None


def _is_gzip(stream: BinaryIO) -> bool:
    return isinstance(stream, io.BufferedReader) and stream.peek(2)[:2] == GZIP_MAGIC


def _shown(line: bytes) -> str:
    return line[: SOURCE_CHARS_KEPT * 4].decode("utf-8", "replace")[:SOURCE_CHARS_KEPT]
