"""What a search that found little by its words may have meant."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reranker.serving.call import Call
from reranker.serving.process import Process
from reranker.serving.ranking import Ranking


def ask(process: Process, call: Call, answer: dict[str, Any], made: Ranking | None) -> None:
    """Put into the answer what the search may have meant, where it found little by its words."""
    request = call.request
    if request.start or not request.size or request.options.mode == "knn":
        return
    if made is not None and made.retrieved.named:
        return
    if call.credentials and call.target not in (call.generation.index, call.generation.concrete):
        return  # by an alias the client may see a part alone
    found = _found_by_words(answer, made)
    if found is None or found > process.settings.did_you_mean_hits_max:
        return
    meant = process.phrases.find(call.generation.index).meant(request.text)
    if meant is not None:
        answer["hitweave"]["did_you_mean"] = meant


def _found_by_words(answer: Mapping[str, Any], made: Ranking | None) -> int | None:
    """How many hits the words alone have; None where that is not known."""
    if made is not None:
        return int(np.isfinite(made.retrieved.candidates.bm25_rank).sum())
    total = answer["hits"].get("total")
    return int(total["value"]) if isinstance(total, Mapping) else None
