"""A large catalogue of distinct products, recombined from a small one; the seed decides all of it.

`python -m compose.sample.recombine --count 100000 > large.jsonl`: each title is the beginning of
one and the end of another, so words keep their frequencies and no text is met twice.
"""

import gzip
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

import click
import orjson

SAMPLE = Path(__file__).with_name("onlineretail-products.jsonl.gz")


def recombined(
    products: Sequence[dict[str, Any]], count: int, seed: int
) -> Iterator[dict[str, Any]]:
    """`count` products with distinct titles, made of parts of those that are given."""
    random = Random(seed)  # noqa: S311 - reproducible on purpose
    seen = {str(product["title"]) for product in products}
    made = 0
    while made < count:
        first, second = random.choice(products), random.choice(products)
        title = joined(str(first["title"]).split(), str(second["title"]).split(), random)
        if title in seen:
            continue
        seen.add(title)
        made += 1
        yield {**first, "id": f"r{made:07d}", "title": title, "price": second.get("price")}


def joined(beginning: Sequence[str], end: Sequence[str], random: Random) -> str:
    """Some first words of one title, some last words of the other."""
    first = random.randint(1, len(beginning))
    last = random.randint(1, len(end))
    return " ".join((*beginning[:first], *end[-last:]))


def read_products(path: Path) -> list[dict[str, Any]]:
    """The products of a JSONL file, plain or gzip."""
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [orjson.loads(line) for line in text.splitlines() if line]


@click.command()
@click.option("--count", default=100_000, show_default=True, help="How many products.")
@click.option("--seed", default=1, show_default=True, help="Another seed, another catalogue.")
@click.option(
    "--products",
    default=SAMPLE,
    show_default=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The catalogue to recombine, JSON lines with id and title.",
)
def main(count: int, seed: int, products: Path) -> None:
    """Write COUNT products as JSON lines to standard output."""
    write(sys.stdout.buffer, recombined(read_products(products), count, seed))


def write(output: BinaryIO, products: Iterator[dict[str, Any]]) -> None:
    """One JSON object a line."""
    output.writelines(
        orjson.dumps(product, option=orjson.OPT_APPEND_NEWLINE) for product in products
    )


if __name__ == "__main__":
    main()
