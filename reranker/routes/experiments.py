"""Experiments over HTTP: drafted, started, stopped, reported on; for those who may edit rules."""

import threading
import time
from typing import Any

from flask import Blueprint, Response, request

from indexer import connections
from indexer import settings as server_settings
from indexer.errors import InvalidRequest
from reranker.experiments import experiment, measuring, rendering
from reranker.experiments.arm_models import check_models
from reranker.experiments.experiment_store import ExperimentStore
from reranker.experiments.plan import Wish
from reranker.routes import editors, problems
from reranker.routes.access import generation_of, process
from reranker.routes.body import sent_object
from reranker.routes.reply import HTML, json_reply, wants_html

blueprint = Blueprint("experiments", __name__, template_folder="templates")

FORMATS = ("json", "markdown", "html")
# A report reads the journal: one at a time, so that searches are answered meanwhile.
_reporting = threading.Lock()


@blueprint.get("/<index>/_experiments")
def all_experiments(index: str) -> Response:
    """Every experiment of an index; for a browser the page that shows and edits them."""
    if answered := editors.page("experiments.html", index) or editors.refusal():
        return answered
    found = _store().all(generation_of(index).index)
    return json_reply({"experiments": [trial.said() for trial in found]})


@blueprint.get("/<index>/_experiments/<name>")
def one_experiment(index: str, name: str) -> Response:
    """One experiment as it stands."""
    if refused := editors.refusal():
        return refused
    trial = _store().read(generation_of(index).index, name)
    return _no_experiment(name) if trial is None else json_reply(trial.said())


@blueprint.put("/<index>/_experiments/<name>")
def put_experiment(index: str, name: str) -> Response:
    """Keep an experiment as a draft; nobody takes part in it yet."""
    if refused := editors.refusal():
        return refused
    asked = experiment.read(sent_object(), generation_of(index).index, name)
    return json_reply(_store().put(asked).said())


@blueprint.delete("/<index>/_experiments/<name>")
def delete_experiment(index: str, name: str) -> Response:
    """Forget one that does not run; what the journal says of it stays there."""
    if refused := editors.refusal():
        return refused
    if not _store().delete(generation_of(index).index, name):
        return _no_experiment(name)
    return json_reply({"deleted": name})


@blueprint.post("/<index>/_experiments/<name>/_start")
def start(index: str, name: str) -> Response:
    """Let units take part from now on."""
    if refused := editors.refusal():
        return refused
    own = generation_of(index).index
    trial = _store().read(own, name)
    if trial is None:
        return _no_experiment(name)
    check_models(trial.experiment, server_settings.load().models_dir)
    return json_reply(_store().start(own, name).said())


@blueprint.post("/<index>/_experiments/<name>/_stop")
def stop(index: str, name: str) -> Response:
    """End it; everyone is answered alike again."""
    if refused := editors.refusal():
        return refused
    own = generation_of(index).index
    if _store().read(own, name) is None:
        return _no_experiment(name)
    return json_reply(_store().stop(own, name).said())


@blueprint.get("/<index>/_experiments/<name>/_report")
def report(index: str, name: str) -> Response:
    """What it has shown so far: `format` json, markdown or html; a browser gets the page."""
    if refused := editors.refusal():
        return refused
    wanted = _format()
    trial = _store().read(generation_of(index).index, name)
    if trial is None:
        return _no_experiment(name)
    with _reporting, connections.elasticsearch(server_settings.load()) as es:
        facts = measuring.reported(es, trial, time.time())
    if wanted == "html":
        return Response(rendering.page(facts), content_type=HTML)
    if wanted == "markdown":
        text = rendering.markdown(facts)
        return Response(text, content_type="text/markdown; charset=utf-8")
    return json_reply(facts)


@blueprint.get("/<index>/_experiments/_plan")
def plan(index: str) -> Response:
    """How many units and days a change takes to be found, by the weeks before now."""
    if refused := editors.refusal():
        return refused
    wish = _wish(generation_of(index).index)
    with _reporting, connections.elasticsearch(server_settings.load()) as es:
        return json_reply(measuring.planned(es, wish, time.time()))


def _wish(index: str) -> Wish:
    kinds: dict[str, Any] = {
        "metric": str,
        "unit": str,
        "effect": float,
        "arms": int,
        "alpha": float,
        "before_days": float,
    }
    try:
        asked = {
            name: kind(request.args[name]) for name, kind in kinds.items() if name in request.args
        }
    except ValueError as error:
        raise InvalidRequest(f"such an experiment cannot be planned: {error}") from None
    wish = Wish(index, **asked)
    wish.check()
    return wish


def _format() -> str:
    wanted = request.args.get("format", "html" if wants_html() else "json")
    if wanted not in FORMATS:
        raise InvalidRequest(f"format is {wanted!r}: use one of {', '.join(FORMATS)}")
    return wanted


def _store() -> ExperimentStore:
    return process().experiments.store


def _no_experiment(name: str) -> Response:
    kind = "resource_not_found_exception"
    return problems.problem(404, kind, f"there is no experiment {name!r}")
