"""One suite over all encoders: what a caller may rely on, whichever stands behind."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.embedding.encoder import DEFAULT_ENCODER, Encoder, open_encoder
from indexer.embedding.export import Exported
from indexer.embedding.transformer import TransformerEncoder

TEXTS = [
    "wireless headphones",
    "无线耳机",
    "a rather long text about shoes for running in all weathers " * 6,
    "",
    "x",
    "Stainless steel bottle, 500 ml",
]
ODD = [
    "   \t\n",
    "\u200b\u200d",
    "\ud800 lone surrogate",
    "😀😀😀",
    "e\u0301\u0301\u0301",
    "ﾊﾝﾄﾞﾊﾞｯｸﾞ",
    "\x00\x01",
    "𠮷野家",
    "!" * 5000,
    "<s></s>[CLS][PAD]",
]
KINDS = ["hashed", "packaged", "transformers", "onnx", "onnx-int8"]


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def encoder(
    kind: str, minilm: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Encoder:
    if kind == "hashed":
        return open_encoder("hashed:256")
    if kind == "packaged":
        return open_encoder(DEFAULT_ENCODER)
    if kind == "transformers":
        return open_encoder(minilm)
    exported: Exported = request.getfixturevalue("exported")
    if kind == "onnx-int8":
        return open_encoder(f"onnx:{exported.folder}")
    folder = tmp_path_factory.mktemp("full") / "minilm"
    folder.mkdir()
    for name in ("model.onnx", "tokenizer.json", "recipe.json"):
        (folder / name).symlink_to(exported.folder / name)
    return open_encoder(f"onnx:{folder}")


def test_vectors_are_unit_rows_of_float32_with_the_recipes_dims(encoder: Encoder) -> None:
    found = encoder.encode(TEXTS, role="passage")
    assert found.shape == (len(TEXTS), encoder.dims)
    assert encoder.dims == encoder.recipe.dims
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([], role="query").shape == (0, encoder.dims)


def test_a_text_alone_and_in_a_batch_has_the_same_vector(encoder: Encoder) -> None:
    together = encoder.encode(TEXTS, role="query")
    alone = np.concatenate([encoder.encode([text], role="query") for text in TEXTS])
    cosine = np.einsum("td,td->t", together, alone)
    assert cosine.min() >= 0.99999


def test_sorting_by_length_inside_does_not_show_outside(encoder: Encoder) -> None:
    texts = [f"{'shoe ' * (7 * number % 15)}{number}" for number in range(140)]
    order = np.random.default_rng(3).permutation(len(texts))
    straight = encoder.encode(texts, role="passage")
    shuffled = encoder.encode([texts[number] for number in order], role="passage")
    cosine = np.einsum("td,td->t", straight[order], shuffled)
    assert cosine.min() >= 0.99999


def test_the_same_call_gives_the_same_bytes(encoder: Encoder) -> None:
    first = encoder.encode(TEXTS, role="query")
    assert first.tobytes() == encoder.encode(TEXTS, role="query").tobytes()


def test_odd_texts_give_finite_unit_vectors(encoder: Encoder) -> None:
    found = encoder.encode(ODD, role="query")
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)


@given(texts=st.lists(st.text(st.characters(), max_size=40), max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_text_gives_a_finite_unit_vector(encoder: Encoder, texts: list[str]) -> None:
    found = encoder.encode(texts, role="passage")
    assert found.shape == (len(texts), encoder.dims)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)


def test_what_lies_behind_the_last_token_changes_nothing(encoder: Encoder) -> None:
    start = "blue cotton shirt for men with long sleeves " * 600
    found = encoder.encode([start, start + "stainless steel bottle"], role="passage")
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_texts_that_share_words_are_nearer_than_others(encoder: Encoder) -> None:
    texts = ["running shoes for men", "men's running shoes", "ceramic tea pot with lid"]
    alike = encoder.encode(texts, role="passage")
    assert alike[0] @ alike[1] > alike[0] @ alike[2] + 0.2


def test_threads_at_once_get_what_one_gets(encoder: Encoder) -> None:
    texts = ["wireless headphones", "无线耳机", ""]
    expected = encoder.encode(texts, role="query")
    found: dict[int, bytes] = {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = encoder.encode(texts, role="query").tobytes()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), expected.tobytes())


def test_an_encoder_opens_again_by_its_own_recipe(encoder: Encoder) -> None:
    assert open_encoder(encoder.recipe).recipe.digest() == encoder.recipe.digest()
    if not isinstance(encoder, TransformerEncoder):
        assert open_encoder(encoder.recipe.encoder) is open_encoder(encoder.recipe)
