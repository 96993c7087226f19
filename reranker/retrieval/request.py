"""A search body as Hitweave understands it: ranked, or to be passed on with the reason. Pure.

Nothing is guessed: what this module does not know leaves the request untouched, so that
Elasticsearch answers (or refuses) it itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args

from indexer.errors import InvalidRequest
from reranker.retrieval import clause, sorting
from reranker.retrieval.folding import BODY_FLAGS, LEG_PARAMS, fold

Mode = Literal["fused", "rrf", "knn", "bm25", "off"]
MODES: tuple[str, ...] = get_args(Mode)
RESULT_WINDOW_MAX = 10_000  # index.max_result_window where nobody changed it

RANKED_KEYS = frozenset(
    {
        *("query", "knn", "retriever", "post_filter", "min_score", "aggs", "aggregations"),
        *("suggest", "highlight", "collapse", "from", "size", "sort", "track_total_hits"),
        *("track_scores", "_source", "fields", "docvalue_fields", "stored_fields", "explain"),
        *("script_fields", "version", "seq_no_primary_term", "runtime_mappings", "timeout"),
        *("terminate_after", "stats", "ext", "rescore", "search_after"),
    }
)

# What Elasticsearch refuses to show, or shows by other means, where nothing stored is wanted.
_OF_A_DOCUMENT = (
    *("fields", "version", "seq_no_primary_term", "highlight", "explain", "script_fields"),
    "collapse",
)


class Headers(Protocol):
    """Headers of a request, looked up by name whatever its case."""

    def get(self, key: str, /) -> str | None:
        """The value, None where it was not sent."""
        ...


Rights = tuple[tuple[str, str], ...]


def rights(headers: Mapping[str, str]) -> Rights:
    """Whom a client names to Elasticsearch, be it nobody; empty where it leaves that to us."""
    named = ("Authorization", "es-security-runas-user")
    return tuple((name, headers[name]) for name in named if name in headers)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the index's configuration and the settings say where the request says nothing."""

    mode: Mode = "fused"
    window: int = 100
    window_max: int = 1000
    available_field: str = "available"
    diversity: float = 0.0
    exact_fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Shopper:
    """Who asks, in the client's own ids; pseudonyms are made where they are needed."""

    user_id: str | None = None
    session_id: str | None = None
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class Ubi:
    """What `ext.ubi` says about the search beside the shopper."""

    query_id: str | None = None
    user_query: str | None = None
    application: str | None = None
    object_id_field: str | None = None
    query_attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """What `ext.hitweave` asks."""

    mode: Mode = "fused"
    window: int = 100
    diversity: float = 0.0
    explain: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    experiment: str | None = None
    record: bool = True
    model: str | None = None  # a version of the registry in place of the serving one


@dataclass(frozen=True, slots=True)
class RankedRequest:
    """A text search to rank.

    `body` is the client's body with URL parameters folded in and our `ext` taken out; `query` is
    the part that scores. `filters` are what of it holds for every leg. `start` is the client's
    `from`, `after` the first sort value of the hit that its page comes after. `ties` are what it
    sorts by where scores are equal. `without_ids` says that hits shall not tell their ids.
    """

    text: str
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    filters: tuple[Mapping[str, Any], ...]
    start: int
    size: int
    options: Options
    shopper: Shopper
    ubi: Ubi
    leg_params: Mapping[str, str]
    unavailable_asked_for: bool
    typed_keys: bool = False
    ties: tuple[Any, ...] = ()
    after: float | None = None
    without_ids: bool = False

    @property
    def facets(self) -> Mapping[str, Any] | None:
        """The aggregations asked for, under either of their two names."""
        asked: Mapping[str, Any] | None = self.body.get("aggs") or self.body.get("aggregations")
        return asked

    @property
    def collapse_field(self) -> str | None:
        """The field of which only the best hit of each value is shown."""
        collapse = self.body.get("collapse")
        return str(collapse["field"]) if collapse else None


@dataclass(frozen=True, slots=True)
class PassThrough:
    """Not ranked, and why."""

    reason: str


def parse(
    body: Mapping[str, Any],
    params: Mapping[str, str],
    headers: Headers,
    defaults: Defaults,
) -> RankedRequest | PassThrough:
    """What to do with one search; raises InvalidRequest only for what `ext.hitweave` says."""
    own, ubi, hitweave = strip(body)
    options = _options(hitweave, defaults)
    if options.mode == "off":
        return PassThrough("off")
    folded = fold(own, params)
    reason = (
        folded if isinstance(folded, str) else _not_ranked(folded) or _inexact_total(folded, params)
    )
    if reason or isinstance(folded, str):
        return PassThrough(reason)
    query = clause.with_terms(_scoring_query(folded), defaults.exact_fields)
    text = str(ubi.get("user_query") or "").strip() or clause.text_of(query)
    if not text:
        return PassThrough("no_text")
    filters = tuple(clause.filters_of(query))
    after = folded.get("search_after")
    return RankedRequest(
        text=text,
        query=query,
        body=_with_ids(folded),
        filters=filters,
        start=int(folded.get("from", 0)),
        size=int(folded.get("size", 10)),
        options=replace(options, explain=options.explain or folded.get("explain", False)),
        shopper=_shopper(ubi, headers),
        ubi=_ubi(ubi),
        leg_params={name: params[name] for name in LEG_PARAMS if name in params},
        unavailable_asked_for=clause.mentions(
            [*filters, folded.get("post_filter")], defaults.available_field
        ),
        typed_keys=params.get("typed_keys") in ("true", ""),
        ties=tuple(sorting.tie_breakers(folded.get("sort")) or ()),
        after=float(after[0]) if after else None,
        without_ids=_hides_ids(folded),
    )


def strip(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], dict[str, Any], dict[str, Any]]:
    """The body without `ext.ubi` and `ext.hitweave`, and those two; the same body without them."""
    ext = body.get("ext")
    if not isinstance(ext, Mapping) or not ("ubi" in ext or "hitweave" in ext):
        return body, {}, {}
    rest = {name: part for name, part in ext.items() if name not in ("ubi", "hitweave")}
    own = {name: part for name, part in body.items() if name != "ext"}
    if rest:
        own["ext"] = rest
    return own, _section(ext, "ubi"), _section(ext, "hitweave")


def _section(ext: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = ext.get(name) or {}
    if not isinstance(section, dict):
        raise InvalidRequest(f"ext.{name} must be an object, not {type(section).__name__}")
    return section


def _options(asked: Mapping[str, Any], defaults: Defaults) -> Options:
    mode = asked.get("mode", defaults.mode)
    if mode not in MODES:
        raise InvalidRequest(f"ext.hitweave.mode is {mode!r}: use one of {', '.join(MODES)}")
    window = asked.get("rank_window_size", defaults.window)
    if not _whole(window) or not 1 <= window <= defaults.window_max:
        raise InvalidRequest(
            f"ext.hitweave.rank_window_size is {window!r}: use 1 to {defaults.window_max}"
        )
    diversity = dial(asked.get("diversity", defaults.diversity), "ext.hitweave.diversity")
    context = asked.get("context") or {}
    if not isinstance(context, Mapping):
        raise InvalidRequest("ext.hitweave.context must be an object of keys and values")
    experiment = asked.get("experiment")
    return Options(
        mode=mode,
        window=window,
        diversity=diversity,
        explain=bool(asked.get("explain", False)),
        context=context,
        experiment=None if experiment is None else str(experiment),
        record=asked.get("record", True) is not False,
    )


def dial(given: object, name: str) -> float:
    """A dial as it was given under `name`; raises InvalidRequest."""
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= 1:
        return float(given)
    raise InvalidRequest(f"{name} is {given!r}: use a number from 0 to 1")


def _not_ranked(body: Mapping[str, Any]) -> str:
    """Why this body goes through as it is; empty when it can be ranked."""
    unknown = next((name for name in body if name not in RANKED_KEYS), None)
    if unknown is not None:
        return str(unknown) or "unnamed_key"
    if None in body.values():
        return "null"
    if not all(isinstance(body.get(name, False), bool) for name in BODY_FLAGS):
        return "flag"
    if unsorted := _not_ranked_sort(body):
        return unsorted
    if not (_count(body.get("from", 0)) and _count(body.get("size", 10))):
        return "page"
    if body.get("from", 0) + body.get("size", 10) > RESULT_WINDOW_MAX:
        return "result_window"
    if not isinstance(body.get("query", {}), Mapping) or "ext" in body:
        return "query" if "ext" not in body else "ext"
    knn = clause.clauses(body.get("knn"))
    if "knn" in body and not (knn and all(isinstance(part, Mapping) for part in knn)):
        return "knn"
    whole = body.get("_source", False) is not False or not body.keys().isdisjoint(_OF_A_DOCUMENT)
    if _hides_ids(body) and whole:
        return "stored_fields"
    return _not_ranked_retriever(body) or _not_ranked_collapse(body)


def _inexact_total(body: Mapping[str, Any], params: Mapping[str, str]) -> str:
    """The old form of the total is a number that must be exact."""
    as_integer = params.get("rest_total_hits_as_int") in ("true", "")
    return "total" if as_integer and _whole(body.get("track_total_hits")) else ""


def _not_ranked_retriever(body: Mapping[str, Any]) -> str:
    retriever = body.get("retriever")
    if retriever is None:
        return ""
    standard = retriever.get("standard") if isinstance(retriever, Mapping) else None
    if not isinstance(standard, Mapping) or set(standard) - {"query", "filter", "_name"}:
        return "retriever"
    return "retriever" if {"query", "knn", "rescore", "min_score"} & set(body) else ""


def _not_ranked_collapse(body: Mapping[str, Any]) -> str:
    collapse = body.get("collapse")
    if collapse is None:
        return ""
    plain = isinstance(collapse, Mapping) and set(collapse) <= {
        "field",
        "max_concurrent_group_searches",
    }
    return "" if plain and "field" in collapse else "collapse"


def _not_ranked_sort(body: Mapping[str, Any]) -> str:
    ties = sorting.tie_breakers(body.get("sort"))
    if ties is None or (ties and not {"rescore", "retriever"}.isdisjoint(body)):
        return "sort"
    if "search_after" in body and not sorting.is_after(body["search_after"], ties):
        return "search_after"
    return "search_after" if "search_after" in body and body.get("from") else ""


def _hides_ids(body: Mapping[str, Any]) -> bool:
    """Whether hits come without anything stored, even their ids."""
    return "_none_" in clause.clauses(body.get("stored_fields"))


def _with_ids(body: dict[str, Any]) -> dict[str, Any]:
    """The same body with hits that tell their ids, but nothing else that is stored."""
    if not _hides_ids(body):
        return body
    return {name: part for name, part in body.items() if name != "stored_fields"} | {
        "_source": False
    }


def _scoring_query(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The client's query; a standard retriever's with its filter; match_all where none is given."""
    retriever = body.get("retriever")
    if retriever is None:
        query: Mapping[str, Any] = body.get("query") or {"match_all": {}}
        return query
    standard = retriever["standard"]
    query = standard.get("query") or {"match_all": {}}
    filters = clause.clauses(standard.get("filter"))
    return {"bool": {"must": [query], "filter": filters}} if filters else query


def _shopper(ubi: Mapping[str, Any], headers: Headers) -> Shopper:
    return Shopper(
        user_id=_text(ubi.get("user_id")) or headers.get("X-User-Id") or None,
        session_id=_text(ubi.get("session_id")) or headers.get("X-Session-Id") or None,
        client_id=_text(ubi.get("client_id")),
    )


def _ubi(ubi: Mapping[str, Any]) -> Ubi:
    attributes = ubi.get("query_attributes")
    return Ubi(
        query_id=_text(ubi.get("query_id")),
        user_query=_text(ubi.get("user_query")),
        application=_text(ubi.get("application")),
        object_id_field=_text(ubi.get("object_id_field")),
        query_attributes=attributes if isinstance(attributes, Mapping) else {},
    )


def _text(value: object) -> str | None:
    """A non-empty id as text; numbers count, as clients send them too."""
    if value is None or isinstance(value, bool | list | Mapping):
        return None
    return str(value) or None


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
