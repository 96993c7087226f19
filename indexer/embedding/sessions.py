"""How onnxruntime is set up for encoders: bounded threads and providers, only here."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

ERRORS_ONLY = 3


def session_options(threads: int) -> "SessionOptions":
    """Options of a session that uses `threads` of the processor and no more."""
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    # Waiting threads sleep: a worker beside Elasticsearch must not burn its cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
