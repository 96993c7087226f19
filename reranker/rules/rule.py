"""What a rule says: when it holds, and what it then does. Pure; unknown keys are refused.

Every text is compared without regard to case and width, in one form for rules and searches.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from reranker.definitions import definition
from reranker.definitions.definition import Name, Strict

POSITION_MAX = 100
IDS_MAX = 1000
TEXT_CHARACTERS_MAX = 500
_REDIRECT = re.compile(r"(?:https?://|/(?!/))\S*")

Value = str | bool | int | float


def _several(value: Any) -> Any:
    """One value is a list of one."""
    return (value,) if isinstance(value, str | bool | int | float) else value


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_CHARACTERS_MAX)
]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_several), Field(max_length=IDS_MAX)]
Values = Annotated[
    tuple[Value, ...], BeforeValidator(_several), Field(min_length=1, max_length=IDS_MAX)
]
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Ids = Annotated[tuple[ItemId, ...], BeforeValidator(_several), Field(max_length=IDS_MAX)]


class QueryForm(Strict):
    """How the query must read: any one of the texts given, whichever way.

    `exact` is the whole query; `words` are words that it has, those of a script without spaces
    beside each other; `prefix` is how it begins; in a `pattern` each `*` stands for anything.
    """

    exact: Texts = ()
    words: Texts = ()
    prefix: Texts = ()
    pattern: Texts = ()

    @model_validator(mode="after")
    def _says_something(self) -> "QueryForm":
        if not (self.exact or self.words or self.prefix or self.pattern):
            raise ValueError("name exact, words, prefix or pattern")
        return self


class When(Strict):
    """What must hold, all of it; nothing said holds for every search.

    `filters` are values that the request filters a field by, `context` values of its context; one
    of each list is enough. `starts` counts, `ends` no longer does.
    """

    query: QueryForm | None = None
    filters: Mapping[str, Values] = {}
    context: Mapping[str, Values] = {}
    starts: AwareDatetime | None = None
    ends: AwareDatetime | None = None

    @model_validator(mode="after")
    def _has_an_inside(self) -> "When":
        if self.starts and self.ends and self.starts >= self.ends:
            raise ValueError("starts must be before ends")
        return self


class Place(Strict):
    """A product at a fixed place of the list, counted from 1."""

    id: ItemId
    position: int = Field(ge=1, le=POSITION_MAX)


class Shift(Strict):
    """Products to move, by their ids or by a value of a field, and how far.

    `by` is a share of the difference between the best and the last score of the list.
    """

    ids: Ids = ()
    field: Text | None = None
    value: Values | None = None
    by: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _names_products(self) -> "Shift":
        by_value = self.field is not None and self.value is not None
        if (self.field is None) != (self.value is None) or bool(self.ids) == by_value:
            raise ValueError("name either ids, or field and value")
        return self


class Then(Strict):
    """What is done. `filter` is a query of Elasticsearch that every hit must satisfy; `synonyms`
    are words with others that the keywords are searched for with too.
    """

    pin: tuple[Place, ...] = Field((), max_length=POSITION_MAX)
    hide: Ids = ()
    boost: tuple[Shift, ...] = Field((), max_length=50)
    bury: tuple[Shift, ...] = Field((), max_length=50)
    filter: Mapping[str, Any] | None = None
    redirect: Annotated[str, StringConstraints(max_length=2000)] | None = None
    replace_query: Text | None = None
    synonyms: Mapping[Text, Texts] = Field({}, max_length=50)

    @property
    def has_query(self) -> bool:
        """Whether Elasticsearch is asked something that only its mapping can tell right."""
        return self.filter is not None or any(it.field for it in (*self.boost, *self.bury))

    @field_validator("filter")
    @classmethod
    def _is_one_clause(cls, clause: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if clause is not None and len(clause) != 1:
            raise ValueError("must be one query clause, as {'term': {'brand': 'acme'}}")
        return clause

    @field_validator("redirect")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        if address is not None and not _REDIRECT.fullmatch(address):
            raise ValueError("must begin with https://, http:// or one /")
        return address

    @model_validator(mode="after")
    def _does_something(self) -> "Then":
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise ValueError(f"name one of {', '.join(type(self).model_fields)}")
        return self


class Rule(Strict):
    """One rule of an index."""

    id: Name
    index: str
    name: str = Field("", max_length=200)
    enabled: bool = True
    when: When = When()
    then: Then


def read(document: Any, index: str, rule_id: str) -> Rule:
    """A rule as somebody sent it; raises InvalidRequest with every fault and where it lies."""
    return definition.read(Rule, "a rule", document, {"id": rule_id, "index": index})


def as_stored(rule: Rule) -> dict[str, Any]:
    """The rule as JSON, without what it does not say."""
    return rule.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
