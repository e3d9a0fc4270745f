"""Tagging tasks as data sets, and what is reported about them."""

from pathlib import Path

import pytest

from distillemb_plugins.data.tagged import (
    add_sentences,
    apart_from,
    check_tagged,
    join_datasets,
    labels_of,
    split_sentences,
    tagged_dataset,
)
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate.tagging import seen_scores

pytest.importorskip("datasets")
TRAIN = "\ufeffAda B-PER\nLovelace I-PER\nrides O\n\nin O\nOslo I-LOC\n\nin O\nOslo B-LOC\n"
DEV = "in O\nOslo B-LOC\n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for name, text in (("train", TRAIN), ("dev", DEV)):
        (tmp_path / f"{name}.txt").write_text(text, "utf-8")
    return {name: tmp_path / f"{name}.txt" for name in ("train", "dev")}


def test_all_splits_share_labels(files: dict[str, Path]) -> None:
    dataset = tagged_dataset(files)
    assert labels_of(dataset["dev"]) == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert dataset["train"][0] == {"tokens": ["Ada", "Lovelace", "rides"], "tags": [3, 4, 0]}
    assert dataset["train"][1]["tags"] == [0, 1], "an I- that continues nothing begins an entity"


def test_blemishes_are_reported(files: dict[str, Path]) -> None:
    problems = check_tagged(tagged_dataset(files), files)
    assert "train: 1 sentences repeat another one of the same split." in problems
    assert "1 sentences are in train and in dev." in problems
    assert any("byte-order mark" in problem for problem in problems)
    assert any("dev: no word has the tag" in problem and "B-PER" in problem for problem in problems)


def test_a_clean_task_has_no_problems(tmp_path: Path) -> None:
    for name, word in (("train", "Oslo"), ("dev", "Lima")):
        (tmp_path / name).write_text(f"in O\n{word} B-LOC\n", "utf-8")
    files = {name: tmp_path / name for name in ("train", "dev")}
    assert check_tagged(tagged_dataset(files), files) == []


def test_an_empty_split_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("\n\n", "utf-8")
    with pytest.raises(DistillEmbError, match=r"train\.txt holds no sentence"):
        tagged_dataset({"train": tmp_path / "train.txt"})


def test_languages_are_joined_with_their_names(files: dict[str, Path]) -> None:
    dataset = tagged_dataset(files)
    joined = join_datasets({"xx": dataset, "yy": dataset})
    assert joined["train"]["language"] == ["xx"] * 3 + ["yy"] * 3
    assert len(joined["dev"]) == 2


def test_different_tags_are_not_joined(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("Ada B-HERO\n", "utf-8")
    other = tagged_dataset({"train": tmp_path / "other.txt"})
    with pytest.raises(DistillEmbError, match="cannot be joined"):
        join_datasets({"xx": tagged_dataset(files), "yy": other})


def test_added_sentences_hold_nothing_of_dev_or_test(tmp_path: Path) -> None:
    long = "the river rose over the old bridge of Oslo last night"
    for name, text in (("train", "Ada rides"), ("dev", "In Oslo , it rains"), ("test", long)):
        (tmp_path / name).write_text("".join(f"{word} O\n" for word in text.split()), "utf-8")
    more = ["in oslo it rains .", f"Yesterday {long} again", "the river rose over the old bridge , wrote Ada of Bergen"]
    (tmp_path / "more").write_text("\n".join("".join(f"{w} O\n" for w in text.split()) for text in more), "utf-8")
    dataset = tagged_dataset({name: tmp_path / name for name in ("train", "dev", "test")})
    added = add_sentences(dataset, tagged_dataset({"train": tmp_path / "more"})["train"])
    assert [" ".join(words) for words in added["train"]["tokens"]] == ["Ada rides", more[2]]
    assert added["dev"]["tokens"] == dataset["dev"]["tokens"]


def test_sentences_apart_share_no_six_words(tmp_path: Path) -> None:
    for name, text in (
        ("train", "now the river rose over the old bridge"),
        ("dev", "The river rose , over the old wall"),
    ):
        (tmp_path / name).write_text("".join(f"{word} O\n" for word in text.split()) + "\nshort O\n", "utf-8")
    dataset = tagged_dataset({name: tmp_path / name for name in ("train", "dev")})
    assert apart_from(dataset["dev"], dataset["train"])["tokens"] == [["short"]]


def test_sentences_with_other_tags_are_not_added(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("Ada B-HERO\n", "utf-8")
    with pytest.raises(DistillEmbError, match="The sentences to add have the tags"):
        add_sentences(tagged_dataset(files), tagged_dataset({"train": tmp_path / "other.txt"})["train"])


def test_seen_and_unseen_entities_are_scored_apart() -> None:
    train = [(["Ada", "rides"], ["B-PER", "O"])]
    words = [["Ada", "met", "Ola", "Nordmann"], ["Ada"]]
    gold = [["B-PER", "O", "B-PER", "I-PER"], ["B-PER"]]
    found = [["B-PER", "O", "B-PER", "O"], ["O"]]
    scores = seen_scores(train, words, gold, found)
    assert scores["f1_seen"] == pytest.approx(100 * 2 / 3)  # one of two found, nothing wrong
    assert scores["f1_unseen"] == 0  # borders missed
    assert scores["share_unseen"] == pytest.approx(100 / 3)


def test_several_files_make_one_split(files: dict[str, Path]) -> None:
    both = tagged_dataset({"train": [files["train"], files["dev"]], "dev": files["dev"]})
    assert both["train"]["tokens"][-2:] == [["in", "Oslo"], ["in", "Oslo"]]
    problems = check_tagged(both, {"train": [files["dev"], files["train"]]})
    assert any("byte-order mark" in problem for problem in problems)


def test_a_split_is_drawn_by_its_seed_and_keeps_the_order() -> None:
    numbers = list(range(100))
    parts = split_sentences(numbers, dev=0.1, test=0.2, seed=3)
    assert {name: len(part) for name, part in parts.items()} == {"train": 70, "dev": 10, "test": 20}
    assert sorted(parts["train"] + parts["dev"] + parts["test"]) == numbers
    assert all(part == sorted(part) for part in parts.values())
    assert parts == split_sentences(numbers, dev=0.1, test=0.2, seed=3) != split_sentences(numbers, seed=4)
