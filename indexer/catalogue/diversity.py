"""How much variety a shop wants in its lists: the part `diversity` of an index's configuration."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["dispersion", "mmr", "dpp"]


class Diversity(BaseModel):
    """The dial where a request says nothing, and the bounds that hold wherever it stands.

    `floor` and `loss_max` speak of relevance against the best of the list, from 0 to 1: the fourth
    root of the odds. Quotas count within each `page` places; an item's category is the last that
    its product names. `taste` is what a nat of divergence from the shopper's history weighs against
    one unit of novelty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: float = Field(0.0, ge=0, le=1)
    method: Method = "dispersion"
    page: int = Field(10, ge=2, le=100)
    floor: float = Field(0.1, ge=0, le=1)
    loss_max: float = Field(0.8, ge=0, le=1)
    category_max: int | None = Field(None, ge=1)
    brand_max: int | None = Field(None, ge=1)
    taste: float = Field(0.2, ge=0, le=10)
