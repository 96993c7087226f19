"""What a graph's export says while it is made."""

import logging

import pytest

from reranker.learning import export
from tests.reranker.fusion.artifacts import network


def test_rounding_the_weights_leaves_the_log_to_the_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    graph = export.to_onnx([network()], int8=False)
    caplog.clear()
    assert b"MatMulInteger" in export.quantised(graph)
    assert not caplog.records
    logging.getLogger("training").info("on")
    assert [record.message for record in caplog.records] == ["on"]
