"""One catalogue line as Hitweave understands it; pure.

A line that cannot be read raises InvalidProduct with the field, what is wrong and the value. Fields
Hitweave does not know are kept as they came.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from indexer.errors import InvalidProduct

ID_BYTES_MAX = 512
RESERVED = "hitweave"
INPUT_CHARS_SHOWN = 60
AHEAD_MS_MAX = 300_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _short_id(value: str) -> str:
    if len(value.encode()) > ID_BYTES_MAX:
        raise ValueError(f"an id has at most {ID_BYTES_MAX} bytes")
    return value


def _listed(value: Any) -> Any:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _in_utc(value: datetime) -> datetime:
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if moment < EPOCH:
        raise ValueError("a time before 1970 cannot order updates")
    return moment


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]


class Product(BaseModel):
    """A product under our own field names; `deleted` says that it is to go."""

    model_config = ConfigDict(
        frozen=True, extra="allow", coerce_numbers_to_str=True, str_strip_whitespace=True
    )

    id: Annotated[str, Field(min_length=1), AfterValidator(_short_id)]
    title: str = ""
    description: str | None = None
    brand: str | None = None
    categories: Names = ()
    price: Price | None = None
    currency: str | None = None
    image: str | None = None
    images: Names = ()
    attributes: dict[str, Any] | None = None
    language: str | None = None
    domain: str | None = None
    available: bool | None = None
    popularity: Price | None = None
    updated_at: Moment | None = None
    deleted: bool = False

    @model_validator(mode="after")
    def _has_a_title(self) -> "Product":
        if not self.title and not self.deleted:
            raise ValueError("title: a product needs one")
        return self

    @property
    def extra(self) -> dict[str, Any]:
        """Fields of the line that Hitweave does not know."""
        return self.__pydantic_extra__ or {}


FIELDS = tuple(name for name in Product.model_fields if name != "deleted")


class ProductUpdate(BaseModel):
    """A product as it arrived: what orders it among other updates of the same product.

    `received_at_ms` never repeats between chunks of a job, so an equal order means the same
    message. `line` is where an operator finds it in the feed.
    """

    model_config = ConfigDict(frozen=True)

    product: Product
    received_at_ms: int = Field(ge=0)
    line: int | None = None

    @property
    def version(self) -> int:
        """Milliseconds since the epoch: `updated_at`, else the time of arrival."""
        return order_ms(self.product.updated_at, self.received_at_ms)

    def to_json(self) -> dict[str, Any]:
        """Plain data for a queue; `ProductUpdate.model_validate` reads it back."""
        return {
            "product": self.product.model_dump(mode="json", exclude_defaults=True),
            "received_at_ms": self.received_at_ms,
            "line": self.line,
        }


def order_ms(said: datetime | None, arrived_ms: int) -> int:
    """What orders an update: the time it says, else that of its arrival.

    A time further ahead than clocks differ counts as arrival: until it had come, every correction
    and the delete itself would be older.
    """
    if said is None or epoch_ms(said) > arrived_ms + AHEAD_MS_MAX:
        return arrived_ms
    return epoch_ms(said)


def epoch_ms(moment: datetime) -> int:
    """Whole milliseconds since the epoch."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def iso(ms: int) -> str:
    """Milliseconds since the epoch as ISO 8601 in UTC."""
    moment = EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_product(line: Mapping[str, Any], fields: Mapping[str, str] | None = None) -> Product:
    """The product of one decoded line; `fields` maps our names to theirs (dots step inside)."""
    renamed = rename(line, fields or {})
    if RESERVED in renamed:
        raise InvalidProduct(f"{RESERVED}: this field is written by Hitweave, leave it out")
    try:
        return Product.model_validate(renamed)
    except ValidationError as error:
        raise InvalidProduct(explain(error)) from None
    except OverflowError as error:
        raise InvalidProduct(f"a number is too large: {error}") from None


def rename(line: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """The line under our names; what is not mapped stays under its own."""
    kept = dict(line)
    moved = {ours: take(kept, theirs) for ours, theirs in fields.items() if theirs != ours}
    return kept | {ours: value for ours, value in moved.items() if value is not None}


def take(line: dict[str, Any], path: str) -> Any:
    """Remove and return what stands at a dotted path; None where nothing does."""
    if path in line:
        return line.pop(path)
    head, _, rest = path.partition(".")
    inner = line.get(head)
    if not rest or not isinstance(inner, Mapping):
        return None
    line[head] = remaining = dict(inner)
    found = take(remaining, rest)
    if not remaining:
        del line[head]
    return found


def place(document: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a dotted path, making the objects on the way."""
    *heads, last = path.split(".")
    for head in heads:
        inner = document.get(head)
        document[head] = document = dict(inner) if isinstance(inner, Mapping) else {}
    document[last] = value


def explain(error: ValidationError) -> str:
    """The first fault of a validation as one sentence with the field and the value."""
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    what = fault["msg"].removeprefix("Value error, ")
    if not where:
        return what
    shown = repr(fault["input"])
    if len(shown) > INPUT_CHARS_SHOWN:
        shown = shown[:INPUT_CHARS_SHOWN] + "…"
    return f"{where}: {what} (is {shown})"
