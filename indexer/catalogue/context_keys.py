"""Which keys of a request's context a shop's model goes by, beside those that it always knows.

The part `context` of an index's configuration.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

KEYS_MAX = 16
# What has signals of its own.
ALWAYS = ("device", "hour", "weekday", "page", "domain")


class Number(BaseModel):
    """A key whose values are numbers; those outside `low` to `high` count as the nearer end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float

    @model_validator(mode="after")
    def _in_order(self) -> "Number":
        if not self.low < self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}: low must be below high")
        return self


Declared = Literal["word"] | Number
ContextKeys = Mapping[str, Declared]
Key = Annotated[str, Field(min_length=1, max_length=100)]
USUAL: ContextKeys = MappingProxyType({"season": "word", "location": "word", "weather": "word"})
