"""What turns a text into a vector, as data: two equal digests mean vectors that may be compared."""

import hashlib

import orjson
from pydantic import BaseModel, ConfigDict, Field


class Recipe(BaseModel):
    """Everything that changes a vector; stamped into each index and checked for each query."""

    model_config = ConfigDict(frozen=True)

    encoder: str
    revision: str = ""
    pooling: str = "mean"
    query_prompt: str = ""
    passage_prompt: str = ""
    dims: int = Field(gt=0)
    normalized: bool = True
    max_tokens: int = Field(128, gt=0)

    def digest(self) -> str:
        """Sixteen hex digits over all fields; stable over processes and versions of Python."""
        canonical = orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(canonical).hexdigest()[:16]

    def prompt(self, role: str) -> str:
        """What stands before each text in this role: "query" or "passage"."""
        return self.query_prompt if role == "query" else self.passage_prompt
