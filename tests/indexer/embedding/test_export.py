"""An export is kept only when its vectors agree; the command says what it did or why not."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from compose.local.commands.export_encoder import command
from indexer.embedding import export
from indexer.embedding.encoder import open_encoder
from indexer.embedding.export import Exported
from indexer.embedding.onnx import open_file
from indexer.errors import InvalidConfig, InvalidVector
from indexer.settings import Settings

TITLES = ["wireless headphones", "noise cancelling earbuds", "running shoes for men", "", "茶"]


def test_the_exported_model_gives_the_vectors_of_the_original(
    minilm: str, exported: Exported
) -> None:
    original = open_encoder(minilm)
    full = open_file(exported.folder / "model.onnx", original.recipe, Settings())
    cosine = np.einsum(
        "td,td->t", full.encode(TITLES, role="query"), original.encode(TITLES, role="query")
    )
    assert cosine.min() >= 0.99999
    assert exported.cosine >= 0.999


def test_the_int8_model_is_a_quarter_in_size_and_near_in_direction(
    minilm: str, exported: Exported
) -> None:
    sizes = {file.name: file.stat().st_size for file in exported.folder.glob("*.onnx")}
    assert sizes["model_int8.onnx"] < 0.3 * sizes["model.onnx"]
    original = open_encoder(minilm)
    int8 = open_file(exported.folder / "model_int8.onnx", original.recipe, Settings())
    cosine = np.einsum(
        "td,td->t", int8.encode(TITLES, role="query"), original.encode(TITLES, role="query")
    )
    assert cosine.min() >= 0.97
    assert exported.cosine_int8 is not None
    assert exported.cosine_int8 >= 0.97


def test_the_recipe_of_the_original_goes_along(minilm: str, exported: Exported) -> None:
    original, loaded = open_encoder(minilm).recipe, open_encoder(f"onnx:{exported.folder}").recipe
    assert loaded.model_copy(update={"encoder": original.encoder}) == original


def test_the_command_exports_with_its_options_and_prints_one_object(
    small_bert: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ["--pooling", "cls", "--query-prompt", "query : ", "--max-tokens", "20"]
    done = CliRunner().invoke(command, [str(small_bert), str(out), *options])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout.strip().splitlines()[-1])
    assert summary["encoder"] == f"onnx:{out}"
    assert summary["cosine"] >= 0.999
    assert "cosine to the original" in done.stderr
    recipe = open_encoder(summary["encoder"]).recipe
    assert (recipe.pooling, recipe.query_prompt, recipe.max_tokens) == ("cls", "query : ", 20)


def test_vectors_that_do_not_agree_leave_nothing_behind(
    small_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "COSINE_MIN_FULL", 1.1)
    before = set(tmp_path.iterdir())
    with pytest.raises(InvalidVector, match=r"1\.1 is due; nothing was kept"):
        export.export(
            f"transformers:{small_bert}", tmp_path / "out", int8=False, report=lambda _step: None
        )
    assert set(tmp_path.iterdir()) == before


def test_a_folder_in_use_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(InvalidConfig, match="not empty"):
        export.export("transformers:any/model", tmp_path, int8=False, report=print)
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_what_is_no_transformers_model_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="no transformers model"):
        export.export("hashed:64", tmp_path / "out", int8=False, report=lambda _step: None)
