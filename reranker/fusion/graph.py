"""ONNX graphs of an artifact, opened to serve.

Each runs on one thread: a sidecar has many requests at once and one core each.
"""

import onnxruntime
from numpy import float32
from numpy.typing import NDArray

from indexer.errors import InvalidArtifact

Array = NDArray[float32]
SIGNALS = "signals"


def opened(content: bytes, what: str) -> onnxruntime.InferenceSession:
    """The graph of `content`, thread safe; raises InvalidArtifact, naming `what` it should be."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise InvalidArtifact(f"onnxruntime cannot open {what} ({error})") from error


class Trees:
    """Boosted trees over the signals, whose scores are added to those of a network."""

    def __init__(self, content: bytes, what: str) -> None:
        self._session = opened(content, what)
        names = [given.name for given in self._session.get_inputs()]
        if names != [SIGNALS]:
            raise InvalidArtifact(f"{what} takes {', '.join(names)}, not {SIGNALS} alone")

    def scores(self, signals: Array) -> Array:
        """What they give each candidate [n], of signals [n, signals]."""
        found: Array = self._session.run(None, {SIGNALS: signals})[0]
        return found.reshape(len(signals))
