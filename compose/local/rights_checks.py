"""Checks whether Hitweave's own credentials may do what its parts do; names what is missing."""

from collections.abc import Iterator, Sequence
from typing import Any

from elasticsearch import ApiError, Elasticsearch

from compose.local.finding import Finding
from indexer.behaviour.journal_index import EVENTS, QUERIES

CLUSTER = ("monitor",)
ON_INDICES = ("read", "write", "manage")
OURS = ("hitweave_*", EVENTS, QUERIES)


def check_rights(client: Elasticsearch, indices: Sequence[str]) -> Iterator[Finding]:
    """What the credentials may not do on the cluster, on our indices and on those of catalogues;
    nothing where the cluster has no security.
    """
    names = [*OURS, *(name for it in sorted(indices) for name in (it, f"{it}-*"))]
    try:
        told: Any = client.security.has_privileges(
            cluster=list(CLUSTER), index=[{"names": names, "privileges": list(ON_INDICES)}]
        ).body
    except ApiError:
        return  # without security there is no such route
    if told["has_all_requested"]:
        yield Finding("rights", "ok", f"{told['username']} may do all that Hitweave does")
        return
    missing = [f"cluster {name}" for name, granted in told["cluster"].items() if not granted]
    for index, granted in sorted(told["index"].items()):
        lacking = [name for name, has in granted.items() if not has]
        if lacking:
            missing.append(f"{', '.join(lacking)} on {index}")
    yield Finding(
        "rights",
        "warning",
        f"{told['username']} has not: {'; '.join(missing)}",
        "one key for all parts needs them; docs/security.md says what each part alone does",
    )
