"""Opening encoders: the cache, recipes that differ, forks, and processes without torch."""

import subprocess
import sys
import threading

import pytest

from indexer.embedding import encoder
from indexer.embedding.encoder import DEFAULT_ENCODER, Encoder, open_encoder
from indexer.embedding.export import Exported
from indexer.embedding.recipe import Recipe
from indexer.embedding.specification import Specification, parse
from indexer.errors import EncoderUnavailable, InvalidConfig

FORKED = """
import os, sys
from indexer.embedding.encoder import open_encoder
parent = open_encoder("packaged:use-multilingual-v3")
expected = parent.encode(["无线耳机"], role="query").tobytes()
child = os.fork()
if child == 0:
    mine = open_encoder("packaged:use-multilingual-v3")
    same = mine.encode(["无线耳机"], role="query").tobytes() == expected
    os._exit(0 if mine is not parent and same else 7)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""

WITHOUT_TORCH = """
import sys
for blocked in ("torch", "transformers", "onnx", "sentence_transformers"):
    sys.modules[blocked] = None
from indexer.embedding.encoder import open_encoder
from indexer.errors import EncoderUnavailable
for specification in sys.argv[1:]:
    assert len(open_encoder(specification).encode(["无线耳机"], role="query")) == 1
try:
    open_encoder("transformers:any/model")
except EncoderUnavailable as error:
    assert "hitweave[worker]" in error.message, error.message
else:
    raise AssertionError("opened a transformers model without torch")
"""


def run_python(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *args], capture_output=True, text=True, timeout=120
    )


def test_an_encoder_is_opened_once_per_process() -> None:
    first = open_encoder("hashed:64")
    assert open_encoder("hashed:64") is first
    assert open_encoder(first.recipe) is first
    assert open_encoder("hashed:128") is not first


def test_an_open_encoder_is_had_while_another_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    known = open_encoder("hashed:64")
    opening, released = threading.Event(), threading.Event()

    def slow(specification: Specification) -> Encoder:
        opening.set()
        assert released.wait(timeout=60)
        return known

    monkeypatch.setattr(encoder, "_build", slow)
    other = threading.Thread(target=open_encoder, args=("hashed:96",))
    other.start()
    try:
        assert opening.wait(timeout=60)
        assert open_encoder("hashed:64") is known
    finally:
        released.set()
        other.join()
        encoder._open.pop(parse("hashed:96"), None)


def test_a_forked_process_opens_its_own_encoder() -> None:
    done = run_python(FORKED)
    assert done.returncode == 0, done.stderr


def test_serving_encoders_run_where_torch_cannot_be_imported(exported: Exported) -> None:
    done = run_python(WITHOUT_TORCH, "hashed:64", DEFAULT_ENCODER, f"onnx:{exported.folder}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "change", [{"revision": "0.1.0"}, {"pooling": "cls"}, {"max_tokens": 64}, {"dims": 256}]
)
def test_an_index_of_another_recipe_is_refused(change: dict[str, object]) -> None:
    stamped = open_encoder(DEFAULT_ENCODER).recipe.model_copy(update=change)
    with pytest.raises(EncoderUnavailable) as caught:
        open_encoder(stamped)
    (field,) = change
    assert field in caught.value.message
    assert "re-create the index" in caught.value.message


def test_a_digest_depends_on_every_field_and_on_nothing_else() -> None:
    recipe = Recipe(encoder="hashed:64", dims=64)
    assert recipe.digest() == Recipe(dims=64, encoder="hashed:64").digest()
    changes: list[dict[str, object]] = [
        {"encoder": "hashed:65"},
        {"revision": "2"},
        {"pooling": "cls"},
        {"query_prompt": "query: "},
        {"passage_prompt": "passage: "},
        {"dims": 65},
        {"normalized": False},
        {"max_tokens": 64},
    ]
    assert {next(iter(change)) for change in changes} == set(Recipe.model_fields)
    digests = {recipe.model_copy(update=change).digest() for change in changes}
    assert len(digests) == len(changes)
    assert recipe.digest() not in digests


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ("elmo:large", "packaged:use-multilingual-v3"),
        ("packaged", "packaged:use-multilingual-v3"),
        ("packaged:", "packaged:use-multilingual-v3"),
        ("packaged:use-large", "packaged:use-multilingual-v3"),
        ("hashed:many", "8 to 4096"),
        ("hashed:7", "8 to 4096"),
        ("hashed:4097", "8 to 4096"),
        ("hashed:64?dims=32", "leave that option out"),
        ("hashed:64?depth=3", "'depth'"),
        ("transformers:x?pooling=max", "mean, cls, last"),
        ("transformers:x?dims=0", "whole number"),
        ("packaged:use-multilingual-v3?dims=256", "512"),
    ],
)
def test_a_specification_that_cannot_be_is_refused_with_what_can(
    specification: str, said: str
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        open_encoder(specification)
    assert said in caught.value.message


def test_a_matryoshka_cut_is_not_made_of_a_model_that_was_not_trained_for_it() -> None:
    with pytest.raises(InvalidConfig, match="512"):
        open_encoder(DEFAULT_ENCODER, dims=128)


def test_another_version_of_the_packaged_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from indexer.embedding import packaged

    monkeypatch.setattr(packaged, "version", lambda _name: "0.3.0")
    with pytest.raises(EncoderUnavailable, match=r"pip install .*==0\.2\.1"):
        packaged.open_packaged(parse(DEFAULT_ENCODER), threads=1)
