"""One search and one recommendation of each index before a process takes requests.

The first of each opens connections, lets the cluster read its index files and runs code for the
first time, which takes longer than a request may. Nothing is recorded or counted of them, and
whatever fails is left to the first real request: a server that is away must not keep a process
from starting.
"""

import time
from collections.abc import Sequence

from indexer.catalogue.generation import Generation
from indexer.errors import HitweaveError
from indexer.telemetry import log
from reranker import answer, recommending
from reranker.recommend.wish import Wish
from reranker.retrieval.fetch import Refused
from reranker.retrieval.request import Options, RankedRequest, Shopper, Ubi
from reranker.serving.call import Call, new_query_id
from reranker.serving.deadline import Deadline
from reranker.serving.process import Process
from reranker.serving.warmth import WARM_TEXT

SECONDS_MAX = 10.0  # for all together; a node that just started takes its time
SHOWN = 10


def rehearse(process: Process) -> None:
    """Rank and recommend once in every index that is served, as far as there is time."""
    deadline = Deadline(time.perf_counter(), SECONDS_MAX)
    try:
        for generation in process.generations.find_all(SECONDS_MAX):
            if not deadline.passed():
                _once(process, generation, deadline)
    except HitweaveError as error:
        log("rehearsal").warning("not_rehearsed", reason=error.message)


def _once(process: Process, generation: Generation, deadline: Deadline) -> None:
    try:
        found = _search(process, generation, deadline)
        for seeds in (found[:1], ()):
            wish = Wish(generation=generation, seeds=tuple(seeds), size=SHOWN)
            recommending.recommend(process, wish, deadline)
    except (HitweaveError, Refused) as error:
        log("rehearsal").warning(
            "not_rehearsed", index=generation.index, error=type(error).__name__
        )


def _search(process: Process, generation: Generation, deadline: Deadline) -> Sequence[str]:
    """What a search finds that nobody asked."""
    query = {"multi_match": {"query": WARM_TEXT, "fields": list(generation.config.search_fields)}}
    request = RankedRequest(
        text=WARM_TEXT,
        query=query,
        body={"query": query},
        filters=(),
        start=0,
        size=SHOWN,
        options=Options(window=process.settings.rank_window_size, record=False),
        shopper=Shopper(),
        ubi=Ubi(),
        leg_params={},
        unavailable_asked_for=False,
    )
    call = Call(
        request=request,
        generation=generation,
        target=generation.concrete,
        headers={},
        shopper=None,
        query_id=new_query_id(),
        deadline=deadline,
    )
    return answer.rank(process, call).placed.ids
