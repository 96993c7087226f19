"""Several searches on their way to Elasticsearch as one request, told apart by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from reranker.retrieval.fetch import Refused
from reranker.retrieval.node import JSON, NDJSON, Nodes, Pending
from reranker.retrieval.request import rights

# Name → index and body.
Searches = Mapping[str, tuple[str, Mapping[str, Any]]]


class Several:
    """Searches that were sent; `finish` waits for them. Without any nothing is sent.

    Those called as `ours` say are asked for with the sidecar's own rights.
    """

    def __init__(
        self,
        nodes: Nodes,
        searches: Searches,
        headers: Mapping[str, str],
        *,
        timeout_seconds: float,
        ours: Sequence[str] = (),
    ) -> None:
        apart = {name for name in ours if name in searches} if rights(headers) else set()
        theirs = {name: it for name, it in searches.items() if name not in apart}
        own = {name: it for name, it in searches.items() if name in apart}
        self._sent = [
            (list(part), _send(nodes, part, as_whom, timeout_seconds))
            for part, as_whom in ((theirs, headers), (own, {}))
            if part
        ]

    def finish(self, timeout_seconds: float) -> dict[str, dict[str, Any]]:
        """The response of each, also of one that failed; raises Refused where all are, LateAnswer,
        ElasticsearchUnavailable.
        """
        found: dict[str, dict[str, Any]] = {}
        for names, pending in self._sent:
            answer = pending.receive(timeout_seconds)
            if answer.status != 200:
                raise Refused(answer)
            found |= zip(names, orjson.loads(answer.body)["responses"], strict=True)
        return found


def _send(
    nodes: Nodes, searches: Searches, headers: Mapping[str, str], timeout_seconds: float
) -> Pending:
    lines = [
        orjson.dumps(part, option=orjson.OPT_SERIALIZE_NUMPY)
        for target, body in searches.values()
        for part in ({"index": target}, body)
    ]
    return nodes.send(
        "POST",
        "/_msearch",
        b"\n".join(lines) + b"\n",
        {"Content-Type": NDJSON, "Accept": JSON, **headers},
        timeout_seconds=timeout_seconds,
    )
