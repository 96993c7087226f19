"""Addresses of servers as people write them: what is to be asked, who asks, and what may be shown.

Pure. A password in an address goes to the server alone: whatever is logged, printed or answered
has the address from `shown`.
"""

import base64
import re
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

PORTS = {"http": 80, "https": 443}
VALKEY_SCHEMES = ("redis", "rediss", "unix")
SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")


def shown(addresses: str) -> str:
    """Addresses, several with commas, without user, password and parameters."""
    return ",".join(_shown(one.strip()) for one in addresses.split(","))


def nodes(addresses: str) -> list[str]:
    """Each address of Elasticsearch with its port, without credentials and a closing slash."""
    return [_node(one) for one in _several(addresses)]


def basic(addresses: str) -> str | None:
    """The Authorization header that a user and a password in the addresses come to; None where
    they name nobody.
    """
    for address in _several(addresses):
        parts = urlsplit(address)
        if parts.username is not None:
            named = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            return f"Basic {base64.b64encode(named.encode()).decode('ascii')}"
    return None


def api_key(key: str) -> str:
    """The Authorization header of an API key, `encoded` or as `id:api_key`."""
    written = key.strip()
    if ":" in written:
        written = base64.b64encode(written.encode()).decode("ascii")
    return f"ApiKey {written}"


def node_problem(addresses: str) -> str | None:
    """Why these are no addresses of Elasticsearch; tells no password."""
    found = _several(addresses)
    if not found or not all(_is_node(one) for one in found):
        return f"{shown(addresses)!r} must be written as https://host:9200, several with commas"
    if len({urlsplit(one).netloc.rpartition("@")[0] for one in found} - {""}) > 1:
        return "names different users: one user, or one API key, asks all nodes"
    return None


def valkey_problem(address: str) -> str | None:
    """Why this is no address of Valkey; tells no password."""
    try:
        parts = urlsplit(address)
        fits = parts.scheme in VALKEY_SCHEMES and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if fits:
        return None
    return "must be written as redis://:password@host:6379/0, with TLS as rediss://…"


def _several(addresses: str) -> list[str]:
    return [one.strip() for one in addresses.split(",") if one.strip()]


def _is_node(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in PORTS and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _node(address: str) -> str:
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    if parts.port is None:
        host = f"{host.rstrip(':')}:{PORTS[parts.scheme]}"
    return urlunsplit(SplitResult(parts.scheme, host, parts.path.rstrip("/"), "", ""))


def _shown(address: str) -> str:
    """Also of what is no address: all before the last @ may be a secret, and so may be what comes
    after a question mark. Where the @ stands behind that, nobody can tell which of them it is.
    """
    begins = SCHEME.match(address)
    scheme = begins.group() if begins else ""
    rest = address.removeprefix(scheme)
    bare = re.split("[?#]", rest.rpartition("@")[2], maxsplit=1)[0]
    is_plain = "@" not in rest or not re.search("[?#]", rest.rpartition("@")[0])
    return scheme + (bare if is_plain else "…")
