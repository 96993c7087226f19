"""What a training run works on and with, beside its schedule; none of it changes what is learned.

In the stack's home the folder `work` holds, by model and digest, where an interrupted run stands,
gone when the run is finished; `runs` holds, by model and version, its curves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from indexer.catalogue.generation import Generation
from reranker.learning import checkpoint, tracking
from reranker.learning.checkpoint import Checkpoints
from reranker.learning.distributed import Ranks
from reranker.learning.material import Material
from reranker.learning.schedule import Schedule
from reranker.learning.tracking import Tracker, Tracking, Untracked

WORK, RUNS = "work", "runs"


@dataclass(frozen=True)
class Equipment:
    """Of one run. Without checkpoints it starts anew each time."""

    device: torch.device = torch.device("cpu")  # noqa: RUF009 - it never changes
    ranks: Ranks = Ranks()  # noqa: RUF009 - likewise
    checkpoints: Checkpoints | None = None
    tracker: Tracker = field(default_factory=Untracked)

    def finished(self, metrics: Mapping[str, float]) -> None:
        """Note what was reached and forget where the run stood."""
        for name, value in metrics.items():
            self.tracker.scalar(f"reached/{name}", value, 0)
        self.tracker.close()
        if self.checkpoints is not None:
            self.checkpoints.remove()


@dataclass(frozen=True)
class Workshop:
    """Where runs are done; without a home nothing is kept of them."""

    home: Path | None = None
    tracking: Tracking = "off"
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - it never changes
    ranks: Ranks = Ranks()  # noqa: RUF009 - likewise

    def equip(
        self,
        kept_as: str,
        generation: Generation,
        read: Material,
        schedule: Schedule,
        version: str,
    ) -> Equipment:
        """What the run works with that makes `version` of the models kept under a name."""
        if self.home is None:
            return Equipment(self.device, self.ranks)
        key = checkpoint.digest(generation, read, schedule)
        run = f"{kept_as}/{version}"
        tracker = tracking.open_tracker(self.tracking, self.home / RUNS / run, run, _told(schedule))
        kept = Checkpoints(self.home / WORK / kept_as / key)
        return Equipment(self.device, self.ranks, kept, tracker)


def _told(schedule: Schedule) -> dict[str, object]:
    return schedule.model_dump(mode="json")
