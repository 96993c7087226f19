"""What Elasticsearch answers to our own credentials, in words of ours."""

import pickle
from typing import Any

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import ApiError

from indexer import connections
from indexer.errors import AccessDenied, ElasticsearchUnavailable, HitweaveError, WriteFailed

REASON = "action [x] is unauthorized, this action is granted by the index privileges [read,all]"


def answer(status: int, kind: str | None, reason: str = "so it is") -> ApiError:
    node = NodeConfig("http", "localhost", 9200)
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, node)
    cause = {"type": kind, "reason": reason}
    body: Any = {"error": {**cause, "root_cause": [cause]}} if kind else None
    return ApiError(str(kind), meta=meta, body=body)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (answer(401, "security_exception"), AccessDenied, "HITWEAVE_ELASTICSEARCH_API_KEY"),
        (answer(403, "security_exception", REASON), AccessDenied, "[read,all]"),
        (answer(403, None), AccessDenied, "view_index_metadata"),
        (answer(403, "cluster_block_exception"), ElasticsearchUnavailable, "for now"),
        (answer(400, "index_closed_exception"), ElasticsearchUnavailable, "for now"),
        (answer(429, "es_rejected_execution_exception"), ElasticsearchUnavailable, "429"),
        (answer(400, "mapper_parsing_exception"), WriteFailed, "so it is"),
    ],
)
def test_an_answer_is_told_by_what_is_to_be_done(
    error: ApiError, kind: type[HitweaveError], words: str
) -> None:
    told = connections.told(error)
    assert type(told) is kind
    assert words in told.message


def test_what_leaves_a_task_can_be_sent_to_the_workers_main_process() -> None:
    @connections.in_our_words
    def task() -> None:
        raise answer(401, "security_exception")

    with pytest.raises(AccessDenied) as raised:
        task()
    assert pickle.loads(pickle.dumps(raised.value)).message == raised.value.message  # noqa: S301
