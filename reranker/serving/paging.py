"""From an order to the page that was asked for: hits, total, facets; beyond the window too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from reranker import response
from reranker.experiments.exposure import Exposure
from reranker.response import Page, Took
from reranker.retrieval import fetch
from reranker.retrieval import query as bodies
from reranker.retrieval.documents import versions_of
from reranker.serving import explaining, shown
from reranker.serving.call import Call
from reranker.serving.explaining import Explainable, Told
from reranker.serving.pins import Pin
from reranker.serving.process import Process
from reranker.serving.ranking import Ranking
from reranker.serving.shown import Known


def placed(call: Call, pin: Pin) -> Call:
    """The call with the place where its page begins, where it only says after which hit."""
    if call.request.after is None:
        return call
    start = pin.place_after(call.request.after)
    return replace(call, request=replace(call.request, start=start))


def page(
    process: Process,
    call: Call,
    key: str,
    pin: Pin,
    ranking: Ranking | None,
    *,
    left_out: frozenset[str] = frozenset(),
    keep: bool = False,
) -> dict[str, Any]:
    """The answer for one page of a pinned order; `ranking` where it was made just now.

    What is `left_out` was hidden since: like what was deleted, it is gone at once from every page.
    `keep` says that the order was made just now: it is pinned where another page can follow, while
    Elasticsearch reads the documents. An order of old is looked up even where ids alone are asked.
    """
    started_ms = call.deadline.took_ms()
    request = call.request
    ids = list(pin.ids[request.start : request.start + request.size])
    scores = list(pin.scores[request.start : request.start + request.size])
    just_found = keep
    if len(ids) < request.size and not pin.complete:
        just_found = False
        further = _beyond(process, call, key, pin, request.size - len(ids))
        ids += further
        scores += [pin.scores[-1] if pin.scores else 0.0] * len(further)
    cursors = pin.cursors(request.start, ids) if request.ties else {}
    if not left_out.isdisjoint(ids):
        kept = [at for at, name in enumerate(ids) if name not in left_out]
        ids, scores = [ids[at] for at in kept], [scores[at] for at in kept]
    pinned = partial(process.pins.keep, key, pin) if keep and not pin.fits_on(request) else None
    bare = just_found and not bodies.needs_documents(request)
    known = _known(process, call, ranking, ids) if just_found and ranking else None
    hits, scores = _hits(
        process,
        call,
        ids,
        scores,
        pinned or (lambda: None),
        known,
        bare=bare,
        is_old=ranking is None,
    )
    page_ms = call.deadline.took_ms() - started_ms
    told = _told(process, call, ranking, [hit["_id"] for hit in hits])
    retrieved = ranking.retrieved if ranking else None
    scored = not request.ties or request.body.get("track_scores") is True
    return response.search_answer(
        Page(
            hits=hits,
            scores=scores,
            max_score=pin.scores[0] if pin.scores and request.size and scored else None,
            cursors=cursors,
            total=pin.total,
            shards=retrieved.shards if retrieved else response.ONE_SHARD,
            timed_out=bool(retrieved and retrieved.timed_out),
            terminated_early=retrieved.terminated_early if retrieved else None,
            window=len(pin.ids),
            model=pin.model,
            degraded=pin.degraded,
            query_id=call.query_id,
            took=Took(
                elasticsearch=page_ms + (ranking.elasticsearch_ms if ranking else 0.0),
                fusion=ranking.fusion_ms if ranking else 0.0,
                total=call.deadline.took_ms(),
            ),
            aggregations=pin.aggregations,
            suggest=pin.suggest,
            told=pin.effects.told()
            | (dict(pin.diversity) if pin.diversity else {})
            | (pin.explored.told(pin.ids, [hit["_id"] for hit in hits]) if pin.explored else {})
            | _in_experiment(pin.exposure, [hit["_id"] for hit in hits]),
            explanations=[None if it is None else it.explanation for it in told],
            explained={
                hit["_id"]: {"sentence": it.sentence, "attention": it.attention}
                for hit, it in zip(hits, told, strict=False)
                if it is not None
            },
        )
    )


def _told(
    process: Process, call: Call, ranking: Ranking | None, ids: Sequence[str]
) -> list[Told | None]:
    """The hits explained, where that was asked for."""
    options = call.request.options
    if not options.explain or ranking is None:
        return []
    read_titles = explaining.title_reader(
        process.nodes, call.generation, call.target, call.headers, call.deadline
    )
    return Explainable(
        fused=ranking.fused,
        candidates=ranking.retrieved.candidates,
        ordered=ranking.ordered,
        read_titles=read_titles,
        language=explaining.language_of(options.context),
        named=ranking.named(),
        wording=call.generation.config.wording,
    ).told(ids, call.deadline)


def own_order(process: Process, call: Call, *, degraded: str | None) -> dict[str, Any]:
    """The client's own query alone, in its own order; rules only narrow it."""
    search_fields = call.generation.config.search_fields
    answer = _search(process, call, bodies.own_search(call.request, search_fields))
    told = call.effects.told(ordered=False)
    told |= _in_experiment(call.part.exposure if call.part else None, [])
    took_ms = call.deadline.took_ms()
    took = Took(elasticsearch=took_ms, fusion=0.0, total=took_ms)
    window = len(answer["hits"]["hits"])
    own = response.own_sections(call.query_id, None, degraded, window, took)
    own["hitweave"].update(told)
    return answer | own


def _in_experiment(exposure: Exposure | None, ids: Sequence[str]) -> dict[str, Any]:
    return {} if exposure is None else exposure.told(ids)


def _hits(
    process: Process,
    call: Call,
    ids: Sequence[str],
    scores: Sequence[float],
    meanwhile: Callable[[], None],
    known: Known | None,
    *,
    bare: bool,
    is_old: bool,
) -> tuple[list[Mapping[str, Any]], list[float]]:
    """The page's hits; documents deleted since are left out. `bare` ones are not looked up.

    `is_old` says that the order was not made just now.
    """
    if not ids or bare:
        meanwhile()
    if not ids:
        _judged(process, call, is_old=is_old)
        return [], []
    if bare:
        concrete = call.generation.concrete
        return [response.bare_hit(concrete, name) for name in ids], list(scores)
    found = shown.hits(process, call, ids, known, meanwhile)
    there = [(found[name], score) for name, score in zip(ids, scores, strict=True) if name in found]
    return [hit for hit, _ in there], [score for _, score in there]


def _known(process: Process, call: Call, ranking: Ranking, ids: Sequence[str]) -> Known | None:
    """What tells which of the hits just found are kept; None where none may be."""
    form = shown.keepable(process, call)
    return None if form is None else Known(versions_of(ids, ranking.retrieved.legs), form)


def _judged(process: Process, call: Call, *, is_old: bool) -> None:
    """Have Elasticsearch judge how hits shall be shown where there are none to show; and whether a
    client with rights of its own still has them, where its order is one of old.
    """
    shows = any(name in call.request.body for name in bodies.PAGE_KEYS)
    if shows or (is_old and call.credentials):
        _search(process, call, bodies.page(call.request, [], call.generation.config.search_fields))


def _beyond(process: Process, call: Call, key: str, pin: Pin, size: int) -> list[str]:
    """Ids behind the ranked window, in Elasticsearch's order without repeats.

    The first who needs them fixes them to the configured depth; deeper ones are not kept.
    """
    start = max(call.request.start - len(pin.ids), 0)
    depth = max(process.settings.page_depth - len(pin.ids), 0)
    kept: Sequence[str] | None = process.pins.read_further(key, pin)
    if kept is None:
        kept = _own_ids(process, call, pin.ids, 0, depth) if depth else []
        kept = process.pins.keep_further(key, pin, kept)
    found = list(kept[start : start + size])
    if len(found) < size and len(kept) >= depth:
        at = max(start - len(kept), 0)
        found += _own_ids(process, call, [*pin.ids, *kept], at, size - len(found))
    return found


def _own_ids(
    process: Process, call: Call, placed: Sequence[str], start: int, size: int
) -> list[str]:
    search_fields = call.generation.config.search_fields
    body = bodies.beyond(call.request, placed, start, size, search_fields)
    return [hit["_id"] for hit in _search(process, call, body)["hits"]["hits"]]


def _search(process: Process, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
    return fetch.found_by(shown.sent(process, call, body))
