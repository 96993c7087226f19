"""Parts of the searches that a mean can hide: new shoppers, new goods, rare queries. Pure.

A segment is a mask over the searches, in their order. One that is empty is left out.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from reranker.evaluation.judgements import Case

Masks = dict[str, NDArray[np.bool_]]

NEW_TO_SHOPPER = "new_to_shopper"
HEAD_SHARE = 0.5


def of_cases(
    cases: Sequence[Case], texts: Sequence[str], known_items: Collection[str] | None = None
) -> Masks:
    """Segments of held-out purchases; `texts` are the queries that were asked.

    `known_items` had behaviour before the cases; None where nobody can say.
    """
    masks = {
        NEW_TO_SHOPPER: _mask(cases, lambda case: not case.bought_before),
        "bought_before": _mask(cases, lambda case: case.bought_before),
        **_by_frequency(texts),
    }
    if known_items is not None:
        masks["new_items"] = _mask(cases, lambda case: case.target not in known_items)
    return _filled(masks)


def of_judged(queries: Sequence[str]) -> Masks:
    """Segments of judged queries: how often one is asked is unknown, how long it is is not."""
    words = np.array([len(query.split()) for query in queries])
    return _filled({"one_word": words <= 1, "two_words": words == 2, "longer": words > 2})


def head_queries(texts: Sequence[str], share: float = HEAD_SHARE) -> set[str]:
    """The fewest, most frequent queries that make up at least `share` of the searches."""
    counted = sorted(Counter(texts).items(), key=lambda pair: (-pair[1], pair[0]))
    reached, head = 0, set()
    for text, count in counted:
        if reached >= share * len(texts):
            break
        head.add(text)
        reached += count
    return head


def _by_frequency(texts: Sequence[str]) -> Masks:
    head = head_queries(texts)
    in_head = np.array([text in head for text in texts], dtype=bool)
    return {"head_queries": in_head, "tail_queries": ~in_head}


def _mask(cases: Sequence[Case], holds: Callable[[Case], bool]) -> NDArray[np.bool_]:
    return np.array([holds(case) for case in cases], dtype=bool)


def _filled(masks: Masks) -> Masks:
    return {name: mask for name, mask in masks.items() if mask.any()}
