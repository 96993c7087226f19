"""Curves of a training run, for people: TensorBoard event files, Weights & Biases where asked.

Nothing is opened before the first number. Neither package is imported unless its tracker is used.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from indexer.errors import InvalidSettings

Tracking = Literal["tensorboard", "wandb", "both", "off"]
PROJECT = "hitweave"


class Tracker(Protocol):
    """Takes numbers as a run goes."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """One number of a curve."""

    def flush(self) -> None:
        """Make what was said visible."""

    def close(self) -> None:
        """Nothing more comes."""


class Untracked:
    """A run that nobody watches."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class TensorBoard:
    """Event files in a folder of the run's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: Any = None

    def scalar(self, name: str, value: float, step: int) -> None:
        """One number of a curve."""
        if self._opened is None:
            writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
            self._opened = writer(str(self._folder))
        self._opened.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write out what is still in memory."""
        if self._opened is not None:
            self._opened.flush()

    def close(self) -> None:
        """End the event file."""
        if self._opened is not None:
            self._opened.close()


class WeightsAndBiases:
    """A run of the project `hitweave`; its account and mode are wandb's own settings (WANDB_*)."""

    def __init__(self, name: str, folder: Path, config: Mapping[str, Any]) -> None:
        self._begin = {"name": name, "dir": str(folder), "config": dict(config)}
        self._run: Any = None

    def scalar(self, name: str, value: float, step: int) -> None:
        """One number of a curve; parts of a run count their own steps."""
        if self._run is None:
            Path(str(self._begin["dir"])).mkdir(parents=True, exist_ok=True)
            self._run = importlib.import_module("wandb").init(project=PROJECT, **self._begin)
            self._run.define_metric("*", step_metric="step")
        self._run.log({name: value, "step": step})

    def flush(self) -> None:
        """Nothing: it sends by itself."""

    def close(self) -> None:
        """Wait until all is sent."""
        if self._run is not None:
            self._run.finish()


class Several:
    """One run told to several trackers."""

    def __init__(self, *trackers: Tracker) -> None:
        self._trackers = trackers

    def scalar(self, name: str, value: float, step: int) -> None:
        """One number of a curve."""
        for tracker in self._trackers:
            tracker.scalar(name, value, step)

    def flush(self) -> None:
        """Make what was said visible."""
        for tracker in self._trackers:
            tracker.flush()

    def close(self) -> None:
        """Nothing more comes."""
        for tracker in self._trackers:
            tracker.close()


def check(tracking: Tracking) -> None:
    """Raise InvalidSettings where the tracking that is asked for has no package here."""
    for name in ("tensorboard", "wandb"):
        if tracking in (name, "both") and importlib.util.find_spec(name) is None:
            raise InvalidSettings(
                f"HITWEAVE_TRACKING is {tracking!r}, but the package {name!r} is not installed: "
                f"`pip install {name}`, or set HITWEAVE_TRACKING to another value"
            )


def open_tracker(tracking: Tracking, folder: Path, name: str, config: Mapping[str, Any]) -> Tracker:
    """The tracker of a run called `name` that may write below `folder`."""
    check(tracking)
    found: list[Tracker] = []
    if tracking in ("tensorboard", "both"):
        found.append(TensorBoard(folder))
    if tracking in ("wandb", "both"):
        found.append(WeightsAndBiases(name, folder, config))
    return Several(*found)
