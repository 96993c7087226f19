"""`python -m tests.bench.streaming`: does the adaptive layer pay, and is it safe?

Purchases are gone through in time order, on a running stack that has the catalogue and a model
trained on what came before. Each case is a search (words of the bought product's title, a stand-in
for a typed query) just before its purchase, whose feedback is learned from after the search was
ranked. Every arm ranks the same candidates by the code that serves:

- frozen: model, profiles and counts as they were at the start
- live: profiles and counts follow each purchase, the model's weights do not
- adaptive: the layer learns from each purchase as well
- random, half random, lowest: the layer is taught by clicks anywhere in the shown list, by such
  clicks every other time, and by clicks on its last item; profiles and counts stay honest

With `--tail` it is gone through the last days before the model's own cut instead, by the network
that never saw them: that is where the layer's constants were chosen.
"""

import argparse
import gzip
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from compose.local.home import Home
from indexer import connections
from indexer import settings as server_settings
from indexer.behaviour import adaptive, event, ubi
from indexer.behaviour.adaptive import Layer, Lesson
from indexer.behaviour.event import BehaviourEvent
from indexer.catalogue.generation import resolve
from reranker.evaluation import judgements
from reranker.evaluation.compare import paired
from reranker.fusion import artifact
from reranker.fusion.registry import Registry
from reranker.fusion.scorer import Scorer
from reranker.learning import dataset, goods, material, moments
from reranker.learning.cases import Case
from reranker.learning.moments import Moment
from reranker.learning.world import World
from reranker.retrieval.candidates import Candidates
from reranker.serving.adaptation import segment_of
from reranker.signals.build import assemble

SEED = 7
WINDOW = 300
RANDOM_SEEDS = (1, 2, 3, 4, 5)
SETTLED = 500  # lists after which a running mean is looked at
ONE_WORD, TWO_WORDS = 0, 1
Values = NDArray[np.float64]
Choose = Callable[[int, int | None, np.random.Generator], int | None]
console = Console()


@dataclass(frozen=True)
class Searched:
    """A case and the purchase that it is about."""

    case: Case
    event_id: str


@dataclass(frozen=True, eq=False)
class Ranked:
    """One list: the model's scores [n], the layer's features [n, width], the target's row."""

    scores: NDArray[np.float32]
    features: NDArray[np.float16]
    target: int | None
    segment: str


def main() -> None:
    """Measure, print."""
    args = arguments()
    os.environ.update(Home(Path(args.home).resolve()).environment())
    frozen, live = lists_of(args)
    values = {name: reciprocal(ranked) for name, ranked in (("frozen", frozen), ("live", live))}
    layers: dict[str, Layer] = {}
    for name, choose, seed in arms():
        values[name], layers[name] = streamed(live, choose, args.shown, seed)
    rows = [row(name, values, layers.get(name)) for name in values]
    show(rows)
    print(json.dumps(rows))


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.streaming", description=__doc__)
    parser.add_argument("--home", default=os.environ.get("HITWEAVE_HOME", ".hitweave"))
    parser.add_argument("--index", required=True)
    parser.add_argument("--before", type=Path, required=True, help="Events the model learned from.")
    parser.add_argument("--after", type=Path, help="Events to go through; not with --tail.")
    parser.add_argument("--cases", type=Path, help="As `hitweave evaluate --cases`.")
    parser.add_argument("--query", type=int, default=ONE_WORD, choices=(ONE_WORD, TWO_WORDS))
    parser.add_argument("--limit", type=int, default=4000)
    parser.add_argument("--shown", type=int, default=10, help="Hits of one answer.")
    parser.add_argument("--model", help="A version of the registry [default: what serves].")
    parser.add_argument("--tail", action="store_true")
    return parser.parse_args()


def lists_of(args: argparse.Namespace) -> tuple[list[Ranked], list[Ranked]]:
    """The cases' lists with the state of the start, and with that of their own moment."""
    servers = server_settings.load()
    es, valkey = connections.elasticsearch(servers), connections.valkey(servers)
    generation = resolve(es, args.index)
    catalogue = goods.read(es, valkey, generation)
    registry = Registry(servers.models_dir, args.index)
    version = args.model or registry.current()
    if version is None:
        raise SystemExit(f"no model serves {args.index}: `hitweave train {args.index}`")
    loaded = artifact.load(registry.path(version), measured=args.tail)
    key = servers.pseudonym_key.get_secret_value()
    before = read_events(args.before, key)
    if args.tail:
        cut = datetime.fromisoformat(loaded.manifest.data["cut"]).timestamp()
        before, stream = split(before, cut)
    else:
        stream = read_events(args.after, key)
    searched = searches(args, stream, dict(zip(catalogue.ids, catalogue.titles, strict=True)), key)
    console.print(f"{len(before)} events before, {len(stream)} after, {len(searched)} cases")
    texts = list(dict.fromkeys(it.case.query for it in searched))
    found: dict[str, Candidates] = {}
    vectors: dict[str, NDArray[np.float32]] = {}
    for first in range(0, len(texts), material.QUERIES_AT_ONCE):
        batch = texts[first : first + material.QUERIES_AT_ONCE]
        candidates, encoded = material._find(es, generation, batch, WINDOW)
        found |= dict(zip(batch, candidates, strict=True))
        vectors |= dict(zip(batch, encoded, strict=True))
    world = World(catalogue, found, vectors, {}, [loaded.item_table], [0])
    return ranked_twice(world, Scorer(loaded), before, stream, searched)


def read_events(path: Path, key: str) -> list[BehaviourEvent]:
    """The events of a file as an import takes them: each once, by time and identity."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = map(json.loads, data.splitlines())
    read = [ubi.read(line, key=key, now=np.inf, live=False)[1] for line in lines]
    once = {it["event_id"]: event.event_of(it) for it in read}
    return sorted(once.values(), key=lambda it: (it.timestamp, it.event_id))


def split(
    events: Sequence[BehaviourEvent], cut: float
) -> tuple[list[BehaviourEvent], list[BehaviourEvent]]:
    """Events up to `cut`, and those after."""
    early = [it for it in events if it.timestamp <= cut]
    return early, list(events[len(early) :])


def searches(
    args: argparse.Namespace, stream: Sequence[BehaviourEvent], titles: dict[str, str], key: str
) -> list[Searched]:
    """Searches by time: those of the cases' file, else of purchases drawn at random."""
    if args.cases:
        return of_file(args, stream, key)
    bought = [it for it in stream if it.user and titles.get(it.item_id, "").split()]
    count = min(args.limit, len(bought))
    drawn = np.random.default_rng(SEED).choice(len(bought), count, replace=False)
    return [
        searched(bought[at], " ".join(titles[bought[at].item_id].split()[-1 - args.query :]))
        for at in sorted(drawn.tolist())
    ]


def of_file(args: argparse.Namespace, stream: Sequence[BehaviourEvent], key: str) -> list[Searched]:
    """Cases with the purchase that each one is about: same shopper, moment and item."""
    deeds = {(it.user, it.timestamp, it.item_id): it for it in reversed(stream)}
    found = []
    for case, line in zip(
        judgements.read_cases(args.cases).cases, args.cases.open(encoding="utf-8"), strict=True
    ):
        at = datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
        user = event.shopper(key, case.user_id)
        if bought := deeds.get((user, at, case.target)):
            found.append(searched(bought, case.queries[args.query]))
    return sorted(found, key=lambda it: it.case.time)[: args.limit]


def searched(bought: BehaviourEvent, text: str) -> Searched:
    """The search just before a purchase."""
    text = event.query_key(text)
    case = Case(0, bought.timestamp, bought.user, text, {}, bought.item_id)
    return Searched(case, bought.event_id)


def ranked_twice(
    world: World,
    scorer: Scorer,
    before: Sequence[BehaviourEvent],
    stream: Sequence[BehaviourEvent],
    asked: Sequence[Searched],
) -> tuple[list[Ranked], list[Ranked]]:
    """Each case's list with the state of the start, and with that just before its purchase."""
    text_of = {it.event_id: it.case.query for it in asked}
    told = [replace(it, query_key=text_of.get(it.event_id, it.query_key)) for it in stream]
    at = [before[-1].timestamp, *(float(np.nextafter(it.case.time, -np.inf)) for it in asked)]
    frozen: list[Ranked] = []
    live: list[Ranked] = []
    for number, moment in enumerate(moments.replay([*before, *told], at)):
        if number == 0:
            frozen = [ranked(world, scorer, moment, it.case) for it in asked]
        else:
            live.append(ranked(world, scorer, moment, asked[number - 1].case))
    return frozen, live


def ranked(world: World, scorer: Scorer, moment: Moment, case: Case) -> Ranked:
    """One list as it would be served at a moment."""
    found = world.found[case.query]
    near = (found.bm25_rank <= WINDOW) | (found.knn_rank <= WINDOW)
    candidates = found.take(np.flatnonzero(near & (world.goods.rows(found.ids) >= 0)))
    items = world.goods.rows(candidates.ids)
    past = dataset.past_of(moment.shopper(case.user), moment, world.goods)
    inputs = assemble(dataset.situation_of(case, moment, world, candidates, past, items))
    target = candidates.ids.index(case.target) if case.target in candidates.ids else None
    return Ranked(
        scores=scorer.score(inputs).scores,
        features=adaptive.features(inputs["signals"]).astype(np.float16),
        target=target,
        segment=segment_of(len(inputs["history_vectors"]), {}),
    )


def arms() -> list[tuple[str, Choose, int]]:
    """Who teaches the layer: a name, how a place is chosen from the shown ones, a seed."""

    def bought(shown: int, place: int | None, random: np.random.Generator) -> int | None:
        return place

    def anywhere(shown: int, place: int | None, random: np.random.Generator) -> int | None:
        return int(random.integers(shown))

    def half(shown: int, place: int | None, random: np.random.Generator) -> int | None:
        return int(random.integers(shown)) if random.random() < 0.5 else place

    def lowest(shown: int, place: int | None, random: np.random.Generator) -> int | None:
        return shown - 1

    chance = [(f"random {seed}", anywhere, seed) for seed in RANDOM_SEEDS]
    return [("adaptive", bought, 0), *chance, ("half random", half, 0), ("lowest", lowest, 0)]


def streamed(
    lists: Sequence[Ranked], choose: Choose, shown: int, seed: int
) -> tuple[Values, Layer]:
    """Reciprocal rank of each list [lists] by the layer as it was before it; and the last layer."""
    random = np.random.default_rng(seed)
    layer = adaptive.empty(lists[0].features.shape[1])
    found = np.zeros(len(lists))
    for number, it in enumerate(lists):
        features = it.features.astype(np.float64)
        scores = it.scores + layer.gain * layer.part(features, it.segment)
        found[number] = reciprocal_rank(scores, it.target)
        order = np.argsort(-scores, kind="stable")[:shown]
        here = np.flatnonzero(order == (-1 if it.target is None else it.target)).tolist()
        place = choose(len(order), here[0] if here else None, random)
        if place is not None and len(order) > 1:
            lesson = Lesson(features[order], it.scores[order], place, 1.0, it.segment)
            layer = adaptive.learn(layer, lesson)
    return found, layer


def reciprocal(lists: Sequence[Ranked]) -> Values:
    """Reciprocal rank of each list's target [lists], 0 where it was not found."""
    return np.array([reciprocal_rank(it.scores, it.target) for it in lists])


def reciprocal_rank(scores: NDArray[Any], target: int | None) -> float:
    """Of one row; ties count half."""
    if target is None:
        return 0.0
    own = scores[target]
    return float(1.0 / (1 + (scores > own).sum() + ((scores == own).sum() - 1) / 2))


def row(name: str, values: dict[str, Values], layer: Layer | None) -> dict[str, Any]:
    """One arm: its MRR, and how it stands against the frozen and the live one."""
    own = values[name]
    found: dict[str, Any] = {"arm": name, "cases": len(own), "mrr": round(float(own.mean()), 4)}
    for other in ("frozen", "live"):
        base = values[other]
        if other == name or (name, other) == ("frozen", "live"):
            continue
        test = paired(own, base, SEED)
        found[f"against {other}"] = {
            "percent": round(100 * float(own.mean() / base.mean() - 1), 2),
            "difference": round(test.mean_difference, 4),
            "interval": [round(end, 4) for end in test.interval],
            "p": round(test.p_value, 4),
            "lowest running percent": round(lowest_running(own, base), 2),
        }
    if layer is not None:
        found |= {"lessons": layer.lessons, "gain": layer.gain, "noise": round(layer.noise, 3)}
    return found


def lowest_running(own: Values, base: Values) -> float:
    """The lowest that the mean so far stood against the other's, in percent."""
    settled = min(SETTLED, len(own)) - 1
    return float((100 * (own.cumsum() / base.cumsum() - 1))[settled:].min())


def show(rows: Sequence[dict[str, Any]]) -> None:
    """A table for people."""
    table = Table("arm", "MRR", "against frozen", "against live", "lowest", "gain", "noise")
    for it in rows:
        frozen, live = it.get("against frozen"), it.get("against live")
        table.add_row(
            *(it["arm"], f"{it['mrr']:.4f}"),
            *(f"{o['percent']:+.2f} % (p = {o['p']})" if o else "" for o in (frozen, live)),
            f"{live['lowest running percent']:+.2f} %" if live else "",
            *(str(round(it[name], 2)) if name in it else "" for name in ("gain", "noise")),
        )
    console.print(table)


if __name__ == "__main__":
    main()
