"""Training over several processes: who they are, what they tell each other, how gradients meet.

The first rank runs the whole job and announces each fit; the others follow. Each takes its part of
every batch, and DistributedDataParallel averages the gradients, so that all hold equal weights.
gloo between processors, nccl between GPUs. One process needs none of it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as group
from numpy.typing import NDArray
from torch import nn
from torch.nn.parallel import DistributedDataParallel

# The others wait while the first assembles lists or measures.
PATIENCE = timedelta(hours=12)
T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among those of a run."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process measures and writes."""
        return self.rank == 0

    def share(self, thing: T) -> T:
        """What the first rank gives, at every rank; all must call it."""
        if self.size == 1:
            return thing
        carried = [thing]
        group.broadcast_object_list(carried, src=0, device=torch.device("cpu"))
        return carried[0]

    def gather(self, thing: T) -> list[T]:
        """What each rank gives, in their order, at every rank; all must call it."""
        if self.size == 1:
            return [thing]
        found: list[T | None] = [None] * self.size
        group.all_gather_object(found, thing)
        return [value for value in found if value is not None]

    def joined(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over all ranks in each backward pass."""
        return module if self.size == 1 else DistributedDataParallel(module)

    def part(self, batch: NDArray[np.intp]) -> tuple[NDArray[np.intp], float]:
        """Places in a batch that are this rank's, and what its mean loss weighs.

        The weights make the average over ranks the mean over the batch. A rank without a place
        of its own takes the first at weight zero: all must go through the same passes.
        """
        own = np.arange(len(batch))[self.rank :: self.size]
        weight = len(own) * self.size / len(batch)
        return (own, weight) if len(own) else (np.zeros(1, dtype=np.intp), 0.0)


def local_rank() -> int:
    """Number of this process on its machine, as torchrun says it."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextmanager
def from_environment(where: torch.device) -> Iterator[Ranks]:
    """The ranks that torchrun started; one alone without it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks()
        return
    if where.type == "cuda":
        torch.cuda.set_device(where)
    backend = "cpu:gloo,cuda:nccl" if where.type == "cuda" else "gloo"
    group.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Ranks(group.get_rank(), group.get_world_size())
    finally:
        group.destroy_process_group()
