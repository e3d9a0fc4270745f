"""Task files and raw text: in a folder, in an archive, in the cache, on the hub."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from distillemb_plugins import DistillEmbError
from distillemb_plugins.data.sources import corpus_files, task_file, task_files

datasets = pytest.importorskip("datasets")
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: Patch) -> None:
    """Nothing is read from, or left in, the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for language in ("swa", "amh"):
        folder = tmp_path / "data" / "tasks" / "ner" / "masakhaner1" / language
        folder.mkdir(parents=True)
        for split in ("train", "dev", "test"):
            (folder / f"{split}.txt").write_text("Juma B-PER\nyupo O\n\n", "utf-8")
    return tmp_path / "data"


def test_task_files_are_found_unpacked_or_in_their_archive(data: Path, tmp_path: Path) -> None:
    found = task_files(data, "ner/masakhaner1", "swa")
    assert found["test"].read_text("utf-8").startswith("Juma B-PER")
    packed = tmp_path / "packed" / "tasks"
    packed.mkdir(parents=True)
    with tarfile.open(packed / "tasks-ner.tar.xz", "w:xz") as tar:
        tar.add(data / "tasks" / "ner", arcname="ner")
    unpacked = task_files(tmp_path / "packed", "ner/masakhaner1", "amh")
    assert unpacked["dev"].is_file() and str(tmp_path / "cache") in str(unpacked["dev"])
    assert task_file(tmp_path / "packed", "ner", "masakhaner1/amh/dev.txt") == unpacked["dev"]
    shutil.rmtree(tmp_path / "packed")
    assert task_files(tmp_path / "packed", "ner/masakhaner1", "amh") == unpacked  # from the cache


def test_two_processes_unpack_one_archive(data: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    archive = data / "tasks" / "tasks-ner.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(data / "tasks" / "ner", arcname="ner")
    shutil.move(data / "tasks" / "ner", tmp_path / "cache" / "distillemb" / "meanwhile" / "ner")
    open_archive = tarfile.open

    def while_another_unpacks(path: Path) -> tarfile.TarFile:
        (tmp_path / "cache" / "distillemb" / "meanwhile").rename(tmp_path / "cache" / "distillemb" / "tasks-ner")
        return open_archive(path)

    monkeypatch.setattr(tarfile, "open", while_another_unpacks)
    assert task_files(data, "ner/masakhaner1", "swa")["test"].is_file()


def test_an_archive_is_left_alone_where_the_files_lie_beside_it(data: Path, tmp_path: Path) -> None:
    (data / "tasks" / "tasks-ner.tar.xz").write_bytes(b"no archive")
    assert task_file(data, "ner", "masakhaner1/swa/dev.txt") == task_files(data, "ner/masakhaner1", "swa")["dev"]
    assert not (tmp_path / "cache").exists()


def test_missing_data_is_said_in_one_sentence(tmp_path: Path, monkeypatch: Patch) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DistillEmbError, match="give --data DIR with tasks/ner/masakhaner1/swa/train.txt"):
        task_files(tmp_path, "ner/masakhaner1", "swa")
    with pytest.raises(DistillEmbError, match="no raw text"):
        corpus_files(tmp_path, ["swa"])
    assert task_file(tmp_path, "pos", "ud/none.conllu") is None


def test_raw_text_is_chosen_by_its_license(tmp_path: Path) -> None:
    folder = tmp_path / "corpora" / "swa"
    folder.mkdir(parents=True)
    for name in ("OPEN.one.txt", "NC.two.txt.xz", "README.md"):
        (folder / name).touch()
    assert [file.name for file in corpus_files(tmp_path, ["swa"])] == ["NC.two.txt.xz", "OPEN.one.txt"]
    assert [file.name for file in corpus_files(tmp_path, ["swa"], ["OPEN"])] == ["OPEN.one.txt"]


def test_the_hub_gives_the_same_files(tmp_path: Path, monkeypatch: Patch) -> None:
    labels = datasets.Sequence(datasets.ClassLabel(names=["O", "B-PER"]))
    features = datasets.Features({"tokens": datasets.Sequence(datasets.Value("string")), "ner_tags": labels})
    part = datasets.Dataset.from_dict({"tokens": [["Juma", "yupo"]], "ner_tags": [[1, 0]]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: dict.fromkeys(("train", "validation", "test"), part))
    files = task_files(tmp_path, "ner/masakhaner1", "swa")
    assert files["dev"].read_text("utf-8") == "Juma B-PER\nyupo O\n\n"


def test_the_hub_tags_may_be_plain_text(tmp_path: Path, monkeypatch: Patch) -> None:
    part = datasets.Dataset.from_dict({"tokens": [["Juma", "yupo"]], "upos": [["PROPN", "VERB"]]})
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: dict.fromkeys(("train", "validation", "test"), part))
    files = task_files(tmp_path, "pos/masakhapos", "swa")
    assert files["dev"].read_text("utf-8") == "Juma PROPN\nyupo VERB\n\n"
