"""The strongest baseline: LightGBM LambdaMART on exactly the same signals and lists.

Burges (2010, MSR-TR-2010-82). It has what the network has: rounds chosen by early stopping on the
held-out lists, then fitted anew to those rounds on all lists that the served network learns. It is
measured beside the network; what of it serves is decided in `mixture`.
"""

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


def fit(train: ListSet, held_out: ListSet, late: ListSet | None, seed: int, threads: int) -> Fitted:
    """Choose the rounds on `held_out`, then fit to `train` and `late`."""
    import lightgbm

    settings = {**PARAMETERS, "seed": seed, "num_threads": threads, "deterministic": True}
    data = _dataset(train)
    measured = lightgbm.train(
        settings,
        data,
        ROUNDS_MAX,
        valid_sets=[_dataset(held_out, data)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    rounds = int(measured.best_iteration or ROUNDS_MAX)
    served = measured
    if late is not None:
        served = lightgbm.train(settings, _dataset(joined(train, late)), rounds)
    return Fitted(
        held_out=measured.predict(held_out.signals.astype(np.float32), num_iteration=rounds),
        measured=measured.model_to_string(num_iteration=rounds).encode(),
        model=served.model_to_string(num_iteration=rounds).encode(),
        rounds=rounds,
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
