"""What was learned against what serves: learn, measure both on the same lists, write, promote.

The gate compares what was measured before the refit, for the challenger and for what serves: an
artifact keeps its measured network beside the served one, so that neither is judged on days that
it has learned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import KIND_OF_ACTION, PURCHASE, VIEW
from indexer.catalogue.generation import Generation
from indexer.errors import InvalidArtifact
from reranker.fusion import artifact
from reranker.fusion.artifact import Artifact, Manifest
from reranker.fusion.baseline import PriorWeights
from reranker.fusion.registry import Registry
from reranker.fusion.scorer import Scorer
from reranker.learning import (
    dataset,
    export,
    known_items,
    material,
    measure,
    mixture,
    moments,
    run,
    warm_start,
)
from reranker.learning.cases import Case
from reranker.learning.dataset import Assembly, ListSet
from reranker.learning.equipment import Workshop
from reranker.learning.mixture import Mixture
from reranker.learning.moments import Moment
from reranker.learning.network import HEADS, FusionNetwork
from reranker.learning.plan import Plan
from reranker.learning.progress import Progress
from reranker.learning.run import Learned
from reranker.learning.schedule import Schedule
from reranker.learning.warm_start import Parent
from reranker.learning.world import Propose, World
from reranker.retrieval.candidates import Candidates
from reranker.signals import definition, drift
from reranker.signals.item_table import ItemTable
from reranker.signals.past import Past

TOKENS = ["query", "item", "shopper", *definition.FAMILIES]
INT8_LOSS_MAX = 0.002  # held-out MRR that int8 weights may cost
PROXY = (
    "queries derived from titles of bought items stand for typed ones where no search was logged"
)


@dataclass(frozen=True, eq=False)
class Contest:
    """Which model of which registry is challenged, on what."""

    registry: Registry
    generation: Generation
    schedule: Schedule
    read: material.Material
    plan: Plan
    world: World
    parent: Parent | None = None  # whose weights the challenger begins with

    def held(
        self,
        now: datetime,
        progress: Progress,
        workshop: Workshop,
        ready: Callable[[Manifest, Learned], None] = lambda _manifest, _learned: None,
    ) -> dict[str, Any] | None:
        """Learn and promote what is better; None where no list has a labelled candidate.

        `ready` is called before a model serves, for what has to be there by then.
        """
        kept_as = self.registry.folder.name
        tools = workshop.equip(
            kept_as, self.generation, self.read, self.schedule, _version(self.registry, now)
        )
        learned = run.learn(
            self.read, self.plan, self.world, self.schedule, progress, tools, self.parent
        )
        if learned is None:
            return None
        before = self._serving_scores(learned.at_cut)
        manifest = _write(self, learned, before, now)
        tools.finished(manifest.metrics["after"])
        titles, spoilt = self._titles(manifest, learned.at_cut)
        refused = verdict(learned, self.world, before, self.schedule) or spoilt
        if refused is None:
            ready(manifest, learned)
            self.registry.promote(manifest.version)
        answer: dict[str, Any] = {"promoted": refused is None, "version": manifest.version}
        answer |= {"parent": manifest.parent, "why": refused} if refused else {}
        answer |= {"whole_titles": titles} if titles else {}
        return {**answer, **manifest.metrics, "data": manifest.data}

    def _titles(self, manifest: Manifest, at_cut: Moment) -> tuple[dict[str, float], str | None]:
        """How what was written answers the plan's probes, and why it must not serve for that."""
        written = artifact.load(self.registry.path(manifest.version), measured=True)
        lists = self._assembled(self.plan.probes, written, at_cut)
        if lists is None:
            return {}, None
        scores = scored_by(Scorer(written), lists, self.world, written)
        untrained = measure.untrained(lists, list(self.world.query_row))
        level = self.schedule.seed, self.schedule.alpha
        return known_items.verdict(scores, untrained, lists, *level)

    def _serving_scores(self, at_cut: Moment) -> NDArray[np.floating] | None:
        """Scores of the held-out lists by the measured network of what serves; None: the prior.

        Its signals are assembled with its own item table. What cannot be loaded does not serve.
        """
        version = self.registry.current()
        if version is None:
            return None
        try:
            serving = artifact.load(self.registry.path(version), measured=True)
            scorer = Scorer(serving)
        except InvalidArtifact:
            return None
        lists = self._assembled(self.plan.held_out, serving, at_cut)
        return None if lists is None else scored_by(scorer, lists, self.world, serving)

    def _assembled(self, cases: Sequence[Case], by: Artifact, at_cut: Moment) -> ListSet | None:
        """Whole lists of cases of the cut and later, by moment, as an artifact sees them.

        What stands in a list without a search is what the world proposes, not what the artifact's
        own table would: scores of the same rows are compared.
        """
        if not cases:
            return None
        at, world = self.plan.at, self.world
        own = replace(
            world,
            tables=[by.item_table],
            table_of_moment=[0] * len(at),
            propose=None if world.propose is None else _proposed_by(world),
        )
        whole = Assembly(keep=None, windows=(_window(self.world),), keyword_jitter=0.0)
        first, end = at.index(self.plan.cut), cases[-1].moment + 1
        folded = moments.replay(self.read.events, at[first:end], at_cut, own.half_life_hours)
        replayed = enumerate(folded, start=first)
        (lists,) = dataset.assemble([(cases, whole)], replayed, own)
        return lists


def _proposed_by(world: World) -> Propose:
    """What a world proposes, whichever table its lists are seen with."""

    def propose(case: Case, moment: Moment, _table: ItemTable) -> tuple[Candidates, Past]:
        assert world.propose is not None  # noqa: S101 - asked for where there is one
        return world.propose(case, moment, world.table_at(case.moment))

    return propose


def _window(world: World) -> int:
    found = [c for c in world.found.values() if len(c)]
    if not found:
        return 1
    return max(int(np.nanmax(np.r_[c.bm25_rank, c.knn_rank, 1.0])) for c in found)


def scored_by(
    scorer: Scorer, lists: ListSet, world: World, serving: Artifact
) -> NDArray[np.float32]:
    """Scores [rows] by an artifact, list by list, as it serves."""
    rows_of_taste = serving.item_table.lookup(world.goods.hashes, world.goods.vectors)
    queries = list(world.query_vectors.values())
    scores = np.empty(len(lists.item), dtype=np.float32)
    for i, (first, end) in enumerate(zip(lists.start[:-1], lists.start[1:], strict=True)):
        item, past = lists.item[first:end], lists.history[i]
        past = past[past >= 0]
        scores[first:end] = scorer.score(
            {
                "signals": lists.signals[first:end].astype(np.float32),
                "query_vector": queries[lists.query[i]],
                "item_vectors": world.goods.vectors[item],
                "item_rows": rows_of_taste[item],
                "history_vectors": world.goods.vectors[past],
                "history_rows": rows_of_taste[past],
                "history_features": lists.history_features[i, : len(past)].astype(np.float32),
            }
        ).scores
    return scores


def verdict(
    learned: Learned, world: World, before: NDArray[np.floating] | None, schedule: Schedule
) -> str | None:
    """Why what was learned must not serve; None: it may. `before` are the serving scores [rows] of
    the held-out lists, None for the prior's.
    """
    held_out = learned.held_out
    serving = learned.scores["prior"] if before is None else before
    texts = list(world.query_row)
    yardstick = measure.Yardstick(held_out)
    return measure.gate(
        yardstick.values(learned.scores["fused"]),
        yardstick.values(serving),
        measure.guarded(held_out, [texts[row] for row in held_out.query.tolist()]),
        schedule.seed,
        schedule.alpha,
        yardstick.name,
    )


def _write(
    contest: Contest, learned: Learned, before: NDArray[np.floating] | None, now: datetime
) -> Manifest:
    """Write the artifact; it does not serve yet."""
    registry, generation, schedule = contest.registry, contest.generation, contest.schedule
    held_out = learned.held_out
    systems = {name: measure.summary(s, held_out) for name, s in learned.scores.items()}
    serving = learned.scores["prior"] if before is None else before
    manifest = Manifest(
        version=_version(registry, now),
        index=generation.index,
        created_at=now.astimezone(UTC).isoformat(timespec="seconds"),
        parent=registry.current(),
        signal_digest=definition.digest(),
        recipe_digest=generation.recipe.digest(),
        dims=generation.recipe.dims,
        head_weights=dict(zip(HEADS, map(float, learned.trained.weights), strict=True)),
        prior_weights=PriorWeights().as_dict(),
        tokens=TOKENS,
        hashes={},
        metrics={
            "before": measure.summary(serving, held_out),
            "after": systems["fused"],
            "systems": systems,
            "training": learned.log,
        },
        data=_data(contest.read, contest.plan, held_out),
        reference=drift.reference(held_out.signals, len(held_out)),
        config=schedule.model_dump(),
    )
    networks = mixture.networks(learned.served, learned.mixture)
    measured = mixture.networks(learned.measured, learned.mixture)
    served, int8 = _graph(networks, learned, schedule)
    manifest = manifest.model_copy(update={"metrics": {**manifest.metrics, "int8": int8}})
    parts = artifact.Parts(
        model=served,
        table=learned.served_table,
        measured_model=export.to_onnx(measured, int8=False),
        measured_table=learned.measured_table,
        optional={
            **learned.baselines,
            artifact.WEIGHTS: warm_start.packed(learned.measured),
            artifact.NETWORK: warm_start.packed(networks),
            **_trees(learned.mixture),
        },
    )
    return artifact.write(registry.path(manifest.version), parts, manifest)


def _trees(mixed: Mixture | None) -> dict[str, bytes]:
    if mixed is None:
        return {}
    return {
        artifact.TREES: mixture.graph(mixed.served, mixed.share),
        artifact.MEASURED_TREES: mixture.graph(mixed.measured, mixed.share),
    }


def _graph(
    networks: Sequence[FusionNetwork], learned: Learned, schedule: Schedule
) -> tuple[bytes, bool]:
    """The served graph, with int8 weights where they cost nothing; and whether they are."""
    plain = export.to_onnx(networks, int8=False)
    if not schedule.int8:
        return plain, False
    small = export.quantised(plain)
    yardstick = measure.Yardstick(learned.held_out)
    found = [yardstick.values(_by_graph(graph, learned)).mean() for graph in (plain, small)]
    hurts = found[0] - found[1] > INT8_LOSS_MAX
    return (plain, False) if hurts else (small, True)


def _by_graph(graph: bytes, learned: Learned) -> NDArray[np.float32]:
    from reranker.learning.onnx_scores import scores

    return scores(graph, learned.held_out, learned.vectors, learned.trained.weights)


def _version(registry: Registry, now: datetime) -> str:
    return registry.unused(now.astimezone(UTC).strftime("%Y%m%dT%H%M%S"))


def _data(read: material.Material, made: Plan, held_out: ListSet) -> dict[str, Any]:
    first, until = read.events[0].timestamp, read.events[-1].timestamp
    every = [case for case in (*made.train, *made.held_out) if not case.named]
    return {
        "from": _iso(first),
        "until": _iso(until),
        "cut": _iso(made.cut),
        "events": len(read.events),
        "purchases": _count(read, PURCHASE),
        "views": _count(read, VIEW),
        "training_lists": len(made.train),
        "late_lists": len(made.late),
        "held_out_lists": len(held_out),
        "judged_queries": len(read.judged),
        "derived_share": round(sum(c.derived for c in every) / len(every), 4),
        "searches_with_served_signals": sum(s.served is not None for s in read.searches),
        "position_bias": made.position_bias.as_dict(),
        "proxy": PROXY,
    }


def _count(read: material.Material, kind: int) -> int:
    return sum(1 for e in read.events if KIND_OF_ACTION.get(e.action) == kind)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
