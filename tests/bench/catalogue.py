"""A shop of any size for the benchmark: titles and behaviour recombined from the sample."""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compose.sample

SAMPLE = Path(str(compose.sample.__file__)).parent
PRODUCTS = SAMPLE / "onlineretail-products.jsonl.gz"
PURCHASES = SAMPLE / "onlineretail-purchases.ndjson.gz"


def sample_products() -> list[dict[str, Any]]:
    """The sample catalogue."""
    with gzip.open(PRODUCTS, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def recombined(items: int, seed: int) -> Iterator[dict[str, Any]]:
    """`items` products with distinct titles: the beginning of one title, the end of another."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    titles = [product["title"].split() for product in sample_products()]
    seen: set[str] = set()
    while len(seen) < items:
        first, last = chance.choice(titles), chance.choice(titles)
        words = first[: chance.randint(1, len(first))] + last[chance.randint(0, len(last) - 1) :]
        title = " ".join(words)
        if title in seen:
            continue
        seen.add(title)
        price = round(chance.uniform(0.2, 60.0), 2)
        yield {"id": f"r{len(seen)}", "title": title, "price": price, "currency": "GBP"}


def recombined_purchases(index: str, items: int) -> Iterator[dict[str, Any]]:
    """The sample's purchases, each item standing for one of the recombined ones."""
    stands_for = {p["id"]: f"r{1 + row * 7919 % items}" for row, p in enumerate(sample_products())}
    with gzip.open(PURCHASES, "rt", encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            item = event["event_attributes"]["object"]
            item["object_id"] = stands_for.get(item["object_id"], "r1")
            yield event | {"application": index}


def write(file: Path, lines: Iterator[dict[str, Any]]) -> Path:
    """One JSON object a line."""
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    return file
