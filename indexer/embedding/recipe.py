"""What turns a text into a vector, as data: two equal digests mean vectors that may be compared."""

import hashlib
from collections.abc import Sequence

import orjson
from pydantic import BaseModel, ConfigDict, Field

# No tokenizer in use has more than this in most of its tokens; it bounds the work on a text of a
# megabyte before any token is counted.
CHARACTERS_PER_TOKEN = 16


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

    def prepare(self, texts: Sequence[str], role: str) -> list[str]:
        """The texts as the model reads them: prompt first, cut, without lone surrogates."""
        prompt = self.query_prompt if role == "query" else self.passage_prompt
        characters = self.max_tokens * CHARACTERS_PER_TOKEN
        return [
            prompt + text[:characters].encode("utf-8", "replace").decode("utf-8") for text in texts
        ]
