"""How many threads the native libraries of a process use."""

import torch
from threadpoolctl import threadpool_limits


def hold_to(count: int) -> None:
    """Let BLAS, OpenMP and torch, as far as they are loaded, use so many threads from here on.

    Left alone they share each small product of a list among all cores, and wait by spinning.
    """
    threadpool_limits(limits=count)
    torch.set_num_threads(count)
