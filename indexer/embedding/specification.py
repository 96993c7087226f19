"""An encoder as a user writes it: `family:name` and options; pure, opens nothing.

Options follow a question mark, as in a URL: `transformers:intfloat/e5-small?query_prompt=query:+`.
What a user leaves out, the model's own configuration decides.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl

from indexer.embedding.recipe import Recipe
from indexer.errors import InvalidConfig

Family = Literal["packaged", "transformers", "onnx", "hashed"]
Pooling = Literal["mean", "cls", "last"]
FAMILIES: tuple[Family, ...] = get_args(Family)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
_FORMS = (
    "packaged:use-multilingual-v3, transformers:<model id or folder>, onnx:<folder>, hashed:<dims>"
)
_OPTIONS = ("revision", "pooling", "query_prompt", "passage_prompt", "dims", "max_tokens")
_WHOLE_NUMBERS = ("dims", "max_tokens")


@dataclass(frozen=True)
class Specification:
    """What is asked for; None leaves the choice to the model's own configuration."""

    family: Family
    name: str
    revision: str | None = None
    pooling: Pooling | None = None
    query_prompt: str | None = None
    passage_prompt: str | None = None
    dims: int | None = None
    max_tokens: int | None = None

    @property
    def encoder(self) -> str:
        """Family and name, as the recipe says them."""
        return f"{self.family}:{self.name}"

    def options(self) -> dict[str, str | int]:
        """What is asked for beside the name."""
        named = {name: getattr(self, name) for name in _OPTIONS}
        return {name: value for name, value in named.items() if value is not None}


def parse(asked: str | Recipe, *, dims: int | None = None) -> Specification:
    """The specification of a string or of a recipe; raises InvalidConfig."""
    if isinstance(asked, Recipe):
        fields = asked.model_dump(exclude={"encoder", "normalized"})
        return _checked(asked.encoder, fields)
    text, _, query = asked.partition("?")
    options: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    if dims is not None:
        options["dims"] = dims
    return _checked(text, options)


def _checked(encoder: str, options: dict[str, Any]) -> Specification:
    family, _, name = encoder.partition(":")
    if family not in FAMILIES or not name:
        raise InvalidConfig(f"encoder {encoder!r} is unknown; write one of: {_FORMS}")
    unknown = set(options) - set(_OPTIONS)
    if unknown:
        raise InvalidConfig(
            f"encoder {encoder!r} has no option {min(unknown)!r}; it knows " + ", ".join(_OPTIONS)
        )
    for option in _WHOLE_NUMBERS:
        if option in options:
            options[option] = _positive(encoder, option, options[option])
    if options.get("pooling", "mean") not in POOLINGS:
        raise InvalidConfig(
            f"encoder {encoder!r} asks for pooling {options['pooling']!r}; "
            f"choose one of {', '.join(POOLINGS)}"
        )
    return Specification(family=family, name=name, **options)


def _positive(encoder: str, option: str, value: str | int) -> int:
    if not str(value).isdecimal() or int(value) == 0:
        raise InvalidConfig(f"encoder {encoder!r}: {option} is {value!r}, write a whole number > 0")
    return int(value)
