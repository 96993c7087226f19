"""A shop of any size for the benchmark: goods and behaviour recombined from the sample."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from compose.sample import recombine

PURCHASES = recombine.SAMPLE.with_name("onlineretail-purchases.ndjson.gz")
# Prime, so that the sample's items spread over all of the recombined ones.
STRIDE = 7919


def write_products(file: Path, items: int, seed: int) -> None:
    """`items` products with distinct titles."""
    with file.open("wb") as out:
        sample = recombine.read_products(recombine.SAMPLE)
        recombine.write(out, recombine.recombined(sample, items, seed))


def write_purchases(file: Path, index: str, items: int) -> None:
    """The sample's purchases, each item standing for one of the recombined ones."""
    with file.open("wb") as out:
        recombine.write(out, purchases(index, items))


def purchases(index: str, items: int) -> Iterator[dict[str, Any]]:
    """The sample's purchase events over `items` recombined products of `index`."""
    sample = recombine.read_products(recombine.SAMPLE)
    stands_for = {
        product["id"]: f"r{1 + row * STRIDE % items:07d}" for row, product in enumerate(sample)
    }
    with gzip.open(PURCHASES) as lines:
        for line in lines:
            event = orjson.loads(line)
            bought = event["event_attributes"]["object"]
            bought["object_id"] = stands_for.get(bought["object_id"], "r0000001")
            yield event | {"application": index}


def shoppers() -> list[str]:
    """Who bought anything in the sample."""
    return sorted({event["user_id"] for event in purchases("any", 1)})
