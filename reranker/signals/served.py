"""The signals of a shown list as they were served, in the form that the journal keeps; pure.

Row i is what the model saw of hit i, NaN for a hit that it did not look at. Vectors of other
declarations than this version's cannot be read: they count as never logged.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.signals import definition
from reranker.signals.build import HISTORY_FEATURES, ModelInput

# What stands for the version where no trained model scored the list.
PRIOR = "prior"
SIGNALS, HISTORY, FEATURES = np.dtype("<f2"), np.dtype("<u8"), np.dtype("<f2")


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """`model` is the version that scored; the history is the one the network had, latest first."""

    model: str
    signals: NDArray[np.float16]  # [shown, signals]
    history: NDArray[np.uint64]  # [h] hashes of items
    history_features: NDArray[np.float16]  # [h, HISTORY_FEATURES]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which of the shown hits the model looked at [shown]."""
        seen: NDArray[np.bool_] = np.all(np.isfinite(self.signals), axis=1)
        return seen


def of(
    rows: Sequence[int], inputs: ModelInput, history: NDArray[np.uint64], model: str | None
) -> Served | None:
    """Copies of what the model saw of each shown hit: its row of `inputs`, -1 for one it did not.

    None where it saw none of them.
    """
    picked = np.array(rows, dtype=np.intp)
    if not (picked >= 0).any():
        return None
    signals = inputs["signals"][np.maximum(picked, 0)].astype(SIGNALS)
    signals[picked < 0] = np.nan
    return Served(
        model=model or PRIOR,
        signals=signals,
        history=history.astype(HISTORY),
        history_features=inputs["history_features"].astype(FEATURES),
    )


def encode(served: Served) -> dict[str, str]:
    """Plain data; arrays are base64 of their little-endian bytes, row after row."""
    return {
        "signal_digest": definition.digest(),
        "model": served.model,
        "signals": _text(served.signals, SIGNALS),
        "history": _text(served.history, HISTORY),
        "history_features": _text(served.history_features, FEATURES),
    }


def decode(kept: object) -> Served | None:
    """What `encode` made; None for anything else, and for signals declared otherwise than now."""
    if not isinstance(kept, Mapping) or kept.get("signal_digest") != definition.digest():
        return None
    try:
        return Served(
            model=str(kept["model"]),
            signals=_array(kept["signals"], SIGNALS, len(definition.SIGNALS)),
            history=_array(kept["history"], HISTORY, 1)[:, 0],
            history_features=_array(kept["history_features"], FEATURES, HISTORY_FEATURES),
        )
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None


def _text(array: NDArray[Any], dtype: np.dtype[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode("ascii")


def _array(text: str, dtype: np.dtype[Any], width: int) -> NDArray[Any]:
    """Rows of `width` numbers; raises ValueError where the bytes are no whole rows."""
    flat = np.frombuffer(base64.b64decode(text, validate=True), dtype)
    return flat.reshape(-1, width)
