"""The only place that opens clients of Elasticsearch and Valkey.

Clients are made per process and per fork (never shared over a fork); callers pass them on.
"""

import re
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, ParamSpec

import redis
from elastic_transport import TlsError
from elasticsearch import ApiError, Elasticsearch

from indexer import addresses
from indexer.errors import (
    AccessDenied,
    ElasticsearchUnavailable,
    HitweaveError,
    UnsupportedElasticsearch,
    ValkeyUnavailable,
    WriteFailed,
)
from indexer.settings import Settings

SUPPORTED_MAJOR = 9
SUPPORTED_MINOR_FROM = 2
RETRIES = 3  # as the client has them
BUSY = frozenset({429, 502, 503, 504})
# A generation that is being replaced, a full disk, an index that somebody closed: all pass.
CLOSED = frozenset({"cluster_block_exception", "index_closed_exception"})
P = ParamSpec("P")


def elasticsearch(settings: Settings, **options: Any) -> Elasticsearch:
    """A client of the configured cluster; makes no request. `options` go to the client.

    Whatever they say of retries, each node is asked before the cluster counts as away.
    """
    nodes = settings.elasticsearch_nodes
    security: dict[str, Any] = {}
    if (authorization := settings.elasticsearch_authorization) is not None:
        security["headers"] = {"authorization": authorization}
    if settings.elasticsearch_ca_certs is not None:
        security["ca_certs"] = str(settings.elasticsearch_ca_certs)
    return Elasticsearch(
        nodes,
        **{
            "request_timeout": settings.elasticsearch_timeout_seconds,
            "retry_on_timeout": False,
            **security,
            **options,
            "max_retries": max(options.get("max_retries", RETRIES), len(nodes) - 1),
        },
    )


def check_elasticsearch(client: Elasticsearch, settings: Settings) -> str:
    """The cluster's version; raises when it does not answer or is not supported."""
    try:
        number = str(client.info()["version"]["number"])
    except ApiError as error:
        if (denied := denial(error)) is not None:
            raise denied from error
        raise _away(settings, error) from error
    except Exception as error:
        raise _away(settings, error) from error
    major, minor = (int(part) for part in number.split(".")[:2])
    if major != SUPPORTED_MAJOR or minor < SUPPORTED_MINOR_FROM:
        raise UnsupportedElasticsearch(
            f"Elasticsearch {number} is not supported: use {SUPPORTED_MAJOR}."
            f"{SUPPORTED_MINOR_FROM} or a later {SUPPORTED_MAJOR}.x"
        )
    return number


def denial(error: ApiError) -> AccessDenied | None:
    """What an answer of Elasticsearch for want of rights comes to; None for any other answer.

    A refused action is told in Elasticsearch's words, which name the privileges that grant it.
    """
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        return AccessDenied(
            "Elasticsearch does not accept the credentials (401): see whether the key of "
            "HITWEAVE_ELASTICSEARCH_API_KEY is the `encoded` one and still holds, or the user and "
            "password in HITWEAVE_ELASTICSEARCH_URL"
        )
    if error.status_code == HTTPStatus.FORBIDDEN and not isinstance(error.body, dict):
        return AccessDenied(
            "Elasticsearch does not allow Hitweave to see whether an index is there (403): give "
            "view_index_metadata on it, or manage, to the key of HITWEAVE_ELASTICSEARCH_API_KEY "
            "(docs/security.md lists what it needs)"
        )
    if error.status_code == HTTPStatus.FORBIDDEN and error.error == "security_exception":
        return AccessDenied(
            f"Elasticsearch does not allow it: {_reason(error)}. Give that privilege to the key of "
            "HITWEAVE_ELASTICSEARCH_API_KEY (docs/security.md lists what it needs)"
        )
    return None


def told(error: ApiError) -> HitweaveError:
    """An answer of Elasticsearch that a task does not expect, as an error of ours.

    Theirs do not pickle: one that leaves a task ends the whole worker.
    """
    if (denied := denial(error)) is not None:
        return denied
    if error.status_code in BUSY:
        return ElasticsearchUnavailable(f"Elasticsearch answers {error.status_code}")
    if error.error in CLOSED:
        return ElasticsearchUnavailable(f"an index takes nothing for now: {_reason(error)}")
    return WriteFailed(f"Elasticsearch refuses it ({error.status_code}): {_reason(error)}")


def in_our_words(task: Callable[P, None]) -> Callable[P, None]:
    """A task that raises no error of Elasticsearch's client."""

    @wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            task(*args, **kwargs)
        except ApiError as error:
            raise told(error) from error

    return run


def _reason(error: ApiError) -> str:
    body: Any = error.body
    try:
        return str(body["error"]["root_cause"][0]["reason"])
    except (LookupError, TypeError):
        return str(error.message)


def _away(settings: Settings, error: Exception) -> ElasticsearchUnavailable:
    where = addresses.shown(settings.elasticsearch_url)
    if isinstance(error, TlsError):
        return ElasticsearchUnavailable(
            f"the connection to Elasticsearch at {where} is not trusted ({_of_tls(error)}): set "
            "HITWEAVE_ELASTICSEARCH_CA_CERTS to the bundle of the cluster's CA, and "
            "HITWEAVE_ELASTICSEARCH_URL to a name that its certificate has"
        )
    return ElasticsearchUnavailable(
        f"Elasticsearch does not answer at {where} ({type(error).__name__}): "
        "start it (`hitweave up`) or set HITWEAVE_ELASTICSEARCH_URL"
    )


def _of_tls(error: TlsError) -> str:
    """What OpenSSL says of the certificate, else of which kind the fault is."""
    found = re.search(r"certificate verify failed: ([^(\]]+)", str(error))
    return found.group(1).strip() if found else type(error).__name__


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
        raise _no_valkey(settings, error) from error


def _no_valkey(settings: Settings, error: redis.RedisError) -> ValkeyUnavailable:
    where = addresses.shown(settings.valkey_url)
    return ValkeyUnavailable(
        f"Valkey at {where} does not answer ({type(error).__name__}): {valkey_advice(error)}"
    )


def valkey_advice(error: BaseException) -> str:
    """What to do about an error of Valkey's client."""
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return (
            "it does not accept the credentials: write HITWEAVE_VALKEY_URL as "
            "redis://:password@host:6379/0, or redis://user:password@…"
        )
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return "it is full: raise its maxmemory"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            "its certificate is not trusted: add ?ssl_ca_certs=FILE with the bundle of its CA to "
            "HITWEAVE_VALKEY_URL"
        )
    return "start it (`hitweave up`) or set HITWEAVE_VALKEY_URL"
