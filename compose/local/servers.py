"""Servers that our processes use without having been started by this stack."""

from compose.local import elasticsearch, processes, valkey
from compose.local.home import Addresses
from indexer.errors import HitweaveError
from indexer.settings import Settings


def used_but_not_ours(ours: set[str]) -> list[str]:
    """Names of servers that the parts in `ours` need and that are not among them."""
    if not ours & {*processes.WORKERS, processes.SIDECAR}:
        return []
    return [name for name in (elasticsearch.NAME, valkey.NAME) if name not in ours]


def problem(name: str, addresses: Addresses) -> HitweaveError | None:
    """Why a server cannot be used, None when it can: asked with the credentials of the settings."""
    from indexer import connections  # imports both client libraries

    settings = Settings(
        elasticsearch_url=addresses.elasticsearch_url, valkey_url=addresses.valkey_url
    )
    try:
        if name == elasticsearch.NAME:
            with connections.elasticsearch(settings, request_timeout=5, max_retries=0) as client:
                connections.check_elasticsearch(client, settings)
        else:
            with connections.valkey(settings) as store:
                connections.check_valkey(store, settings)
    except HitweaveError as error:
        return error
    return None
