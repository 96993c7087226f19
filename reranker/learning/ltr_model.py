"""A LambdaMART distilled from a ranking, in the form that eland sends to Elastic's LTR; seeded.

Grades come from the teacher's order (ranking distillation: Tang and Wang 2018). An ensemble is a
sum of trees whatever it was trained for; eland only knows regressions, so it is handed over as one.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

# The best takes the highest grade, the next two the one below, and so on.
GRADE_DEPTHS = (1, 3, 10, 30)
PARAMETERS: dict[str, Any] = {
    "objective": "lambdarank",
    "boosting_type": "gbdt",
    "num_leaves": 15,
    "learning_rate": 0.1,
    "min_data_in_leaf": 20,
    "lambda_l2": 5.0,
    "lambdarank_truncation_level": 30,
    "verbose": -1,
    "deterministic": True,
}
ROUNDS = 100


def grades(scores: NDArray[np.floating], start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Grades 0 to 4 [rows] by the place of each row in its list, of the teacher's scores."""
    found = np.zeros(len(scores), dtype=np.int64)
    for first, end in pairwise(start.tolist()):
        place = np.empty(end - first, dtype=np.int64)
        place[np.argsort(-scores[first:end], kind="stable")] = np.arange(end - first)
        for depth in GRADE_DEPTHS:
            found[first:end] += place < depth
    return found


def fit(
    rows: NDArray[np.float32],
    teacher: NDArray[np.floating],
    start: NDArray[np.int64],
    names: Sequence[str],
    seed: int,
) -> lightgbm.Booster:
    """A LambdaMART of features [rows, features] that orders lists as the teacher does."""
    data = lightgbm.Dataset(
        rows, grades(teacher, start), group=np.diff(start), feature_name=list(names)
    )
    return lightgbm.train({**PARAMETERS, "seed": seed, "num_threads": 1}, data, ROUNDS)


class Exportable(lightgbm.LGBMRegressor):  # type: ignore[misc]
    """A fitted ensemble under the name of a regression."""

    def __init__(self, booster: lightgbm.Booster) -> None:
        super().__init__(n_estimators=booster.num_trees())
        self._trees = lightgbm.Booster(model_str=booster.model_to_string())
        self._trees.params = {"objective": "regression", "boosting_type": "gbdt"}

    @property
    def booster_(self) -> lightgbm.Booster:
        """The ensemble."""
        return self._trees


def definition(booster: lightgbm.Booster, names: Sequence[str]) -> dict[str, Any]:
    """The model's definition as Elasticsearch takes it, trees as plain data."""
    from eland.ml.transformers import LGBMRegressorTransformer

    transformed = LGBMRegressorTransformer(Exportable(booster), list(names)).transform()
    serialized: dict[str, Any] = transformed.serialize_model()
    return serialized


def send(es: Any, model_id: str, booster: lightgbm.Booster, config: Any) -> None:
    """Import the model into a cluster that has Elastic's LTR, in place of one of that name."""
    from eland.ml import MLModel

    MLModel.import_ltr_model(es, model_id, Exportable(booster), config, es_if_exists="replace")
