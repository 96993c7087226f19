"""Who asks, when and where: the same for the whole list, but for domain and page; pure."""

import re
from datetime import UTC, datetime

import numpy as np

from indexer.behaviour.popularity import DAY_SECONDS, PURCHASE
from indexer.catalogue import card
from reranker.signals import declared
from reranker.signals.listwise import Array
from reranker.signals.situation import Situation

SATURDAY = 5  # Monday is 0
PHONES, DESKTOPS = ("mobile", "phone"), ("desktop", "laptop", "pc")
# What shops call their pages, by the signal that tells of it; `category/lamps` is a category.
PAGES = {
    "page_home": ("home", "index", "start", "landing"),
    "page_listing": ("category", "listing", "list", "brand", "collection", "search"),
    "page_item": ("item", "product", "detail", "pdp"),
    "page_cart": ("cart", "basket", "checkout"),
}
PAGE_PARTS_MAX = 6
_PARTS = re.compile(r"[/:>|]")


def compute(situation: Situation) -> dict[str, Array]:
    """Columns [n] of the family `context`."""
    n = len(situation.items)
    found = {**_shopper(situation), **_clock(situation), **_page(situation)}
    found["candidates"] = float(np.log1p(n))
    codes = declared.codes(situation.context, situation.context_keys)
    found |= dict(zip(declared.NAMES, codes.tolist(), strict=True))
    values = np.array(list(found.values()), dtype=np.float32)
    columns = dict(zip(found, np.repeat(values[:, None], n, axis=1), strict=True))
    return {**columns, "same_domain": _same_domain(situation), "same_page": _same_page(situation)}


def _shopper(situation: Situation) -> dict[str, float]:
    header = situation.shopper.header
    days = (situation.now - float(header["last"])) / DAY_SECONDS
    return {
        "shopper_items": float(np.log1p(len(situation.shopper))),
        "shopper_purchases": float(np.log1p(header["events"][PURCHASE])),
        "shopper_days": float(np.log1p(max(days, 0.0))) if np.isfinite(days) else float("nan"),
    }


def _clock(situation: Situation) -> dict[str, float]:
    """The hour is the shopper's own, so it comes with the request; the season from event time."""
    hour = _number(situation.context.get("hour"))
    weekday = _number(situation.context.get("weekday"))
    turn = 2 * np.pi * hour / 24
    day = 2 * np.pi * weekday / 7
    season = 2 * np.pi * datetime.fromtimestamp(situation.now, UTC).timetuple().tm_yday / 365.25
    return {
        "hour_sine": float(np.sin(turn)),
        "hour_cosine": float(np.cos(turn)),
        "weekend": float(weekday >= SATURDAY) if np.isfinite(weekday) else float("nan"),
        "weekday_sine": float(np.sin(day)),
        "weekday_cosine": float(np.cos(day)),
        "season_sine": float(np.sin(season)),
        "season_cosine": float(np.cos(season)),
    }


def _number(value: object) -> float:
    """A finite number out of a free context value, else NaN."""
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def _page(situation: Situation) -> dict[str, float]:
    """Flags of device and page; none of them where the request does not say."""
    device = str(situation.context.get("device") or "").casefold()
    kind = next(iter(_page_parts(situation)), "").casefold()
    return {
        "mobile": float(device in PHONES),
        "desktop": float(device in DESKTOPS),
        **{name: float(kind in called) for name, called in PAGES.items()},
    }


def _page_parts(situation: Situation) -> list[str]:
    """The words of a page such as `category/Lamps`: its kind, then what it is about."""
    said = str(situation.context.get("page") or "")
    return [part.strip() for part in _PARTS.split(said) if part.strip()]


def _same_page(situation: Situation) -> Array:
    """Whether the page is about the item's brand or one of its categories [n]."""
    same = np.zeros(len(situation.items), dtype=bool)
    for part in _page_parts(situation)[:PAGE_PARTS_MAX]:
        asked = card.token(part)
        same |= situation.cards["brand"] == asked
        same |= (situation.cards["categories"] == asked).any(axis=1)
    return same.astype(np.float32)


def _same_domain(situation: Situation) -> Array:
    asked = card.token(str(situation.context.get("domain") or "") or None)
    domain = situation.cards["domain"]
    same: Array = ((domain == asked) & (domain != 0)).astype(np.float32)
    return same
