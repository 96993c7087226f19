"""Who hands events in: one of our own, a shopper's client, or a robot that says so.

Loopback and configured addresses are trusted; what they hand on for others (X-Forwarded-For) is
judged by the address that it came from. The address goes no further than as a pseudonym.
"""

import ipaddress
import re
from collections.abc import Sequence

from flask import current_app, request

from indexer import settings as server_settings
from indexer.behaviour.event import address_pseudonym
from indexer.behaviour.intake import TRUSTED, Origin
from reranker import settings

FORWARDED = "X-Forwarded-For"
ROBOTS = re.compile(
    r"bot\b|bot[/_-]|crawl|spider|slurp|scrap|preview|monitor|headless|lighthouse|pingdom|"
    r"python-|curl/|wget/|go-http|java/|libwww|axios|node-fetch|httpclient",
    re.IGNORECASE,
)


def origin() -> Origin:
    """Where this request's events come from."""
    known = current_app.config.get("HITWEAVE_SETTINGS") or settings.load()
    trusted = known.trusted_networks
    address = _sender(
        request.remote_addr or "", request.headers.get(FORWARDED, "").split(","), trusted
    )
    if address is None:
        return TRUSTED
    key = server_settings.load().pseudonym_key.get_secret_value()
    agent = request.headers.get("User-Agent", "")
    robot = not agent or ROBOTS.search(agent) is not None
    return Origin("robot" if robot else "client", address_pseudonym(key, address))


def is_named_as_trusted() -> bool:
    """Whether this request has come by none but addresses that the settings name as trusted;
    loopback is one only where they name it.
    """
    known = current_app.config.get("HITWEAVE_SETTINGS") or settings.load()
    handed_on = request.headers.get(FORWARDED, "").split(",")
    addresses = [request.remote_addr or "", *(it.strip() for it in handed_on if it.strip())]
    return all(_is_within(it, known.trusted_networks) for it in addresses)


def _sender(
    peer: str,
    forwarded: Sequence[str],
    trusted: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network],
) -> str | None:
    """The nearest address that is not trusted; None where all are."""
    for address in (peer, *(it.strip() for it in reversed(forwarded))):
        if address and not _is_trusted(address, trusted):
            return address
    return None


def _is_trusted(
    address: str, trusted: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return found.is_loopback or _is_within(address, trusted)


def _is_within(
    address: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
