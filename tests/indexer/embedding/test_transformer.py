"""Transformers encoders read what a model's folder says, and say what they cannot do."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from indexer.embedding.encoder import open_encoder
from indexer.embedding.transformer import TransformerEncoder
from indexer.errors import EncoderUnavailable, InvalidConfig
from indexer.settings import Settings
from tests.indexer.embedding.small_models import HIDDEN, declare, write_decoder

TEXTS = ["red shoes", "wireless headphones for running men", "a", "steel bottle"]


def opened(folder: Path, options: str = "") -> TransformerEncoder:
    encoder = open_encoder(f"transformers:{folder}{options}")
    assert isinstance(encoder, TransformerEncoder)
    return encoder


def states(encoder: TransformerEncoder, text: str) -> np.ndarray:
    """Token states [tokens, hidden] of one text, straight from the model."""
    found = encoder.model(**encoder.tokens([text])).last_hidden_state
    return np.asarray(found[0].detach().numpy())


@pytest.mark.parametrize(
    ("pooling", "reduce"),
    [
        ("mean", lambda rows: rows.mean(axis=0)),
        ("cls", lambda rows: rows[0]),
        ("last", lambda rows: rows[-1]),
    ],
)
def test_pooling_takes_its_tokens_and_no_padding(small_bert: Path, pooling: str, reduce) -> None:
    encoder = opened(small_bert, f"?pooling={pooling}")
    assert encoder.recipe.pooling == pooling
    found = encoder.encode(TEXTS, role="query")
    for row, text in zip(found, TEXTS, strict=True):
        expected = reduce(states(encoder, text))
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_decoder_without_a_padding_token_is_pooled_at_its_last_token(tmp_path: Path) -> None:
    encoder = opened(declare(write_decoder(tmp_path / "gpt"), pooling="lasttoken"))
    assert encoder.recipe.pooling == "last"
    found = encoder.encode(TEXTS, role="passage")
    for row, text in zip(found, TEXTS, strict=True):
        expected = states(encoder, text)[-1]
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-5)


def test_prompts_of_the_folder_stand_before_the_text_in_their_role(small_bert: Path) -> None:
    declare(small_bert, prompts={"query": "query : ", "document": "passage : "})
    encoder = opened(small_bert)
    plain = opened(small_bert, "?query_prompt=&passage_prompt=")
    for role, prompt in (("query", "query : "), ("passage", "passage : ")):
        with_prompt = encoder.encode(TEXTS, role=role)
        by_hand = plain.encode([prompt + text for text in TEXTS], role=role)
        np.testing.assert_allclose(with_prompt, by_hand, atol=1e-6)
    assert encoder.recipe.digest() != plain.recipe.digest()


def test_a_default_prompt_stands_for_roles_without_their_own(small_bert: Path) -> None:
    declare(small_bert, prompts={"query": "query : ", "all": "the "}, default_prompt="all")
    recipe = opened(small_bert).recipe
    assert (recipe.query_prompt, recipe.passage_prompt) == ("query : ", "the ")


def test_the_users_word_wins_over_the_folders(small_bert: Path) -> None:
    declare(small_bert, pooling="cls", prompts={"query": "query : "})
    recipe = opened(small_bert, "?pooling=mean&query_prompt=red+&max_tokens=9").recipe
    assert (recipe.pooling, recipe.query_prompt, recipe.max_tokens) == ("mean", "red ", 9)
    assert opened(small_bert).recipe.max_tokens == 24


def test_a_matryoshka_cut_is_the_head_of_the_vector_at_length_one(small_bert: Path) -> None:
    whole = opened(small_bert).encode(TEXTS, role="query")
    cut = open_encoder(f"transformers:{small_bert}", dims=8)
    head = whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(cut.encode(TEXTS, role="query"), head, atol=1e-5)
    with pytest.raises(InvalidConfig, match=f"has {HIDDEN} dims"):
        open_encoder(f"transformers:{small_bert}", dims=HIDDEN + 1)


def test_more_tokens_than_the_model_reads_are_refused(small_bert: Path) -> None:
    with pytest.raises(InvalidConfig, match="40 tokens"):
        opened(small_bert, "?max_tokens=41")


def test_other_weights_in_the_same_folder_are_another_recipe(small_bert: Path) -> None:
    import torch
    from transformers import BertModel

    stamped = opened(small_bert).recipe
    model = BertModel.from_pretrained(small_bert)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[4] += 1.0
    moved = small_bert.with_name("moved")
    shutil.copytree(small_bert, moved)
    assert opened(moved).recipe.revision == stamped.revision
    model.save_pretrained(moved)
    changed = stamped.model_copy(update={"encoder": f"transformers:{moved.resolve()}/."})
    with pytest.raises(EncoderUnavailable, match="revision"):
        open_encoder(changed)


def test_weights_that_are_not_finite_are_refused_when_they_encode(small_bert: Path) -> None:
    import torch
    from transformers import BertModel

    from indexer.errors import InvalidVector

    model = BertModel.from_pretrained(small_bert)
    with torch.no_grad():
        model.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
    model.save_pretrained(small_bert)
    with pytest.raises(InvalidVector, match="NaN"):
        opened(small_bert).encode(TEXTS, role="query")


@pytest.mark.parametrize("pooling", ["max"])
def test_a_pooling_that_is_not_run_is_refused(small_bert: Path, pooling: str) -> None:
    declare(small_bert, pooling=pooling)
    with pytest.raises(EncoderUnavailable, match="pools by max"):
        opened(small_bert)


def test_a_model_with_parts_that_are_not_run_is_refused(small_bert: Path) -> None:
    declare(small_bert, extra_module="Dense")
    with pytest.raises(EncoderUnavailable, match="Dense module"):
        opened(small_bert)


def test_a_hub_model_is_taken_from_the_local_cache_and_pinned_to_its_commit(
    small_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub" / "models--shop--tiny"
    shutil.copytree(small_bert, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    encoder = open_encoder("transformers:shop/tiny")
    assert encoder.recipe.revision == commit
    assert open_encoder(encoder.recipe) is encoder
    with pytest.raises(EncoderUnavailable, match="shop/other is neither a folder"):
        open_encoder("transformers:shop/other")


def test_a_folder_that_is_not_there_or_holds_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="there is no folder"):
        open_encoder(f"transformers:{tmp_path / 'nothing'}")
    with pytest.raises(EncoderUnavailable, match=r"no model\.safetensors"):
        open_encoder(f"transformers:{tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(EncoderUnavailable, match="cannot open the model"):
        open_encoder(f"transformers:{tmp_path}")


def test_cuda_is_refused_where_there_is_none(small_bert: Path) -> None:
    import torch

    from indexer.embedding.specification import parse
    from indexer.embedding.transformer import open_transformer

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(EncoderUnavailable, match="HITWEAVE_DEVICE=auto"):
        open_transformer(parse(f"transformers:{small_bert}"), Settings(device="cuda"))
