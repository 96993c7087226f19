"""What the actions of a shop's own collectors count as: the part `actions` of its configuration."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from indexer.identity import action_key

ACTIONS_MAX = 100
Counted = Literal[
    "impression",
    "view",
    "click",
    "watch",
    "add_to_cart",
    "purchase",
    "remove_from_cart",
    "dismiss",
    "return",
    "refund",
]
COUNTED: tuple[str, ...] = get_args(Counted)


def _by_key(actions: Mapping[str, Counted]) -> dict[str, Counted]:
    """The same under keys of actions; raises ValueError where two names have one."""
    found = {action_key(name): counted for name, counted in actions.items()}
    if len(found) < len(actions):
        raise ValueError("two names mean the same action: case, '-' and '_' do not matter")
    return found


Name = Annotated[str, Field(min_length=1, max_length=100)]
Actions = Annotated[dict[Name, Counted], Field(max_length=ACTIONS_MAX), AfterValidator(_by_key)]
