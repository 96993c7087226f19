"""A training run from its settings on: in this process, as one of several, or over new ones."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import torch

from indexer import settings
from indexer.catalogue import generation
from indexer.errors import AskedWrongly, TrainingFailed
from reranker.evaluation.judgements import read_judgements
from reranker.learning import fit, job, precision, schedule, tracking
from reranker.learning.bars import bars
from reranker.learning.distributed import Ranks, from_environment, local_rank
from reranker.learning.equipment import Workshop
from reranker.learning.judged import Grades
from reranker.learning.schedule import Schedule


@dataclass(frozen=True)
class Asked:
    """What a user asks of a run; `until` is ISO 8601. `warm` begins with what serves.

    `judgements` is a file that takes the place of what is kept with the index, `forget` removes it.
    """

    index: str
    until: str | None
    config: Path | None
    named: str
    warm: bool = False
    judgements: Path | None = None
    forget: bool = False

    def schedule(self) -> Schedule:
        """The schedule that is meant; raises InvalidConfig."""
        meant = schedule.read(self.config, self.named)
        return meant.model_copy(update={"warm_start": True}) if self.warm else meant

    def said(self) -> dict[str, Any]:
        """What the file says over the named schedule."""
        return schedule.said(self.config)

    def arguments(self) -> list[str]:
        """As `python -m reranker.learning` takes them."""
        said = {
            "--until": self.until,
            "--config": self.config,
            "--schedule": self.named,
            "--judgements": self.judgements,
        }
        options = [text for name, value in said.items() if value for text in (name, str(value))]
        flags = {"--warm": self.warm, "--forget-judgements": self.forget}
        return [self.index, *options, *(name for name, meant in flags.items() if meant)]

    def judged(self) -> Grades | None:
        """Judgements in place of the kept ones, None: those stay. Raises AskedWrongly for a file
        that cannot be read.
        """
        if self.judgements is None:
            return {} if self.forget else None
        if self.forget:
            raise AskedWrongly("--judgements and --forget-judgements contradict each other")
        return read_judgements(self.judgements).grades


def seconds(until: str | None) -> float | None:
    """A time as seconds since the epoch; without a zone it is UTC."""
    if until is None:
        return None
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise AskedWrongly(f"--until {until!r} is not an ISO 8601 time, like 2026-01-31") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def alone(asked: Asked, ranks: Ranks | None = None) -> dict[str, Any]:
    """Run the job in this process, which leads where there are others."""
    known, named = settings.load(), asked.schedule()
    until, judged = seconds(asked.until), asked.judged()
    tracking.check(known.tracking)
    reached = job.Servers.reached()
    workshop = Workshop(known.home, known.tracking, device(), ranks or Ranks())
    where = generation.resolve(reached.es, asked.index)
    with bars() as progress:
        return job.train(
            reached,
            where,
            named,
            until=until,
            now=datetime.now(UTC),
            progress=progress,
            workshop=workshop,
            judged=judged,
        )


def among_ranks(asked: Asked) -> dict[str, Any] | None:
    """This process's part of a run that torchrun started; the answer at the first rank only."""
    where = device()
    with from_environment(where) as ranks:
        if not ranks.leads:
            fit.follow(ranks, where)
            return None
        try:
            return alone(asked, ranks)
        finally:
            ranks.share(None)


def over_processes(asked: Asked, processes: int) -> dict[str, Any]:
    """Run the job over several processes of this machine; raises TrainingFailed."""
    asked.schedule()
    seconds(asked.until)
    asked.judged()
    tracking.check(settings.load().tracking)
    generation.resolve(job.Servers.reached().es, asked.index)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, f"--nproc-per-node={processes}", "-m", "reranker.learning"]
    done = subprocess.run([*command, *asked.arguments()], stdout=subprocess.PIPE, check=False)
    lines = done.stdout.decode().strip().splitlines()
    if done.returncode != 0 or not lines:
        raise TrainingFailed(
            f"training over {processes} processes ended with exit code {done.returncode}: "
            "the reason stands above"
        )
    answer: dict[str, Any] = orjson.loads(lines[-1])
    return answer


def device() -> torch.device:
    """Where this process trains."""
    return precision.device(settings.load().device, local_rank())
