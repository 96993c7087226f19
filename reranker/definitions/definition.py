"""A definition as somebody sends it: unknown keys are refused, every fault is named. Pure."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from indexer.errors import InvalidRequest


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
        return f"{where} is no key of {kind}: see README for those that there are"
    said = message.removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
