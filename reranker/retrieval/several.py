"""Several searches on their way to Elasticsearch as one request, told apart by name."""

from collections.abc import Mapping
from typing import Any

import orjson

from reranker.retrieval.fetch import Refused
from reranker.retrieval.node import JSON, NDJSON, Nodes

# Name → index and body.
Searches = Mapping[str, tuple[str, Mapping[str, Any]]]


class Several:
    """Searches that were sent; `finish` waits for them. Without any nothing is sent."""

    def __init__(
        self,
        nodes: Nodes,
        searches: Searches,
        headers: Mapping[str, str],
        *,
        timeout_seconds: float,
    ) -> None:
        self._names = list(searches)
        lines = [
            orjson.dumps(part, option=orjson.OPT_SERIALIZE_NUMPY)
            for target, body in searches.values()
            for part in ({"index": target}, body)
        ]
        self._pending = (
            nodes.send(
                "POST",
                "/_msearch",
                b"\n".join(lines) + b"\n",
                {"Content-Type": NDJSON, "Accept": JSON, **headers},
                timeout_seconds=timeout_seconds,
            )
            if searches
            else None
        )

    def finish(self, timeout_seconds: float) -> dict[str, dict[str, Any]]:
        """The response of each, also of one that failed; raises Refused where all are, LateAnswer,
        ElasticsearchUnavailable.
        """
        if self._pending is None:
            return {}
        answer = self._pending.receive(timeout_seconds)
        if answer.status != 200:
            raise Refused(answer)
        responses = orjson.loads(answer.body)["responses"]
        return dict(zip(self._names, responses, strict=True))
