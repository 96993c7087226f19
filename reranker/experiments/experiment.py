"""What an experiment is: its arms, who takes part, what it is judged by. Pure.

Unknown keys are refused. What is said here is said before the first unit is seen; a running
experiment is never changed, only stopped.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from reranker.definitions import definition
from reranker.definitions.definition import Name, Strict
from reranker.experiments.metric import METRICS
from reranker.retrieval.request import Mode

INTERLEAVED = "interleaved"

Status = Literal["draft", "running", "stopped"]
Unit = Literal["user", "session", "query"]


class Arm(Strict):
    """What is answered differently; nothing said is how everyone is answered.

    `model` is a version of the registry. `share` is in proportion to those of the other arms.
    """

    name: Name
    share: float = Field(1.0, gt=0, le=1000)
    mode: Mode | None = None
    rank_window_size: int | None = Field(None, ge=1)
    diversity: float | None = Field(None, ge=0, le=1)
    model: Name | None = None

    @field_validator("mode")
    @classmethod
    def _is_ranked(cls, mode: Mode | None) -> Mode | None:
        if mode == "off":
            raise ValueError("use bm25 for the client's own order: what is off is not recorded")
        return mode


class Experiment(Strict):
    """One experiment of an index; the first arm is what the others are compared with.

    `traffic` is the share of all units that takes part. `named_only`: only searches that name it
    do. The first metric decides, guardrails must not get worse. `units_planned` (all arms together)
    is where the intervals are made narrowest. A click or purchase counts `window_hours` after its
    search; `before_days` is how far back the past of CUPED goes.
    """

    name: Name
    index: str
    description: str = Field("", max_length=2000)
    kind: Literal["ab", "interleave"] = "ab"
    method: Literal["team_draft", "balanced"] = "team_draft"
    unit: Unit = "user"
    salt: str = Field("", max_length=200)
    arms: tuple[Arm, ...] = Field(min_length=2, max_length=20)
    traffic: float = Field(1.0, gt=0, le=1)
    named_only: bool = False
    metrics: tuple[str, ...] = Field(("ctr",), min_length=1, max_length=10)
    guardrails: tuple[str, ...] = Field(("latency_ms", "zero_result_rate"), max_length=10)
    units_planned: int = Field(10_000, ge=1)
    alpha: float = Field(0.05, gt=0, lt=0.5)
    window_hours: float = Field(24.0, gt=0, le=24 * 90)
    before_days: float = Field(28.0, ge=0, le=730)

    @property
    def seasoning(self) -> str:
        """The salt of assignment; by default no two experiments share one."""
        return self.salt or f"{self.index}/{self.name}"

    @property
    def shares(self) -> list[float]:
        """The arms' shares, in proportion."""
        return [arm.share for arm in self.arms]

    @field_validator("metrics", "guardrails")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in METRICS]:
            raise ValueError(f"{', '.join(unknown)}: use {', '.join(METRICS)}")
        return names

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len({arm.name for arm in self.arms}) < len(self.arms):
            raise ValueError("arms: each needs a name of its own")
        if self.kind == "interleave" and len(self.arms) != 2:
            raise ValueError("arms: two rankers can be interleaved, no more and no fewer")
        return self


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment and how far it has come; times are ISO 8601."""

    experiment: Experiment
    status: Status = "draft"
    started_at: str | None = None
    stopped_at: str | None = None

    def said(self) -> dict[str, Any]:
        """As JSON."""
        times = {"started_at": self.started_at, "stopped_at": self.stopped_at}
        return {
            **self.experiment.model_dump(mode="json", exclude_none=True),
            "status": self.status,
            **{name: time for name, time in times.items() if time is not None},
        }


def read(document: Any, index: str, name: str) -> Experiment:
    """An experiment as somebody sent it; raises InvalidRequest with every fault."""
    return definition.read(Experiment, "an experiment", document, {"name": name, "index": index})
