"""Cases turned into lists of signals, by the code that serves; and lists turned into batches.

Text vectors and histories are kept as rows of the catalogue, so a list costs its signals only.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import PURCHASE
from indexer.behaviour.shopper_profile import ShopperProfile
from reranker.learning import cold_start, logged_signals
from reranker.learning.cases import Case
from reranker.learning.derived_queries import SpanStyle, chances
from reranker.learning.goods import Goods
from reranker.learning.logged_signals import LoggedSignals
from reranker.learning.moments import Moment
from reranker.learning.world import World
from reranker.retrieval.candidates import Candidates
from reranker.signals import build
from reranker.signals.build import ModelInput
from reranker.signals.past import Past
from reranker.signals.situation import HISTORY_MAX, Situation

LABELS = 3
VARIES_MIN, NEVER_VARIED = 1e-6, 1e6
BOUGHT = np.array([0.0, 0.0, 1.0], dtype=np.float32)  # labels of a purchase


@dataclass(frozen=True, eq=False)
class ListSet:
    """Lists one after the other; list i has the rows `start[i]` to `start[i + 1]`."""

    start: NDArray[np.int64]  # [lists + 1]
    signals: NDArray[np.float16]  # [rows, signals], filled
    item: NDArray[np.int32]  # [rows] row of the catalogue
    labels: NDArray[np.float32]  # [rows, 3] click, cart, purchase
    target: NDArray[np.bool_]  # [rows] what a derived case is measured on
    hidden: NDArray[np.bool_]  # [rows] shown as an item that nobody ever touched
    query: NDArray[np.int32]  # [lists] row of the query vectors
    history: NDArray[np.int32]  # [lists, HISTORY_MAX] rows of the catalogue, -1: none
    history_features: NDArray[np.float16]  # [lists, HISTORY_MAX, HISTORY_FEATURES]
    table: NDArray[np.int32]  # [lists] which item table
    bought_before: NDArray[np.bool_]  # [lists] the shopper had bought the target
    judged: NDArray[np.bool_]  # [lists] labels are gains of graded judgements
    time: NDArray[np.float64]  # [lists]

    def __len__(self) -> int:
        return len(self.query)


@dataclass(frozen=True)
class Assembly:
    """How lists are made of cases. `keep` rows a list at the most, None: all of them.

    To measure, `served` stays off: within a list, all signals are then of one moment. So do
    `cold_start` and `label_doubt`, which a list's share of untouched candidates multiplies, that
    of doubt squared. `style` is that of the derived cases' queries.
    """

    keep: int | None = 64
    windows: tuple[int, ...] = (100, 300)
    keyword_jitter: float = 0.5  # log spread of a factor on the keyword scores of a list
    seed: int = 0
    served: bool = False  # what was logged with a search stands for what is assembled now
    cold_start: float = 0.0  # how often a derived case's item is shown as untouched
    label_doubt: float = 0.0  # how often its label is drawn from the prior
    style: SpanStyle = field(default_factory=SpanStyle)


_OF_LISTS = (
    *("query", "table", "bought_before", "judged", "time"),
    *("history", "history_features"),
)


class _Lists:
    """Columns that grow list by list."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in ListSet.__dataclass_fields__}

    def add(self, **values: Any) -> None:
        for name, value in values.items():
            self.columns[name].append(value)

    def finished(self) -> ListSet:
        rows = {
            name: np.concatenate(self.columns[name])
            for name in ("signals", "item", "labels", "target", "hidden")
        }
        lists = {name: np.array(self.columns[name]) for name in _OF_LISTS}
        sizes = [len(rows_of) for rows_of in self.columns["item"]]
        return ListSet(start=np.r_[0, np.cumsum(sizes)].astype(np.int64), **rows, **lists)


def assemble(
    jobs: Sequence[tuple[Sequence[Case], Assembly]],
    replayed: Iterable[tuple[int, Moment]],
    world: World,
    progress: Callable[[int], None] = lambda _: None,
) -> list[ListSet | None]:
    """Lists of each job's cases (sorted by moment); None where no candidate has a label.

    `replayed` are numbered moments in order, walked once for all jobs.
    """
    making = [
        (iter(cases), _Lists(), assembly, np.random.default_rng(assembly.seed))
        for cases, assembly in jobs
    ]
    waiting = [next(cases, None) for cases, *_ in making]
    for number, moment in replayed:
        for job, (cases, lists, assembly, random) in enumerate(making):
            case = waiting[job]
            while case is not None and case.moment == number:
                _add(lists, case, moment, world, assembly, random)
                case = next(cases, None)
                progress(1)
            waiting[job] = case
    return [lists.finished() if lists.columns["item"] else None for _, lists, _, _ in making]


def _add(
    lists: _Lists,
    case: Case,
    moment: Moment,
    world: World,
    assembly: Assembly,
    random: np.random.Generator,
) -> None:
    served = logged_signals.of(case, world.goods) if assembly.served else None
    if world.propose is not None:
        candidates, past = world.propose(case, moment, world.table_at(case.moment))
    else:
        candidates = _candidates(case, world, assembly, random, served)
        past = past_of(moment.shopper(case.user), moment, world.goods)
    items = world.goods.rows(candidates.ids)
    labels = _labels(case, candidates)
    if not labels.any():
        return
    situation = situation_of(case, moment, world, candidates, past, items)
    if case.derived:
        labels = labels * _asked_for(case, labels, items, world, assembly)[:, None]
    shown_as = _shown_as(case, situation, labels, assembly, random)
    if shown_as is None:
        return
    made, labels = shown_as.made, shown_as.labels
    history = world.goods.rows(situation.shopper.ids(min(len(situation.shopper), HISTORY_MAX)))
    signals, features = made["signals"], made["history_features"].astype(np.float16)
    shown = np.zeros(len(candidates), dtype=bool)
    if served is not None:
        signals, shown = served.over(signals, candidates.ids)
        history, features = served.history, served.history_features
    rows = _kept(labels, shown, np.isfinite(candidates.bm25), assembly.keep, random)
    lists.add(
        signals=signals[rows].astype(np.float16),
        item=items[rows].astype(np.int32),
        labels=labels[rows],
        target=shown_as.target[rows],
        hidden=shown_as.hidden[rows],
        query=world.query_row[case.query],
        history=_fixed(history.astype(np.int32), -1),
        history_features=_fixed(features, 0),
        table=world.table_of_moment[case.moment],
        bought_before=_bought(situation.shopper, world.goods, case.target),
        judged=case.judged,
        time=case.time,
    )


@dataclass(frozen=True, eq=False)
class _Shown:
    """A list as the model is to see it: its input, and by candidate [n] what is wanted."""

    made: ModelInput
    labels: NDArray[np.float32]
    target: NDArray[np.bool_]
    hidden: NDArray[np.bool_]


def _shown_as(
    case: Case,
    situation: Situation,
    labels: NDArray[np.float32],
    assembly: Assembly,
    random: np.random.Generator,
) -> _Shown | None:
    """The list of a case with `labels` [n, 3]; None where a derived case's item is not in it."""
    target = np.array([item_id == case.target for item_id in situation.candidates.ids])
    hidden = np.zeros(len(target), dtype=bool)
    if not case.derived:
        return _Shown(build.assemble(situation), labels, target, hidden)
    if not target.any():
        return None
    labelled: NDArray[np.bool_] = np.any(labels > 0, axis=1)
    untouched = cold_start.share_untouched(situation, labelled)
    odds = assembly.cold_start * untouched
    if odds > 0.0:
        hidden = cold_start.to_hide(situation, labelled, odds, random)
    made = build.assemble(cold_start.without(situation, hidden))
    odds = assembly.label_doubt * untouched**2
    row = cold_start.doubted(made["signals"], odds, random) if odds > 0.0 else None
    if row is not None:
        target = np.arange(len(target)) == row
        labels = target[:, None] * BOUGHT
    return _Shown(made, labels, target, hidden)


def _candidates(
    case: Case,
    world: World,
    assembly: Assembly,
    random: np.random.Generator,
    served: LoggedSignals | None,
) -> Candidates:
    """What was found for the query within one of the windows, of items that there still are.

    Beside logged signals every shown item is there, and keyword scores are as they were served.
    """
    found = world.found[case.query]
    window = int(random.choice(assembly.windows))
    factor = np.float32(np.exp(random.normal(0.0, assembly.keyword_jitter)))
    near = (found.bm25_rank <= window) | (found.knn_rank <= window)
    there = world.goods.rows(found.ids) >= 0
    if served is not None:
        near |= np.array([item_id in served.row for item_id in found.ids], dtype=bool)
        return served.beside(found.take(np.flatnonzero(near & there)))
    found = found.take(np.flatnonzero(near & there))
    return replace(found, bm25=found.bm25 * factor)


def _labels(case: Case, candidates: Candidates) -> NDArray[np.float32]:
    """Labels [n, 3] of what was done with the candidates."""
    labels = np.zeros((len(candidates), LABELS), dtype=np.float32)
    for row, item_id in enumerate(candidates.ids):
        if item_id in case.labels:
            labels[row] = case.labels[item_id]
    return labels


def _asked_for(
    case: Case,
    labels: NDArray[np.float32],
    items: NDArray[np.intp],
    world: World,
    assembly: Assembly,
) -> NDArray[np.float32]:
    """How likely each item of a derived case's basket is what was asked for [n].

    The query was made of one title, but would have been as likely with another one of them as that
    one gives it: the labels say so, where the one item drawn would say the same on average alone
    (Rao 1945, Blackwell 1947).
    """
    shares = np.zeros(len(labels), dtype=np.float32)
    bought = np.flatnonzero(labels.any(axis=1))
    likely = chances(case.query, [world.goods.titles[r] for r in items[bought]], assembly.style)
    target = items[bought] == world.goods.row.get(case.target or "", -1)
    # A query that is none of the target's title was made in another way: it asks for that alone.
    shares[bought] = likely / likely.sum() if likely[target].any() else target
    return shares


def past_of(shopper: ShopperProfile, moment: Moment, goods: Goods) -> Past:
    """A profile's side of a list as of a moment, as it is read to serve."""
    ids = shopper.ids(min(len(shopper), HISTORY_MAX))
    history = goods.rows(ids)
    cards = goods.cards[history].copy()
    if (history < 0).any():
        cards[history < 0] = np.zeros((), cards.dtype)
    return Past(shopper, cards if ids else None, moment.partners(ids), moment.at)


def situation_of(
    case: Case,
    moment: Moment,
    world: World,
    candidates: Candidates,
    past: Past,
    items: NDArray[np.intp],
) -> Situation:
    """What the signals of a case's candidates, the goods at `items`, are made of."""
    return Situation(
        candidates=candidates,
        query_vector=world.query_vectors[case.query] if case.query else None,
        cards=world.goods.cards[items],
        cards_present=world.goods.present[items],
        popularity=moment.popularity(candidates.ids),
        now=moment.at,
        query=case.query,
        shopper=past.shopper,
        history_cards=past.history_cards,
        partners=past.partners,
        prepared=past,
        query_stats=moment.query_stats(case.query),
        context=case.context,
        context_keys=world.context_keys,
        item_table=world.table_at(case.moment),
        projected=world.projected[world.table_of_moment[case.moment]][items],
    )


def _kept(
    labels: NDArray[np.float32],
    shown: NDArray[np.bool_],
    matched: NDArray[np.bool_],
    keep: int | None,
    random: np.random.Generator,
) -> NDArray[np.intp]:
    """Rows of a shortened list: all labelled, what is known to have been shown, then keyword
    matches, a quarter for the others.
    """
    n = len(labels)
    if keep is None or n <= keep:
        return np.arange(n)
    positive = np.flatnonzero(labels.any(axis=1))
    first = np.r_[positive, np.setdiff1d(np.flatnonzero(shown), positive)][:keep]
    negative = random.permutation(np.setdiff1d(np.arange(n), first))
    hard, easy = negative[matched[negative]], negative[~matched[negative]]
    left = keep - len(first)
    hard = hard[: max(left - left // 4, left - len(easy))]
    easy = easy[: left - len(hard)]
    return np.sort(np.concatenate([first, hard, easy]))


def _bought(shopper: ShopperProfile, goods: Goods, target: str | None) -> bool:
    row = goods.row.get(target or "", -1)
    records = shopper.records
    if row < 0 or not len(records):
        return False
    bought = records["item"][records["count"][:, PURCHASE] > 0]
    return bool((bought == goods.hashes[row]).any())


def _fixed(array: NDArray[Any], filler: int) -> NDArray[Any]:
    padded = np.full((HISTORY_MAX, *array.shape[1:]), filler, dtype=array.dtype)
    padded[: len(array)] = array
    return padded


def batches(
    lists: ListSet, order: NDArray[np.intp], size: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Numbers of lists [B] with their rows [B, n], -1 where a list has ended."""
    lengths = np.diff(lists.start)
    for first in range(0, len(order), size):
        picked = order[first : first + size]
        offset = np.arange(lengths[picked].max())
        rows = lists.start[picked][:, None] + offset
        yield picked, np.where(offset < lengths[picked][:, None], rows, -1)


def by_length(lists: ListSet) -> NDArray[np.intp]:
    """Numbers of lists [lists], short ones first: batches in this order are padded least."""
    return np.argsort(np.diff(lists.start), kind="stable")


def signal_moments(lists: ListSet) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and scale of each signal [signals], for the network's own standardisation.

    What never varied is scaled away: any other value would be far from all that was learned from.
    """
    values = lists.signals.astype(np.float32)
    spread = values.std(axis=0)
    scale = np.where(spread > VARIES_MIN, spread + 1e-2, NEVER_VARIED).astype(np.float32)
    return values.mean(axis=0), scale


def joined(first: ListSet, second: ListSet) -> ListSet:
    """The lists of both, one after the other."""
    columns = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ListSet.__dataclass_fields__
        if name != "start"
    }
    return ListSet(start=np.r_[first.start, first.start[-1] + second.start[1:]], **columns)
