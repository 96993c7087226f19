"""The strongest baseline: LightGBM LambdaMART on exactly the same signals and lists.

Burges (2010, MSR-TR-2010-82). It has what the network has: rounds chosen by early stopping on the
held-out lists, and as many fitted to all lists that the served network learns. It is measured
beside the network; what of it serves is decided in `mixture`.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.learning.dataset import ListSet, joined

GAINS = (1.0, 3.0, 7.0)  # of a click, a cart and a purchase, the usual 2^grade - 1
GRADES_A_GAIN = 4.0  # LightGBM knows whole grades only
PARAMETERS: dict[str, Any] = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "eval_at": [10],
    "num_leaves": 31,
    "learning_rate": 0.05,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.6,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "lambdarank_truncation_level": 30,
    "max_bin": 63,
    "verbose": -1,
    "label_gain": [grade / GRADES_A_GAIN for grade in range(round(GAINS[-1] * GRADES_A_GAIN) + 1)],
}
ROUNDS_MAX = 400
PATIENCE = 40


@dataclass(frozen=True, eq=False)
class Fitted:
    """Scores of the held-out lists [rows] by the model `measured`, and that of all lists; models as
    LightGBM writes them.
    """

    held_out: NDArray[np.float64]
    measured: bytes
    model: bytes
    rounds: int


class _Enough:
    """Ends a fit after so many rounds, which may become known while it goes on."""

    def __init__(self) -> None:
        self.rounds = ROUNDS_MAX

    def __call__(self, now: Any) -> None:
        from lightgbm.callback import EarlyStopException

        if now.iteration + 1 >= self.rounds:
            raise EarlyStopException(now.iteration, [])


def fit(train: ListSet, held_out: ListSet, late: ListSet | None, seed: int, threads: int) -> Fitted:
    """Choose the rounds on `held_out`, and fit to `train` and `late` meanwhile: the first trees do
    not hang on how many follow.
    """
    settings = {**PARAMETERS, "seed": seed, "num_threads": threads, "deterministic": True}
    enough = _Enough()
    with ThreadPoolExecutor(1) as beside:
        served = None if late is None else beside.submit(_to_all, train, late, settings, enough)
        try:
            measured, rounds = _to_some(train, held_out, settings)
            enough.rounds = rounds
        except BaseException:
            enough.rounds = 0
            raise
        last = measured if served is None else served.result()
    return Fitted(
        held_out=measured.predict(held_out.signals.astype(np.float32), num_iteration=rounds),
        measured=measured.model_to_string(num_iteration=rounds).encode(),
        model=last.model_to_string(num_iteration=rounds).encode(),
        rounds=rounds,
    )


def _to_some(train: ListSet, held_out: ListSet, settings: Mapping[str, Any]) -> tuple[Any, int]:
    """Trees of the training lists, and as many rounds as are best on the held-out ones."""
    import lightgbm

    data = _dataset(train)
    made = lightgbm.train(
        dict(settings),
        data,
        ROUNDS_MAX,
        valid_sets=[_dataset(held_out, data)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    return made, int(made.best_iteration or ROUNDS_MAX)


def _to_all(train: ListSet, late: ListSet, settings: Mapping[str, Any], enough: _Enough) -> Any:
    """Trees of all lists, at least as many as are enough."""
    import lightgbm

    return lightgbm.train(
        dict(settings), _dataset(joined(train, late)), ROUNDS_MAX, callbacks=[enough]
    )


def _dataset(lists: ListSet, reference: Any = None) -> Any:
    import lightgbm

    return lightgbm.Dataset(
        lists.signals.astype(np.float32),
        _grades(lists),
        group=np.diff(lists.start),
        reference=reference,
    )


def _grades(lists: ListSet) -> NDArray[np.int64]:
    """The weightiest deed of each row, as far as it counts for the row: a share of a purchase is
    that share of its gain, a weighted click is still one click.
    """
    gains = (lists.labels.clip(max=1.0) * np.array(GAINS)).max(axis=1)
    grades: NDArray[np.int64] = np.rint(gains * GRADES_A_GAIN).astype(np.int64)
    return grades
