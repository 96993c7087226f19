"""How a training run goes: every choice in one place, and the quality that the run promises."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexer.errors import InvalidConfig

Precision = Literal["auto", "float32", "bfloat16", "float16"]
AuxiliaryTask = Literal["topic", "sentiment"]


class Schedule(BaseModel):
    """One training run. The defaults are the full schedule; `quick` is for a first look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "full"
    seed: int = 7
    # Lists
    cases: int = Field(16_000, ge=1, description="Derived training lists.")
    held_out_cases: int = Field(1500, ge=1, description="Derived lists to measure on.")
    visit_cases: int = Field(
        6000, ge=0, description="Visits that recommendations learn from, 0: none are learned."
    )
    held_out_visits: int = Field(1500, ge=1, description="Visits to measure those on.")
    held_out_days: float = Field(35.0, gt=0, description="The last days, kept to measure on.")
    held_out_state: Literal["cut", "moment"] = Field(
        "cut",
        description="What is measured with: the state as those days begin, or of each list's time.",
    )
    gap_days_max: float = Field(35.0, ge=0, description="How stale the state may be.")
    moment_spacing_days: float = Field(7.0, gt=0)
    moments_max: int = Field(24, ge=2)
    lively_moments: int = Field(2000, ge=1, description="Further moments, just before purchases.")
    tables: int = Field(4, ge=1, description="Behavioural item tables over time.")
    strangers: float = Field(0.1, ge=0, le=1)
    windows: tuple[int, ...] = (100, 300)
    keep: int = Field(64, ge=8, description="Candidates of one training list.")
    position_bias: Literal["none", "harvest"] = Field(
        "harvest", description="How clicks of logged searches are weighted by position."
    )
    # Of derived lists: how often the wanted item is shown as one without behaviour, times the share
    # of the list's others that are; how often the label is drawn from the prior, times its square.
    cold_start: float = Field(0.5, ge=0, le=1)
    label_doubt: float = Field(0.75, ge=0, le=1)
    # Network
    width: int = Field(64, ge=8)
    layers: int = Field(2, ge=1)
    attention_heads: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    taste_width: int = Field(48, ge=2)
    text_width: int = Field(96, ge=2, description="Main directions of the text vectors.")
    members: int = Field(1, ge=1, le=8, description="Seeds averaged in one graph.")
    # Optimisation
    loss: Literal["softmax_cross_entropy", "lambda_loss", "neural_ndcg"] = "softmax_cross_entropy"
    head_weights: dict[str, float] = {"click": 0.2, "cart": 0.3, "purchase": 1.0}
    # Tasks beside ranking, 0: off. Topic: an item's first category; sentiment: how it is rated.
    auxiliary: dict[AuxiliaryTask, Annotated[float, Field(ge=0)]] = {
        "topic": 0.0,
        "sentiment": 0.0,
    }
    precision: Precision = "auto"
    epochs: int = Field(1, ge=1)
    patience: int = Field(2, ge=1, description="Epochs without a better held-out MRR.")
    batch_lists: int = Field(32, ge=1)
    # The network starts from a tuned linear ranker: faster or longer it unlearns what holds.
    learning_rate: float = Field(5e-4, gt=0)
    linear_penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1e-3,), min_length=1, description="Of its squared weights; the largest that is as good."
    )
    # Lists without a query have no prior worth the name: there the network learns more, and who
    # comes next may be less like those who came before.
    visit_linear_penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1e-3, 1e-2, 1e-1), min_length=1
    )
    visit_epochs: int = Field(4, ge=1)
    visit_learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warm_start: bool = Field(False, description="Begin with the weights of what serves.")
    refit: bool = Field(True, description="Learn the held-out days as well after measuring.")
    refit_epochs: int = Field(0, ge=0, description="Epochs of the network then; 0: its line only.")
    # More threads wait for each other by spinning: on a busy machine that costs more than it gains.
    threads: int = Field(1, ge=1)
    baseline: bool = Field(True, description="Also train LambdaMART on the same signals.")
    trees: bool = Field(
        True, description="Serve its trees beside the network, unless they are behind."
    )
    int8: bool = True
    # Gate
    alpha: float = Field(0.05, gt=0, lt=1, description="Level of the paired test of promotion.")
    expected_metrics: dict[str, float] = {}

    def of_visits(self) -> "Schedule":
        """The same run for lists without a query, which no baseline is put in the place of."""
        own = {
            "epochs": self.visit_epochs,
            "learning_rate": self.visit_learning_rate,
            "linear_penalties": self.visit_linear_penalties,
            "baseline": False,
        }
        return self.model_copy(update=own)


QUICK = {
    "name": "quick",
    "cases": 5000,
    "held_out_cases": 600,
    "visit_cases": 3000,
    "held_out_visits": 500,
    "moments_max": 12,
    "tables": 2,
    "keep": 48,
    "baseline": False,
}
SCHEDULES: dict[str, dict[str, Any]] = {"full": {}, "quick": QUICK}


def read(path: Path | None, name: str = "full") -> Schedule:
    """The schedule of a YAML or JSON file over a named one; raises InvalidConfig."""
    settings = said(path)
    base = str(settings.pop("schedule", name))
    if base not in SCHEDULES:
        raise InvalidConfig(f"no schedule is called {base!r}: write one of {', '.join(SCHEDULES)}")
    try:
        return Schedule.model_validate({**SCHEDULES[base], **settings})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise InvalidConfig(f"{path or 'schedule'}: {'; '.join(lines)}") from None


def said(path: Path | None) -> dict[str, Any]:
    """What a YAML or JSON file says, unchecked; nothing without a file."""
    if path is None:
        return {}
    try:
        found = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise InvalidConfig(f"{path} cannot be read as YAML or JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidConfig(f"{path} must hold an object of settings, like `epochs: 3`")
    return found
