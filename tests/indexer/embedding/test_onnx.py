"""An ONNX folder says what it needs: its files, its pooling, which of two models runs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from indexer.embedding import onnx, sessions
from indexer.embedding.encoder import open_encoder
from indexer.embedding.export import Exported
from indexer.embedding.onnx import model_inputs, pool
from indexer.errors import EncoderUnavailable, InvalidConfig


@pytest.fixture
def folder(exported: Exported, tmp_path: Path) -> Path:
    """A copy of the exported folder that a test may damage; the models are links."""
    copy = tmp_path / "model"
    copy.mkdir()
    for file in exported.folder.iterdir():
        if file.suffix == ".onnx":
            (copy / file.name).symlink_to(file)
        else:
            shutil.copy(file, copy)
    return copy


def test_pooling_agrees_with_its_definition_whatever_stands_in_the_padding() -> None:
    random = np.random.default_rng(1)
    states = random.normal(size=(3, 5, 4)).astype(np.float32)
    lengths = [5, 2, 1]
    mask = np.array([[1] * n + [0] * (5 - n) for n in lengths])
    states[mask == 0] = 1e6
    for row, n in enumerate(lengths):
        np.testing.assert_allclose(
            pool(states, mask, "mean")[row], states[row, :n].mean(axis=0), rtol=1e-5
        )
        np.testing.assert_array_equal(pool(states, mask, "cls")[row], states[row, 0])
        np.testing.assert_array_equal(pool(states, mask, "last")[row], states[row, n - 1])


def test_inputs_are_padded_on_the_right_and_masked() -> None:
    inputs = model_inputs([[7, 8, 9], [5], []])
    assert inputs["input_ids"].tolist() == [[7, 8, 9], [5, 0, 0], [0, 0, 0]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert inputs["position_ids"].tolist() == [[0, 1, 2]] * 3


def test_on_the_processor_the_int8_model_runs_and_on_cuda_the_full_one(folder: Path) -> None:
    assert onnx.model_file(folder, prefer_int8=True).name == "model_int8.onnx"
    assert onnx.model_file(folder, prefer_int8=False).name == "model.onnx"
    (folder / "model_int8.onnx").unlink()
    assert onnx.model_file(folder, prefer_int8=True).name == "model.onnx"


def test_a_folder_as_it_lies_on_the_hub_is_read_by_its_own_files(folder: Path) -> None:
    (folder / "recipe.json").unlink()
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    (folder / "model_int8.onnx").unlink()
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    encoder = open_encoder(f"onnx:{folder}")
    assert (encoder.recipe.pooling, encoder.dims) == ("cls", 384)
    assert encoder.encode(["shoes"], role="query").shape == (1, 384)


def test_a_folder_is_one_recipe_from_whichever_place_it_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert open_encoder("onnx:model").recipe == open_encoder(f"onnx:{folder}").recipe


def test_an_onnx_model_can_be_cut_too(folder: Path) -> None:
    whole = open_encoder(f"onnx:{folder}").encode(["shoes"], role="query")
    cut = open_encoder(f"onnx:{folder}", dims=64).encode(["shoes"], role="query")
    np.testing.assert_allclose(cut, whole[:, :64] / np.linalg.norm(whole[:, :64]), atol=1e-5)
    with pytest.raises(InvalidConfig, match="384 dims"):
        open_encoder(f"onnx:{folder}", dims=385)


def test_each_missing_part_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="export-encoder"):
        open_encoder(f"onnx:{tmp_path / 'nothing'}")
    (folder / "tokenizer.json").rename(folder / "kept.json")
    with pytest.raises(EncoderUnavailable, match=r"tokenizer\.json is missing"):
        open_encoder(f"onnx:{folder}")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(EncoderUnavailable, match="not a tokenizer"):
        open_encoder(f"onnx:{folder}")
    (folder / "kept.json").rename(folder / "tokenizer.json")
    (folder / "recipe.json").write_text("{}")
    with pytest.raises(EncoderUnavailable, match="not a recipe"):
        open_encoder(f"onnx:{folder}")


def test_a_file_that_is_no_model_is_refused_in_one_line(folder: Path) -> None:
    (folder / "model_int8.onnx").unlink()
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(EncoderUnavailable, match="cannot open") as caught:
        open_encoder(f"onnx:{folder}")
    assert "\n" not in caught.value.message


def test_cuda_runs_only_where_the_driver_has_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "cuda_devices", lambda: 0)
    assert sessions.providers("auto") == ["CPUExecutionProvider"]
    with pytest.raises(EncoderUnavailable, match="nvidia-smi"):
        sessions.providers("cuda")
    monkeypatch.setattr(sessions, "cuda_devices", lambda: 1)
    assert sessions.providers("cpu") == ["CPUExecutionProvider"]
    assert sessions.providers("auto") == ["CUDAExecutionProvider", "CPUExecutionProvider"]
