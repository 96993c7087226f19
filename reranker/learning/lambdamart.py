"""The baseline to beat: LightGBM LambdaMART on exactly the same signals and lists.

It is trained and measured beside the network, and never served.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.learning.dataset import ListSet

PARAMETERS: dict[str, Any] = {
    "objective": "lambdarank",
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.6,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "lambdarank_truncation_level": 30,
    "max_bin": 63,
    "verbose": -1,
}
ROUNDS = 150


def scores(train: ListSet, measured: list[ListSet], seed: int, threads: int) -> list[Any]:
    """Scores [rows] for each of `measured` by a LambdaMART fitted to `train`."""
    import lightgbm

    data = lightgbm.Dataset(
        train.signals.astype(np.float32),
        _grades(train),
        group=np.diff(train.start),
    )
    booster = lightgbm.train(
        {**PARAMETERS, "seed": seed, "num_threads": threads, "deterministic": True}, data, ROUNDS
    )
    return [booster.predict(lists.signals.astype(np.float32)) for lists in measured]


def _grades(lists: ListSet) -> NDArray[np.int64]:
    """Click 1, cart 2, purchase 3: the weightiest deed of each row."""
    done = lists.labels > 0  # a weighted click is still one click
    grades: NDArray[np.int64] = (done * np.array([1, 2, 3])).max(axis=1).astype(np.int64)
    return grades
