"""Where an interrupted run stands, on disk: one file a fit, in a folder of the run's own digest.

A file is replaced atomically, so it is whole or not there. A run that differs in schedule, data
window or index has another digest and so never finds what is not its own.
"""

import hashlib
import os
import pickle
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog
import torch

from indexer.catalogue.generation import Generation
from reranker.learning.material import Material
from reranker.learning.schedule import Schedule
from reranker.signals import definition

State = dict[str, Any]
DIGITS = 24
_log = structlog.get_logger(__name__)


def digest(generation: Generation, read: Material, schedule: Schedule) -> str:
    """Stands for a schedule, a window of data, an index and its signals: 24 hex digits."""
    events = read.events
    said = {
        "index": generation.concrete,
        "recipe": generation.recipe.digest(),
        "signals": definition.digest(),
        "judged": read.judged,
        "schedule": schedule.model_dump(),
        "events": [len(events), *(e.event_id for e in (events[:1] + events[-1:]))],
        "window": [e.timestamp for e in (events[:1] + events[-1:])],
        "searches": len(read.searches),
        "items": len(read.goods.ids),
    }
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(text).hexdigest()[:DIGITS]


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run."""

    folder: Path

    def save(self, part: str, state: State) -> None:
        """Keep the state of one fit in place of what was kept before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=f".{part}-")
        with os.fdopen(handle, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self._file(part))

    def load(self, part: str) -> State | None:
        """What was kept of one fit; None where nothing was or it cannot be read."""
        try:
            state: State = torch.load(self._file(part), map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
            _log.warning("checkpoint_unreadable", part=part, error=str(error)[:200])
            return None
        return state

    def remove(self) -> None:
        """Forget all of this run."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, part: str) -> Path:
        return self.folder / f"{part}.pt"
