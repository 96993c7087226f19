"""The catalogue that the gateway's tests ask: lamps for deep pages, and a few other goods."""

import itertools
from collections.abc import Iterator
from typing import Any

LAMPS = 330
COLOURS = ("red", "blue", "green", "black", "white")
MATERIALS = ("glass", "steel", "paper")
KINDS = ("desk", "floor", "wall", "ceiling")
# Beside our own fields, what a shop's mapping has and the default one has not.
MORE_FIELDS: dict[str, Any] = {
    "released": {"type": "date"},
    "offers": {
        "type": "nested",
        "properties": {"seller": {"type": "keyword"}, "price": {"type": "double"}},
    },
}


def products() -> Iterator[dict[str, Any]]:
    """Every product of the shop."""
    looks = itertools.cycle(itertools.product(COLOURS, MATERIALS, KINDS))
    for number, (colour, material, kind) in zip(range(LAMPS), looks, strict=False):
        yield {
            "id": f"lamp-{number}",
            "title": f"{colour} {material} {kind} lamp {number}",
            "description": "Warm light for a table" if number % 2 else "Cold light for a shelf",
            "brand": "acme" if number % 3 else "zeta",
            "price": 10 + number,
            "popularity": number % 7,
            "available": number % 10 != 0,
            "attributes": {"watt": str(number % 12)},
            "released": f"2024-{1 + number % 3:02d}-{1 + number % 28:02d}",
            "offers": [
                {"seller": "s1", "price": 9 + number},
                {"seller": f"s{2 + number % 2}", "price": 8 + number},
            ],
        }
    titles = ("Wireless earphones", "Bluetooth headphones", "Running shoes", "蓝牙台灯")
    for number, title in enumerate(titles):
        yield {"id": f"other-{number}", "title": title, "brand": "omni", "price": 5.0 + number}
