"""Which reason for a hit a shopper is told: the strongest whose claim holds. Pure.

A claim is looked up in what is known of the candidate, not in what the model made of it: without
a purchase nobody "bought", and whom nobody else chose is not "popular". Declared defaults stand
for what is not known in signals, so each claim asks for more than the default says.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reranker.fusion.attribution import ITEM, QUERY, SHOPPER
from reranker.serving.evidence import Deed, Evidence
from reranker.signals import definition
from reranker.signals.behaviour import PRIOR_EXPOSURE, PRIOR_RATES
from reranker.signals.title import QUERY_WORDS_MAX

ALL_WORDS = 0.999  # share of the query's words
OFTEN = 1.0  # one basket of n items weighs 1 / sqrt(n), so this takes two of them
UPPER_HALF = 0.5
CHEAPER, USUAL = math.log(0.9), math.log(1.25)  # log price ratios
TREND = 0.1  # log ratio of rates
POPULAR_DEEDS = 2.0
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Reason:
    """Which sentence, and the item that it may name."""

    key: str
    item_id: str | None = None


Claim = Callable[[Evidence], Reason | None]


@dataclass(frozen=True)
class Ground:
    """Contributions that count together, and the claim that they allow; None: nothing holds."""

    of: frozenset[str]
    claim: Claim

    def weight(self, evidence: Evidence) -> float:
        """How much it speaks for a candidate, against the mean of its list."""
        return sum(value for name, value in evidence.contributions.items() if name in self.of)


FITS = Reason("fits")


def reason(evidence: Evidence) -> Reason:
    """The strongest reason that holds; that it fits the search where none does."""
    return _strongest(evidence, [ground.weight(evidence) for ground in GROUNDS]) or FITS


def reasons(shown: Mapping[str, Evidence]) -> dict[str, Reason]:
    """The reason of each hit that is shown, by id: what sets it apart from those beside it.

    What could be said of all of them tells a shopper nothing, so it is said of those alone that
    nothing sets apart. A reason speaks for its hit in the whole list as well.
    """
    weights = {name: [g.weight(evidence) for g in GROUNDS] for name, evidence in shown.items()}
    usual = [sum(column) / len(shown) for column in zip(*weights.values(), strict=True)]
    of_all = [len({ground.claim(it) for it in shown.values()}) == 1 for ground in GROUNDS]
    return {
        name: _strongest(
            evidence,
            [
                0.0 if everyones or own <= 0 else own - mean
                for own, mean, everyones in zip(weights[name], usual, of_all, strict=True)
            ],
        )
        or reason(evidence)
        for name, evidence in shown.items()
    }


def _strongest(evidence: Evidence, weights: Sequence[float]) -> Reason | None:
    """The claim of the highest positive weight that holds."""
    for weight, ground in sorted(zip(weights, GROUNDS, strict=True), key=lambda it: -it[0]):
        found = ground.claim(evidence) if weight > 0 else None
        if found is not None:
            return found
    return None


def _own(it: Evidence) -> Reason | None:
    for signal, key in (
        ("own_purchases", "bought_before"),
        ("own_carts", "in_cart"),
        ("own_views", "looked_before"),
    ):
        if _of(it, signal) > 0:
            return Reason(key)
    return None


def _bought_with(it: Evidence) -> Reason | None:
    deed = it.bought_with
    if deed is None:
        return None
    often = deed.weight >= OFTEN
    return Reason(f"bought_with_{deed.kind}" if often else "once_bought_with", deed.item_id)


def _viewed_with(it: Evidence) -> Reason | None:
    return None if it.viewed_with is None else Reason("viewed_with", it.viewed_with.item_id)


def _because(it: Evidence) -> Reason | None:
    return _tied("because", it.looked_at)


def _alike(it: Evidence) -> Reason | None:
    return _tied("like", it.alike)


def _tied(how: str, deed: Deed | None) -> Reason | None:
    return None if deed is None else Reason(f"{how}_{deed.kind}", deed.item_id)


def _brand(it: Evidence) -> Reason | None:
    return Reason("brand") if _of(it, "brand_affinity") > 0 else None


def _category(it: Evidence) -> Reason | None:
    return Reason("category") if _of(it, "category_affinity") > 0 else None


def _search(it: Evidence) -> Reason | None:
    """Counts of others: what was done after this search, without what this shopper did."""
    exposure = math.expm1(_of(it, "exposure"))
    if exposure <= 0:
        return None
    for rate, kind, own in (
        ("click_rate", "click", "own_views"),
        ("cart_rate", "cart", "own_carts"),
        ("purchase_rate", "purchase", "own_purchases"),
    ):
        if _of(it, rate) >= 0:
            continue  # the default: a smoothed rate is below 1
        leaning = PRIOR_EXPOSURE * PRIOR_RATES[kind]
        deeds = math.exp(_of(it, rate)) * (exposure + PRIOR_EXPOSURE) - leaning
        if deeds - math.expm1(_of(it, own)) >= POPULAR_DEEDS:
            return Reason("popular_search")
    return None


def _popular(it: Evidence) -> Reason | None:
    if _others_bought(it):
        upper = _of(it, "purchases_120d_place") >= UPPER_HALF
        return Reason("popular" if upper else "others_bought")
    if _of(it, "views_30d") > 0 and _of(it, "own_views") == 0:
        return Reason("others_looked")
    return None


def _others_bought(it: Evidence) -> bool:
    return math.expm1(_of(it, "purchases")) - math.expm1(_of(it, "own_purchases")) > HALF


def _trending(it: Evidence) -> Reason | None:
    rising = _of(it, "trend_7d") > TREND and _of(it, "purchases_7d") > 0
    return Reason("trending") if rising and _others_bought(it) else None


def _words(it: Evidence) -> Reason | None:
    covered = _of(it, "query_covered")
    whole = _of(it, "query_words") < math.log1p(QUERY_WORDS_MAX) - 1e-3
    if covered >= ALL_WORDS and whole:
        return Reason("all_words")
    return Reason("words") if covered > 0 or _of(it, "bm25") > 0 else None


def _meaning(it: Evidence) -> Reason | None:
    near = _of(it, "knn") > 0 and it.signals.get("knn_share", 1.0) > 0
    return Reason("meaning") if near else None


def _price(it: Evidence) -> Reason | None:
    if _of(it, "price_to_list") < CHEAPER:
        return Reason("cheaper")
    ratio = _of(it, "price_to_shopper")
    known = ratio != 0.0 and _of(it, "shopper_items") > 0
    return Reason("usual_price") if known and abs(ratio) < USUAL else None


def _favourite(it: Evidence) -> Reason | None:
    return Reason("favourite") if _of(it, "catalogue_popularity") > 0 else None


def _in_stock(it: Evidence) -> Reason | None:
    known = _of(it, "card") > HALF
    return Reason("in_stock") if known and _of(it, "available") > HALF else None


def _domain(it: Evidence) -> Reason | None:
    return Reason("same_domain") if _of(it, "same_domain") > HALF else None


def _fits(_: Evidence) -> Reason:
    return FITS


def _of(it: Evidence, signal: str) -> float:
    return it.signals.get(signal, 0.0)


# Signals apart from the rest of their family.
_APART: tuple[tuple[tuple[str, ...], Claim], ...] = (
    (("knn", "knn_share", "knn_rank"), _meaning),
    (("catalogue_popularity",), _favourite),
    (("available", "card"), _in_stock),
    (("trend_7d", "trend_30d"), _trending),
    (("viewed_with",), _viewed_with),
    (("taste", "taste_max", "taste_place", SHOPPER), _because),
    (("likeness", "likeness_max", "likeness_top", "likeness_place"), _alike),
    (("brand_affinity",), _brand),
    (("category_affinity",), _category),
    ((QUERY, ITEM), _fits),
)
# Of each family what is left, and the family as a whole where its signals are not told apart.
_FAMILIES: tuple[tuple[tuple[definition.Family, ...], Claim], ...] = (
    (("relevance", "title"), _words),
    (("product",), _price),
    (("popularity",), _popular),
    (("search",), _search),
    (("personal",), _own),
    (("together",), _bought_with),
    (("context",), _domain),
)


def _grounds() -> tuple[Ground, ...]:
    apart = [Ground(frozenset(names), claim) for names, claim in _APART]
    taken = frozenset[str]().union(*(ground.of for ground in apart))
    rest = [
        Ground(
            frozenset({*families, *(s.name for s in definition.SIGNALS if s.family in families)})
            - taken,
            claim,
        )
        for families, claim in _FAMILIES
    ]
    return (*apart, *rest)


GROUNDS = _grounds()
