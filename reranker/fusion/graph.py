"""ONNX graphs of an artifact, opened to serve.

Each runs on one thread: a sidecar has many requests at once and one core each.
"""

import onnxruntime

from indexer.errors import InvalidArtifact


def opened(content: bytes, what: str) -> onnxruntime.InferenceSession:
    """The graph of `content`, thread safe; raises InvalidArtifact, naming `what` it should be."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise InvalidArtifact(f"onnxruntime cannot open {what} ({error})") from error
