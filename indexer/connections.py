"""The only place that opens clients of Elasticsearch and Valkey.

Clients are made per process and per fork (never shared over a fork); callers pass them on.
"""

from typing import Any

import redis
from elasticsearch import Elasticsearch

from indexer.errors import ElasticsearchUnavailable, UnsupportedElasticsearch, ValkeyUnavailable
from indexer.settings import Settings

SUPPORTED_MAJOR = 9
SUPPORTED_MINOR_FROM = 2


def elasticsearch(settings: Settings, **options: Any) -> Elasticsearch:
    """A client of the configured cluster; makes no request. `options` go to the client."""
    security: dict[str, Any] = {}
    if settings.elasticsearch_api_key is not None:
        security["api_key"] = settings.elasticsearch_api_key.get_secret_value()
    if settings.elasticsearch_ca_certs is not None:
        security["ca_certs"] = str(settings.elasticsearch_ca_certs)
    return Elasticsearch(
        settings.elasticsearch_url.split(","),
        **{
            "request_timeout": settings.elasticsearch_timeout_seconds,
            "retry_on_timeout": False,
            **security,
            **options,
        },
    )


def check_elasticsearch(client: Elasticsearch, settings: Settings) -> str:
    """The cluster's version; raises when it does not answer or is not supported."""
    try:
        number = str(client.info()["version"]["number"])
    except Exception as error:
        raise ElasticsearchUnavailable(
            f"Elasticsearch does not answer at {settings.elasticsearch_url} "
            f"({type(error).__name__}): start it (`hitweave up`) or set HITWEAVE_ELASTICSEARCH_URL"
        ) from error
    major, minor = (int(part) for part in number.split(".")[:2])
    if major != SUPPORTED_MAJOR or minor < SUPPORTED_MINOR_FROM:
        raise UnsupportedElasticsearch(
            f"Elasticsearch {number} is not supported: use {SUPPORTED_MAJOR}."
            f"{SUPPORTED_MINOR_FROM} or a later {SUPPORTED_MAJOR}.x"
        )
    return number


def valkey(settings: Settings, **options: Any) -> redis.Redis:
    """A client of the configured Valkey, answers as bytes; makes no request."""
    return redis.Redis.from_url(
        settings.valkey_url, **{"socket_timeout": 10.0, "socket_connect_timeout": 5.0, **options}
    )


def check_valkey(client: redis.Redis, settings: Settings) -> str:
    """The server's version; raises when it does not answer."""
    try:
        return str(client.info("server")["redis_version"])
    except redis.RedisError as error:
        raise ValkeyUnavailable(
            f"Valkey does not answer at {settings.valkey_url} ({type(error).__name__}): "
            "start it (`hitweave up`) or set HITWEAVE_VALKEY_URL"
        ) from error
