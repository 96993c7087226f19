"""Every signal of the ranking model, declared once; pure.

Training and serving fill the same declared columns in the same order; `digest()` is stamped into
each artifact, and an artifact made for other declarations is refused. A signal that cannot be
computed is NaN until `fill` puts its declared default, so that missing is not zero by accident.
"""

import hashlib
import math
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reranker.signals.compiled import FLOAT_ROWS, FLOATS, INTO, compiled

Family = Literal[
    "relevance", "title", "product", "popularity", "search", "personal", "together", "context"
]
FAMILIES: tuple[Family, ...] = (
    "relevance",
    "title",
    "product",
    "popularity",
    "search",
    "personal",
    "together",
    "context",
)


@dataclass(frozen=True)
class Signal:
    """One column: `window` says what span of time it looks back on, `default` stands for NaN."""

    name: str
    family: Family
    unit: str
    low: float
    high: float
    default: float
    window: str
    says: str


def _s(
    family: Family,
    name: str,
    unit: str,
    bounds: tuple[float, float],
    says: str,
    *,
    default: float = 0.0,
    window: str = "none",
) -> Signal:
    return Signal(name, family, unit, bounds[0], bounds[1], default, window, says)


LOG = (0.0, 15.0)
SHARE = (0.0, 1.0)
AGE = (0.0, 7.0)

RELEVANCE = (
    _s("relevance", "bm25", "score", (0, 100), "keyword score"),
    _s("relevance", "bm25_share", "share", SHARE, "keyword score over the list's best"),
    _s("relevance", "bm25_gap", "share", SHARE, "distinct better keyword scores, as log share"),
    _s("relevance", "bm25_rank", "log rank", LOG, "place in the keyword leg", default=8.0),
    _s("relevance", "knn", "cosine", (-1, 1), "query and item text vectors, for every candidate"),
    _s("relevance", "knn_share", "standard scores", (-6, 6), "cosine against the list's"),
    _s("relevance", "knn_rank", "log rank", LOG, "place in the vector leg", default=8.0),
    _s("relevance", "both_legs", "flag", SHARE, "found by keywords and by vectors"),
    _s("relevance", "matches", "log count", LOG, "keyword matches in the list"),
)
TITLE = (
    _s("title", "title_words", "log count", LOG, "words of the title"),
    _s("title", "query_words", "log count", LOG, "words of the query"),
    _s("title", "query_covered", "share", SHARE, "query words that the title has"),
    _s("title", "title_covered", "share", SHARE, "title words that the query has"),
    _s("title", "phrase", "flag", SHARE, "the title has the query's words in a row"),
    _s("title", "ends_with", "share", SHARE, "query words, from the last, that end the title"),
    _s("title", "starts_with", "share", SHARE, "query words, from the first, that begin it"),
    _s("title", "words_after", "log count", LOG, "title words after the last match", default=4.0),
    _s("title", "words_before", "log count", LOG, "title words before the first", default=4.0),
)
PRODUCT = (
    _s("product", "price", "log price", (-10, 20), "price"),
    _s("product", "price_to_list", "log ratio", (-5, 5), "price against the list's median"),
    _s("product", "price_to_shopper", "log ratio", (-5, 5), "price against the shopper's usual"),
    _s("product", "price_place", "place", SHARE, "place in the list by price"),
    _s("product", "available", "flag", SHARE, "can be bought", default=1.0),
    _s("product", "catalogue_popularity", "log", LOG, "popularity as the catalogue says"),
    _s("product", "catalogue_popularity_place", "place", SHARE, "place in the list by it"),
    _s("product", "days_updated", "log days", AGE, "since the catalogue's update", default=7.0),
    _s("product", "card", "flag", SHARE, "the item's card was there"),
)
POPULARITY = (
    _s("popularity", "purchases_1d", "log count", LOG, "purchases", window="half-life 1 day"),
    _s("popularity", "purchases_7d", "log count", LOG, "purchases", window="half-life 7 days"),
    _s("popularity", "purchases_30d", "log count", LOG, "purchases", window="half-life 30 days"),
    _s("popularity", "purchases_120d", "log count", LOG, "purchases", window="half-life 120 days"),
    _s("popularity", "purchases", "log count", LOG, "purchases", window="all"),
    _s("popularity", "views_30d", "log count", LOG, "views and clicks", window="half-life 30 days"),
    _s("popularity", "carts_30d", "log count", LOG, "carts", window="half-life 30 days"),
    _s("popularity", "buyers", "log count", LOG, "distinct buyers", window="all"),
    _s("popularity", "loyalty", "log ratio", (0, 5), "purchases a buyer", window="all"),
    _s("popularity", "trend_7d", "log ratio", (-8, 8), "rate of 7 days over that of 30 days"),
    _s("popularity", "trend_30d", "log ratio", (-8, 8), "rate of 30 days over that of 120 days"),
    _s("popularity", "days_since_sale", "log days", AGE, "since the last purchase", default=7.0),
    _s("popularity", "days_known", "log days", AGE, "since the first event", default=0.0),
    _s("popularity", "purchases_7d_place", "place", SHARE, "place in the list by 7 days"),
    _s("popularity", "purchases_30d_place", "place", SHARE, "place in the list by 30 days"),
    _s("popularity", "purchases_120d_place", "place", SHARE, "place in the list by 120 days"),
    _s("popularity", "purchases_30d_share", "share", SHARE, "share of the list's purchases"),
    _s("popularity", "purchases_120d_share", "share", SHARE, "share of the list's purchases"),
)
SEARCH = (
    _s("search", "click_rate", "log odds", (-10, 5), "clicks over exposure for this search text"),
    _s("search", "cart_rate", "log odds", (-10, 5), "carts over exposure for this search text"),
    _s("search", "purchase_rate", "log odds", (-10, 5), "purchases over exposure, this text"),
    _s("search", "exposure", "log count", LOG, "how often seen for this search text"),
    _s("search", "click_rate_place", "place", SHARE, "place in the list by click_rate"),
    _s("search", "purchase_rate_place", "place", SHARE, "place in the list by purchase_rate"),
)
PERSONAL = (
    _s("personal", "own_purchases", "log count", LOG, "this shopper's purchases of the item"),
    _s("personal", "own_days", "log days", AGE, "since this shopper's last purchase", default=7.0),
    _s("personal", "own_touched", "log days", AGE, "since any deed with the item", default=7.0),
    _s("personal", "own_due", "log ratio", (0, 8), "days since over the usual gap", default=0.0),
    _s("personal", "own_views", "log count", LOG, "this shopper's views of the item"),
    _s("personal", "own_carts", "log count", LOG, "this shopper's carts of the item"),
    _s("personal", "own_dismissed", "log count", LOG, "how often dismissed"),
    _s("personal", "own_share", "share", SHARE, "share of the list's own purchases"),
    _s("personal", "own_newest", "place", SHARE, "place among the shopper's items in the list"),
)
TOGETHER = (
    _s("together", "bought_with", "log weight", LOG, "co-purchase with the history, sum"),
    _s("together", "bought_with_max", "log weight", LOG, "co-purchase with the history, best"),
    _s("together", "bought_with_cosine", "log weight", LOG, "the sum, against both popularities"),
    _s("together", "bought_with_recent", "log weight", LOG, "the sum, recent items weigh more"),
    _s("together", "bought_with_place", "place", SHARE, "place in the list by the sum"),
    _s("together", "bought_with_cosine_place", "place", SHARE, "place by the normalised sum"),
    _s("together", "viewed_with", "log weight", LOG, "co-view with the history, sum"),
    _s("together", "viewed_with_max", "log weight", LOG, "co-view with the history, best"),
    _s("together", "taste", "cosine", (-1, 1), "behavioural vector against the shopper's mean"),
    _s("together", "taste_max", "cosine", (-1, 1), "behavioural vector, best history item"),
    _s("together", "taste_place", "place", SHARE, "place in the list by taste"),
    _s("together", "likeness", "cosine", (-1, 1), "text vector against the shopper's mean"),
    _s("together", "likeness_max", "cosine", (-1, 1), "text vector, best other history item"),
    _s("together", "likeness_top", "cosine", (-1, 1), "text vector, mean of the best five"),
    _s("together", "likeness_place", "place", SHARE, "place in the list by likeness_max"),
    _s("together", "brand_affinity", "share", SHARE, "share of the history with this brand"),
    _s("together", "category_affinity", "share", SHARE, "share of the history in its categories"),
)
CONTEXT = (
    _s("context", "shopper_items", "log count", LOG, "items in the shopper's profile"),
    _s("context", "shopper_purchases", "log count", LOG, "the shopper's purchases"),
    _s("context", "shopper_days", "log days", AGE, "since the shopper's last deed", default=7.0),
    _s("context", "candidates", "log count", LOG, "candidates in the list"),
    _s("context", "hour_sine", "sine", (-1, 1), "hour that the request gives"),
    _s("context", "hour_cosine", "cosine", (-1, 1), "hour that the request gives"),
    _s(
        "context", "weekend", "flag", SHARE, "the weekday (0 to 6) that the request gives is over 4"
    ),
    _s("context", "weekday_sine", "sine", (-1, 1), "weekday (0 to 6) that the request gives"),
    _s("context", "weekday_cosine", "cosine", (-1, 1), "weekday that the request gives"),
    _s("context", "season_sine", "sine", (-1, 1), "day of the year"),
    _s("context", "season_cosine", "cosine", (-1, 1), "day of the year"),
    _s("context", "mobile", "flag", SHARE, "the device is a phone"),
    _s("context", "desktop", "flag", SHARE, "the device is a desktop or laptop"),
    _s("context", "page_home", "flag", SHARE, "the page is the shop's first"),
    _s("context", "page_listing", "flag", SHARE, "the page is a category or another list"),
    _s("context", "page_item", "flag", SHARE, "the page is an item's"),
    _s("context", "page_cart", "flag", SHARE, "the page is the cart or the checkout"),
    _s("context", "same_page", "flag", SHARE, "the page names the item's brand or a category"),
    _s("context", "same_domain", "flag", SHARE, "the item's domain is the page's"),
    *(
        _s("context", f"context_{place}", "code", (-16, 16), "declared keys of the context")
        for place in range(1, 17)
    ),
)
SIGNALS: tuple[Signal, ...] = (
    *RELEVANCE,
    *TITLE,
    *PRODUCT,
    *POPULARITY,
    *SEARCH,
    *PERSONAL,
    *TOGETHER,
    *CONTEXT,
)
# What does not differ between the candidates of a list, whatever the list.
LIST_WIDE: frozenset[str] = frozenset(
    {"matches", *(s.name for s in CONTEXT)} - {"same_domain", "same_page"}
)
NAMES: tuple[str, ...] = tuple(s.name for s in SIGNALS)
INDEX: dict[str, int] = {name: column for column, name in enumerate(NAMES)}


@lru_cache(maxsize=1)
def digest() -> str:
    """Sixteen hex digits over all declarations."""
    text = repr([astuple(s) for s in SIGNALS])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def columns(family: Family) -> list[int]:
    """Columns of one family."""
    return [INDEX[s.name] for s in SIGNALS if s.family == family]


def rows(family: Family) -> slice:
    """Where one family's signals stand in a table [signals, n], in the order of declaration."""
    own = columns(family)
    return slice(own[0], own[-1] + 1)


_DEFAULTS = np.array([s.default for s in SIGNALS], dtype=np.float32)
_LOW = np.array([s.low for s in SIGNALS], dtype=np.float32)
_HIGH = np.array([s.high for s in SIGNALS], dtype=np.float32)


def fill(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of candidates [n, signals] of a table [signals, n], with defaults for what is missing,
    clipped to the declared ranges.
    """
    filled = np.empty(table.shape[::-1], dtype=np.float32)
    _fill(table, _DEFAULTS, _LOW, _HIGH, filled)
    return filled


@compiled(FLOAT_ROWS, FLOATS, FLOATS, FLOATS, INTO)
def _fill(
    table: NDArray[np.float32],
    default: NDArray[np.float32],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    into: NDArray[np.float32],
) -> None:
    signals, n = table.shape
    for i in range(n):
        for row in range(signals):
            value = table[row, i] if math.isfinite(table[row, i]) else default[row]
            into[i, row] = min(max(value, low[row]), high[row])
