"""Which arm a unit sees: one hash of salt and unit, equal in every process. Pure.

Nothing is stored, so nothing can be lost: the same unit under the same salt has the same arm for
ever, and arms under different salts have nothing to do with each other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

IN_UNIT = 2.0**-64
# Whether a unit takes part must not say which arm it is in.
TAKING_PART = "taking part"


@dataclass(frozen=True, slots=True)
class Ids:
    """Who searches, as pseudonyms, and the search's own id."""

    user: str | None = None
    client: str | None = None
    session: str | None = None
    query: str | None = None


def unit_of(kind: str, ids: Ids) -> str | None:
    """The unit of a search where units are users, sessions or queries; None where there is none.

    What lasts longest stands in for what is not known: of a user the client, then the session; of
    a session the client, then the user.
    """
    if kind == "query":
        return ids.query
    if kind == "session":
        return ids.session or ids.client or ids.user
    return ids.user or ids.client or ids.session


def draw(*parts: str) -> float:
    """A number from 0 up to 1 that is the same for the same parts and else independent."""
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest()
    # The highest of them would round to 1.
    return min(int.from_bytes(digest, "big") * IN_UNIT, 1.0 - 2.0**-53)


def takes_part(salt: str, unit: str, traffic: float) -> bool:
    """Whether a unit is among the `traffic` (share) that takes part; who is in stays in when it
    grows.
    """
    return draw(TAKING_PART, salt, unit) < traffic


def arm_of(salt: str, unit: str, shares: Sequence[float]) -> int:
    """The number of a unit's arm; `shares` are in proportion, of any sum."""
    left = draw(salt, unit) * sum(shares)
    for number, share in enumerate(shares[:-1]):
        left -= share
        if left < 0:
            return number
    return len(shares) - 1
