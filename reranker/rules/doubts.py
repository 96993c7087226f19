"""What a rule names that its index does not have: no fault, as goods come and go, but said."""

from collections.abc import Iterable

from reranker.rules.rule import Rule

NAMED_MAX = 10


def ids(rule: Rule) -> list[str]:
    """Every product that the rule names."""
    then = rule.then
    shifted = (name for shift in (*then.boost, *then.bury) for name in shift.ids)
    return list(dict.fromkeys((*(it.id for it in then.pin), *then.hide, *shifted)))


def fields(rule: Rule) -> list[str]:
    """Every field whose value the rule asks for by name."""
    shifted = (it.field for it in (*rule.then.boost, *rule.then.bury) if it.field)
    return list(dict.fromkeys((*rule.when.filters, *shifted)))


def said(absent: Iterable[str], unmapped: Iterable[str]) -> list[str]:
    """Sentences for whoever wrote the rule; none where all is there."""
    products, unknown = list(absent), list(unmapped)
    found = []
    if products:
        found.append(f"the index has no product {_listed(products)}: they are passed over")
    if unknown:
        found.append(
            f"the index cannot be searched by {_listed(unknown)}: no product has such a value"
        )
    return found


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED_MAX
    shown = ", ".join(repr(it) for it in names[:NAMED_MAX])
    return shown if more <= 0 else f"{shown} and {more} more"
