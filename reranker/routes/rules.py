"""Rules over HTTP: drafts are written, looked at in a preview and published all at once.

A preview is the answer that the drafts would give; it records nothing, and no other search sees
anything of it.
"""

import time
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request

from indexer.catalogue.generation import Generation
from indexer.errors import InvalidRequest
from reranker import answer
from reranker.retrieval.request import PassThrough, RankedRequest, parse
from reranker.routes import editors, problems
from reranker.routes.access import generation_of, process
from reranker.routes.body import sent_object
from reranker.routes.passthrough import ask_node, writes_allowed
from reranker.routes.reply import from_node, json_reply
from reranker.routes.search import call, defaults, in_old_form
from reranker.routes.sent import DEPTH_MAX, check_options, decoded
from reranker.rules import doubts, effects, rule
from reranker.rules.matching import RuleSet
from reranker.rules.rule_store import RuleStore, Stored, in_order

blueprint = Blueprint("rules", __name__, template_folder="templates")


@blueprint.get("/<index>/_rules")
def all_rules(index: str) -> Response:
    """Every rule with its state; for a browser the page that edits them."""
    if answered := editors.page("rules.html", index) or editors.refusal():
        return answered
    stored = _store().read(generation_of(index).index)
    return json_reply(_state(stored))


@blueprint.get("/<index>/_rules/<path:rule_id>")
def one_rule(index: str, rule_id: str) -> Response:
    """A rule as it is drafted; as it is live where its draft is gone."""
    if refused := editors.refusal():
        return refused
    stored = _store().read(generation_of(index).index)
    found = stored.draft.get(rule_id) or stored.live.get(rule_id)
    if found is None:
        return _no_rule(rule_id)
    return json_reply({"rule": rule.as_stored(found), "state": _state_of(stored, rule_id)})


@blueprint.put("/<index>/_rules/<path:rule_id>")
def put_rule(index: str, rule_id: str) -> Response:
    """Keep a rule as a draft; the answer says what it names that the index does not have."""
    if refused := editors.refusal():
        return refused
    generation = generation_of(index)
    asked = rule.read(_sent(), generation.index, rule_id)
    for query in _queries(asked):
        _store().check_query(generation.concrete, query)
    warnings = doubts.said(
        _store().absent(generation.concrete, doubts.ids(asked)),
        _store().unmapped(generation.concrete, doubts.fields(asked)),
    )
    stored = _store().put(asked)
    state = _state_of(stored, rule_id)
    return json_reply({"rule": rule.as_stored(asked), "state": state, "warnings": warnings})


@blueprint.delete("/<index>/_rules/<path:rule_id>")
def delete_rule(index: str, rule_id: str) -> Response:
    """Take a draft away; a live rule goes with the next publishing."""
    if refused := editors.refusal():
        return refused
    if not _store().delete(generation_of(index).index, rule_id):
        return _no_rule(rule_id)
    return json_reply({"deleted": rule_id})


@blueprint.post("/<index>/_rules/_publish")
def publish(index: str) -> Response:
    """Make the drafts what is live."""
    if refused := editors.refusal():
        return refused
    return json_reply(_state(_store().publish(generation_of(index).index)))


@blueprint.post("/<index>/_rules/_discard")
def discard(index: str) -> Response:
    """Make the drafts what is live again."""
    if refused := editors.refusal():
        return refused
    return json_reply(_state(_store().discard(generation_of(index).index)))


@blueprint.post("/<index>/_rules/_preview")
def preview(index: str) -> Response:
    """The answer to a search body as `_search` would give it with the drafts live."""
    started = time.perf_counter()
    if refused := editors.refusal():
        return refused
    generation = generation_of(index)
    drafts = RuleSet(list(_store().read(generation.index).draft.values()))
    asked = _asked(generation)
    found = replace(call(asked, index, generation, started), rules=drafts, draft=True)
    return json_reply(in_old_form(answer.search(process(), found)))


@blueprint.route("/_synonyms/<path:_rest>", methods=["PUT", "DELETE"])
def synonyms(_rest: str) -> Response:
    """Elasticsearch's own synonyms sets, changed by those who may edit rules."""
    refused = None if writes_allowed() else editors.refusal()
    return refused or from_node(ask_node())


def _asked(generation: Generation) -> RankedRequest:
    body = _sent()
    if isinstance(text := body.get("query"), str):
        fields = list(generation.config.search_fields)
        body["query"] = {"multi_match": {"query": text, "fields": fields}}
    check_options(body)
    asked = parse(body, request.args.to_dict(), request.headers, defaults(generation))
    if isinstance(asked, PassThrough):
        raise InvalidRequest(f"rules do not apply to this search ({asked.reason})")
    return replace(asked, options=replace(asked.options, record=False))


def _sent() -> dict[str, Any]:
    """The JSON object of this request; raises InvalidRequest also for one that is no query."""
    body = sent_object()
    if decoded(request.get_data()) is None:
        raise InvalidRequest(f"the body is nested too deep: {DEPTH_MAX} levels at the most")
    return body


def _queries(asked: rule.Rule) -> list[Any]:
    """Every query of Elasticsearch that a rule would have it ask."""
    found = effects.of([asked])
    return [*found.filters, *found.marks]


def _state(stored: Stored) -> dict[str, Any]:
    names = sorted({*stored.draft, *stored.live})
    rules = [
        {**rule.as_stored(stored.draft.get(name) or stored.live[name]), "state": state}
        for name in names
        for state in [_state_of(stored, name)]
    ]
    return {
        "rules": rules,
        "live": [it.id for it in in_order(stored.live)],
        "published_at": stored.published_at,
    }


def _state_of(stored: Stored, rule_id: str) -> str:
    """Draft (never published), changed, deleted (still live), or live."""
    draft, live = stored.draft.get(rule_id), stored.live.get(rule_id)
    if live is None:
        return "draft"
    if draft is None:
        return "deleted"
    return "live" if draft == live else "changed"


def _store() -> RuleStore:
    return process().rules.store


def _no_rule(rule_id: str) -> Response:
    return problems.problem(404, "resource_not_found_exception", f"there is no rule {rule_id!r}")
