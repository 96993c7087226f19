"""LambdaMART and the linear ranker in the model's place: same candidates, same signals, same rules.

They are what the training run fitted to the served network's own lists and left beside it. Each
search goes through the very code that serves, in this process; only the scores of the window are
then theirs. So a difference to `fused` is of the model, and of nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer.catalogue.generation import Generation
from indexer.errors import AskedWrongly, InvalidArtifact, UnknownIndex
from reranker import answer
from reranker.evaluation.replay import Answer, Asking, Search
from reranker.fusion import artifact
from reranker.fusion.registry import Registry
from reranker.retrieval.request import Defaults, PassThrough, RankedRequest, parse
from reranker.serving import order, scoring
from reranker.serving.call import Call, new_query_id, pseudonym_of
from reranker.serving.deadline import Deadline
from reranker.serving.models import Models
from reranker.serving.order import Ordered
from reranker.serving.process import Process
from reranker.serving.ranking import Ranking
from reranker.signals import definition

NAMES = ("lambdamart", "linear")
FUSED = "fused"
FILES = {"lambdamart": artifact.LAMBDAMART, "linear": artifact.LINEAR}
Array = NDArray[np.floating]
Scores = Callable[[NDArray[np.float32]], Array]
"""Signals of a window [m, signals] → scores [m]."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a version brings to be compared with."""

    version: str
    rankers: Mapping[str, Scores]


def serving(models_dir: Path, index: str, names: Sequence[str] = NAMES) -> Fitted | None:
    """The baselines beside the model that serves; None where there are none of `names`."""
    registry = Registry(models_dir, index)
    version = registry.current()
    if version is None:
        return None
    try:
        manifest = artifact.read_manifest(registry.path(version))
        if manifest.signal_digest != definition.digest():
            return None
        found = artifact.optional(registry.path(version), manifest)
    except InvalidArtifact:
        return None
    rankers = {
        name: OPENERS[name](found[FILES[name]]) for name in names if FILES.get(name) in found
    }
    return Fitted(version, rankers) if rankers else None


def lambdamart(content: bytes) -> Scores:
    """A LightGBM model as it was written."""
    import lightgbm

    booster = lightgbm.Booster(model_str=content.decode())
    return lambda signals: np.asarray(booster.predict(signals, num_threads=1))


def linear(content: bytes) -> Scores:
    """Weights by the name of the signal."""
    said = orjson.loads(content)["weights"]
    weights = np.array([said.get(name, 0.0) for name in definition.NAMES], dtype=np.float64)
    return lambda signals: signals @ weights


OPENERS: Mapping[str, Callable[[bytes], Scores]] = {"lambdamart": lambdamart, "linear": linear}


@dataclass(frozen=True, eq=False)
class InProcess:
    """Searches answered in this process, which serves the same model as the sidecar."""

    process: Process
    generation: Generation
    asking: Asking
    fitted: Fitted

    def replay(
        self, searches: Sequence[Search], on_answer: Callable[[], None] = lambda: None
    ) -> dict[str, list[Answer]]:
        """By baseline, and as FUSED by the model itself, one answer a search, in their order."""

        def one(search: Search) -> dict[str, Answer]:
            found = self.ask(search)
            on_answer()
            return found

        with ThreadPoolExecutor(self.asking.concurrency) as pool:
            answers = list(pool.map(one, searches))
        return {name: [it[name] for it in answers] for name in (*self.fitted.rankers, FUSED)}

    def ask(self, search: Search) -> dict[str, Answer]:
        """The answers of all baselines and of the model to one search, retrieved once."""
        started = perf_counter()
        ranking = answer.rank(self.process, self._call(search, started))
        shared = perf_counter() - started
        found = {
            name: self._reordered(ranking, scores, shared)
            for name, scores in self.fitted.rankers.items()
        }
        return {**found, FUSED: self._shown(ranking, ranking.ordered, shared)}

    def _reordered(self, ranking: Ranking, scores: Scores, shared_seconds: float) -> Answer:
        """The same candidates by other scores of the window, then what holds for every order."""
        started = perf_counter()
        fused, ordered = ranking.fused, ranking.ordered
        if fused.inputs is not None and fused.rows is not None:
            own = np.asarray(scores(fused.inputs["signals"]), dtype=np.float32)
            placed = scoring.placed(ranking.retrieved.candidates, fused.rows, own)
            ordered = order.by_score(placed, available=fused.available)
        return self._shown(ranking, ordered, shared_seconds + perf_counter() - started)

    def _shown(self, ranking: Ranking, ordered: Ordered, took_seconds: float) -> Answer:
        ids = ranking.retrieved.candidates.ids
        shown = tuple(ids[row] for row in ordered.rows[: self.asking.size].tolist())
        return Answer(shown, took_seconds, ranking.degraded)

    def _call(self, search: Search, started: float) -> Call:
        request = self._request(search)
        return Call(
            request=request,
            generation=self.generation,
            target=self.generation.concrete,
            headers={},
            shopper=pseudonym_of(request.shopper, self.process.pseudonym_key),
            query_id=new_query_id(),
            deadline=Deadline(started, self.asking.timeout_seconds),
        )

    def _request(self, search: Search) -> RankedRequest:
        settings = self.process.settings
        defaults = Defaults(
            window=settings.rank_window_size,
            window_max=settings.rank_window_max,
            available_field=self.generation.config.theirs("available"),
        )
        found = parse(self.asking.body(search, "fused"), {}, {}, defaults)
        if isinstance(found, PassThrough):
            raise AskedWrongly(f"a search of this file is not one to rank ({found.reason})")
        return found


def in_process(process: Process, asking: Asking, fitted: Fitted, models_dir: Path) -> InProcess:
    """Ready to answer; its models tell nobody that they serve."""
    generation = process.generations.find(asking.index)
    if generation is None:
        raise UnknownIndex(f"there is no index {asking.index!r} to measure baselines on")
    models = Models(models_dir, poll_seconds=process.settings.model_poll_seconds)
    models.look()
    return InProcess(replace(process, models=models), generation, asking, fitted)
