"""Who asks, when and where: the same for the whole list, but for domain and page; pure."""

import math
import re
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import DAY_SECONDS, PURCHASE
from indexer.catalogue import card
from reranker.signals import declared, definition
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
OF_ITEMS = ("same_page", "same_domain")  # all others are the same for the whole list
_NAMES = tuple(signal.name for signal in definition.CONTEXT)
_SAME_PAGE, _SAME_DOMAIN = (_NAMES.index(name) for name in OF_ITEMS)
_PARTS = re.compile(r"[/:>|]")


def compute(situation: Situation, into: Array) -> None:
    """Write the family `context` [its signals, n]."""
    found = {**_shopper(situation), **_clock(situation), **_page(situation)}
    found["candidates"] = math.log1p(len(situation.items))
    found |= dict.fromkeys(OF_ITEMS, 0.0)
    codes = declared.codes(situation.context, situation.context_keys)
    found |= dict(zip(declared.NAMES, codes.tolist(), strict=True))
    into[:] = np.array([found[name] for name in _NAMES], dtype=np.float32)[:, None]
    into[_SAME_PAGE] = _same_page(situation)
    into[_SAME_DOMAIN] = _same_domain(situation)


def _shopper(situation: Situation) -> dict[str, float]:
    header = situation.shopper.header
    days = (situation.now - float(header["last"])) / DAY_SECONDS
    return {
        "shopper_items": math.log1p(len(situation.shopper)),
        "shopper_purchases": math.log1p(max(float(header["events"][PURCHASE]), 0.0)),
        "shopper_days": math.log1p(max(days, 0.0)) if math.isfinite(days) else math.nan,
    }


def _clock(situation: Situation) -> dict[str, float]:
    """The hour is the shopper's own, so it comes with the request; the season from event time."""
    hour = _number(situation.context.get("hour"))
    weekday = _number(situation.context.get("weekday"))
    turn = 2 * math.pi * hour / 24
    day = 2 * math.pi * weekday / 7
    season = 2 * math.pi * _day_of_year(situation.now) / 365.25
    return {
        "hour_sine": math.sin(turn),
        "hour_cosine": math.cos(turn),
        "weekend": float(weekday >= SATURDAY) if math.isfinite(weekday) else math.nan,
        "weekday_sine": math.sin(day),
        "weekday_cosine": math.cos(day),
        "season_sine": math.sin(season),
        "season_cosine": math.cos(season),
    }


@lru_cache(maxsize=64)
def _day_of_year(now: float) -> int:
    """The watermark stands still between events, and reading a calendar takes a while."""
    return datetime.fromtimestamp(now, UTC).timetuple().tm_yday


def _number(value: object) -> float:
    """A finite number out of a free context value, else NaN."""
    if value is None:
        return math.nan
    try:
        said = float(str(value))
    except ValueError:
        return math.nan
    return said if math.isfinite(said) else math.nan


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


def _same_page(situation: Situation) -> NDArray[np.bool_]:
    """Whether the page is about the item's brand or one of its categories [n]."""
    same = np.zeros(len(situation.items), dtype=bool)
    for part in _page_parts(situation)[:PAGE_PARTS_MAX]:
        asked = card.token(part)
        same |= situation.cards["brand"] == asked
        same |= (situation.cards["categories"] == asked).any(axis=1)
    return same


def _same_domain(situation: Situation) -> NDArray[np.bool_]:
    asked = card.token(str(situation.context.get("domain") or "") or None)
    domain = situation.cards["domain"]
    same: NDArray[np.bool_] = (domain == asked) & (domain != 0)
    return same
