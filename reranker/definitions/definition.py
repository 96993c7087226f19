"""A definition as somebody sends it: unknown keys are refused, every fault is named. Pure."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from indexer.errors import InvalidRequest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _is_name(said: str) -> str:
    if not NAME.fullmatch(said):
        raise ValueError(
            f"{said!r} cannot be one: use up to 64 of the letters A to Z and a to z, digits, '.', "
            "'_' and '-', beginning with a letter or digit"
        )
    return said


Name = Annotated[
    str, AfterValidator(_is_name), Field(json_schema_extra={"pattern": f"^{NAME.pattern}$"})
]


class Strict(BaseModel):
    """A part of a definition; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Form = TypeVar("Form", bound=Strict)


def read(form: type[Form], kind: str, document: Any, address: Mapping[str, str]) -> Form:
    """A definition of a `kind` such as "a rule"; raises InvalidRequest with every fault.

    What the address of the request says it need not say again, and must not say otherwise.
    """
    if not isinstance(document, dict):
        raise InvalidRequest(f"{kind} must be a JSON object")
    for name, said in address.items():
        if document.get(name, said) != said:
            raise InvalidRequest(f"{name} is {document[name]!r}, but the address says {said!r}")
    try:
        return form.model_validate({**document, **address})
    except ValidationError as error:
        faults = [_fault(kind, it["loc"], it["type"], it["msg"]) for it in error.errors()]
        raise InvalidRequest("; ".join(dict.fromkeys(faults))) from None


def _fault(kind: str, location: tuple[int | str, ...], fault: str, message: str) -> str:
    where = ".".join(str(part) for part in location)
    if fault == "extra_forbidden":
        return f"{where} is no key of {kind}: see the pages of README for those that there are"
    said = message.removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
