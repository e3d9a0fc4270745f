"""The encoder directory: round trips, storage, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.persistence import encoder_from_bytes, encoder_to_bytes, read_encoder, resolve, write_encoder


@pytest.fixture
def copy(tiny_encoder_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_encoder_dir, tmp_path / "copy"))


@pytest.mark.parametrize(("storage", "atol"), [("float32", 0), ("float16", 2e-3), ("int8", 4e-2)])
def test_storage_keeps_the_vectors(
    storage: str, atol: float, tiny_encoder_dir: Path, tiny_words: list[str], tmp_path: Path
) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    encoder.save_pretrained(tmp_path / "saved", storage=storage)  # type: ignore[arg-type]
    again = DistillEmb.from_pretrained(tmp_path / "saved")
    assert again.config["storage"] == storage
    np.testing.assert_allclose(again.encode(tiny_words), encoder.encode(tiny_words), atol=atol)


def test_smaller_storage_is_smaller_on_disk(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    sizes = []
    for storage in ("float32", "float16", "int8"):
        path = DistillEmb.from_pretrained(tiny_encoder_dir).save_pretrained(tmp_path / storage, storage=storage)
        sizes.append((path / "model.safetensors").stat().st_size)
    assert sizes[0] > 1.7 * sizes[1] > 2 * sizes[2]


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_saving_twice_changes_nothing(storage: str, tiny_encoder_dir: Path, tmp_path: Path) -> None:
    DistillEmb.from_pretrained(tiny_encoder_dir).save_pretrained(tmp_path / "a", storage=storage)  # type: ignore[arg-type]
    DistillEmb.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b")
    assert {p.name for p in (tmp_path / "a").iterdir()} == {p.name for p in (tmp_path / "b").iterdir()}
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_bytes_round_trip(tiny_encoder_dir: Path) -> None:
    files = read_encoder(tiny_encoder_dir)
    again = encoder_from_bytes(encoder_to_bytes(files))
    assert again.characters == files.characters
    assert again.card == files.card
    assert {k: v for k, v in again.config.items() if k != "auto_map"}.items() >= {
        "dim": 24,
        "encoder_type": "cnn",
    }.items()
    for name, tensor in files.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], tensor)
    assert encoder_to_bytes(again) == encoder_to_bytes(files)
    with pytest.raises(DistillEmbError, match="damaged"):
        encoder_from_bytes(encoder_to_bytes(files)[:-10])


def test_there_is_no_pickle_in_a_directory(tiny_encoder_dir: Path) -> None:
    for file in tiny_encoder_dir.iterdir():
        assert file.suffix in {".json", ".safetensors", ".md", ".py"}
        assert not file.read_bytes().startswith((b"\x80", b"PK"))


def edit_config(**changes: object) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        file = path / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")

    return edit


def cut_weights(path: Path) -> None:
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def poison_weights(path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(path / "model.safetensors")
    tensors["encoder.hidden.bias"][0] = np.nan
    save_file(tensors, path / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: (p / "config.json").unlink(), "config.json is missing"),
        (lambda p: (p / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda p: (p / "tokenizer_config.json").unlink(), "tokenizer_config.json is missing"),
        (lambda p: (p / "config.json").write_text("{"), "damaged"),
        (lambda p: (p / "config.json").write_text("[]"), "no JSON object"),
        (lambda p: (p / "tokenizer_config.json").write_text("{}"), "no char_table"),
        (cut_weights, "cut short"),
        (poison_weights, "NaN"),
        (edit_config(format_version=99), "upgrade"),
        (edit_config(model_type="bert"), "'bert'"),
        (edit_config(vocab_size=7), "two different encoders"),
        (edit_config(dim="wide"), "dim is missing or no int"),
        (edit_config(encoder_type="transformer"), "choose one of"),
        (edit_config(dim=25), "config.json says 25"),
    ],
)
def test_a_damaged_directory_is_refused_in_one_sentence(
    damage: Callable[[Path], None], message: str, copy: Path
) -> None:
    damage(copy)
    with pytest.raises(DistillEmbError, match=message) as caught:
        DistillEmb.from_pretrained(copy)
    assert "\n" not in str(caught.value)


def test_names_that_stand_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match="no encoder directory nowhere"):
        resolve("nowhere")
    with pytest.raises(DistillEmbError, match="could not be fetched|fetch it"):
        resolve("nobody/nothing")
    (tmp_path / "file").touch()
    with pytest.raises(DistillEmbError, match="is a file"):
        resolve(tmp_path / "file")
    for climbing in ("..", "../bundled", ""):
        with pytest.raises(DistillEmbError):
            read_encoder(climbing)


def test_an_existing_directory_is_kept_unless_overwriting(copy: Path) -> None:
    encoder = DistillEmb.from_pretrained(copy)
    before = {p.name: p.read_bytes() for p in copy.iterdir()}
    with pytest.raises(DistillEmbError, match="already exists"):
        encoder.save_pretrained(copy)
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == before
    encoder.save_pretrained(copy, overwrite=True, storage="float16")
    assert DistillEmb.from_pretrained(copy).config["storage"] == "float16"
    assert [p.name for p in copy.parent.iterdir()] == ["copy"]  # no temporary directory is left


def test_a_failed_write_leaves_nothing(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    files = read_encoder(tiny_encoder_dir)
    with pytest.raises(TypeError):
        write_encoder(tmp_path / "new", {**files.config, "bad": object()}, files.tensors, files.characters)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DistillEmbError, match="storage"):
        write_encoder(tmp_path / "new", files.config, files.tensors, files.characters, storage="int4")  # type: ignore[arg-type]
