"""How onnxruntime is set up for encoders: bounded threads and providers, only here."""

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import EncoderUnavailable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_FATAL_ONLY = 4


def session_options(threads: int) -> "SessionOptions":
    """Options of a session that uses `threads` of the processor and no more."""
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY  # what fails is raised; the rest is noise
    # Waiting threads sleep: a worker beside Elasticsearch must not burn its cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def providers(device: str) -> list[str]:
    """Providers to try, best first, for HITWEAVE_DEVICE auto, cpu or cuda.

    onnxruntime names CUDA wherever it was built with it; a device is asked of the driver. Raises
    EncoderUnavailable where cuda is demanded and absent.
    """
    import onnxruntime

    usable = CUDA in onnxruntime.get_available_providers() and cuda_devices() > 0
    if device == "cuda" and not usable:
        raise EncoderUnavailable(
            "HITWEAVE_DEVICE is cuda, but onnxruntime finds no CUDA device: check the driver with "
            "nvidia-smi and that onnxruntime-gpu is installed, or set HITWEAVE_DEVICE=auto"
        )
    if not usable or device == "cpu":
        return [CPU]
    onnxruntime.preload_dlls()  # CUDA's libraries from the wheels beside us
    return [CUDA, CPU]


def open_session(file: Path, chosen: list[str], threads: int) -> "InferenceSession":
    """A session of the model in `file`; raises EncoderUnavailable for a file that cannot run."""
    from onnxruntime import InferenceSession
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    broken = (faults.Fail, faults.InvalidProtobuf, faults.InvalidGraph, faults.NoSuchFile)
    try:
        session = InferenceSession(file, session_options(threads), providers=chosen)
    except (*broken, faults.InvalidArgument, faults.NotImplemented, faults.RuntimeException) as e:
        reason = str(e).strip().splitlines()[0]
        raise EncoderUnavailable(
            f"onnxruntime cannot open {file} ({reason}): export the model again"
        ) from None
    return session


def cuda_devices() -> int:
    """Devices that the driver offers; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
