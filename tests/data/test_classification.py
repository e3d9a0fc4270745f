"""Text classification data: read as each set is written, and cleared of what would falsify a score."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from distillemb_plugins import DistillEmbError
from distillemb_plugins.data import classification


def write(file: Path, header: Sequence[str], rows: Sequence[Sequence[str]], quoting: Any = csv.QUOTE_MINIMAL) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as stream:
        delimiter = "," if file.suffix == ".csv" else "\t"
        writer = csv.writer(stream, delimiter=delimiter, quoting=quoting, quotechar="\b" if quoting else '"')
        writer.writerows([header, *rows])


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    """AfriSenti in Swahili, with tweets that hold quotation marks, and tweets in several splits."""
    folder = tmp_path / "tasks" / "cls" / "afrisenti" / "swa"
    own = [['"habari njema', "positive"], ["mbaya sana", "negative"], ["kesho  asubuhi", "neutral"]]
    shared = [["Mbaya  SANA", "positive"], ["siku mpya", "neutral"], ["sijui kitu", "neutral"], ["", "neutral"]]
    write(folder / "train.tsv", ["tweet", "label"], own + shared, csv.QUOTE_NONE)
    write(folder / "dev.tsv", ["tweet", "label"], [["sijui kitu", "neutral"], ["leo", "positive"]], csv.QUOTE_NONE)
    test = [["'@user siku mpya'", "neutral"], ["baya", "negative"]]
    write(folder / "test.tsv", ["tweet", "label"], test, csv.QUOTE_NONE)
    return tmp_path


def test_tweets_are_read_unquoted_and_each_text_is_in_one_split(tweets: Path) -> None:
    dataset, notes = classification.load_classification(tweets, "afrisenti", "swa")
    assert dataset["train"]["text"][:] == ['"habari njema', "mbaya sana", "kesho asubuhi"]
    assert dataset["test"]["text"][:] == ["siku mpya", "baya"]  # without the quotes around it and the masked name
    names = dataset["train"].features["label"].names
    assert names == ["negative", "neutral", "positive"]
    assert [names[label] for label in dataset["train"]["label"]] == ["positive", "negative", "neutral"]
    said = " ".join(notes)
    assert "train: 1 texts are empty" in said and "train: 1 texts repeat" in said
    assert "1 texts are in test too" in said and "1 texts are in dev too" in said


def test_what_was_found_is_said(tweets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = classification.classification_dataset(tweets, "afrisenti", "swa")
    assert len(dataset["dev"]) == 2
    assert "afrisenti swa: train: 1 texts are in test too" in capsys.readouterr().err


def test_an_unknown_label_is_dropped_from_train_and_refused_in_test(tweets: Path) -> None:
    folder, tasks = tweets / "tasks" / "cls" / "afrisenti" / "swa", classification
    rows = [["moja mbili", "positive"], ["tatu nne", "mixed"]]
    write(folder / "train.tsv", ["tweet", "label"], rows, csv.QUOTE_NONE)
    dataset, notes = tasks.load_classification(tweets, "afrisenti", "swa")
    assert len(dataset["train"]) == 1 and "mixed (1)" in " ".join(notes)
    write(folder / "test.tsv", ["tweet", "label"], rows, csv.QUOTE_NONE)
    with pytest.raises(DistillEmbError, match=r"test\.tsv, line 3: test has the label 'mixed'"):
        tasks.load_classification(tweets, "afrisenti", "swa")


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
def test_the_delimiter_is_found_and_verified(tweets: Path, delimiter: str) -> None:
    file = tweets / "tasks" / "cls" / "afrisenti" / "swa" / "dev.tsv"
    rows = ["\ufefftweet,label", "moja,positive", "mbili,negative", ""]
    file.write_text("\r\n".join(rows).replace(",", delimiter), "utf-8")
    dev = classification.load_classification(tweets, "afrisenti", "swa")[0]["dev"]
    assert dev["text"][:] == ["moja", "mbili"]
    file.write_text("\n".join([*rows[:2], "a,b,positive"]).replace(",", delimiter), "utf-8")
    with pytest.raises(DistillEmbError, match=r"dev.tsv, line 3 has too many"):
        classification.load_classification(tweets, "afrisenti", "swa")


def test_labels_that_train_lacks_are_told(tweets: Path) -> None:
    file = tweets / "tasks" / "cls" / "afrisenti" / "swa" / "train.tsv"
    write(file, ["tweet", "label"], [["moja", "neutral"]], csv.QUOTE_NONE)
    notes = classification.load_classification(tweets, "afrisenti", "swa")[1]
    assert "test: no training text has the label negative." in notes


def test_bad_files_are_named(tweets: Path) -> None:
    folder, tasks = tweets / "tasks" / "cls" / "afrisenti" / "swa", classification
    (folder / "dev.tsv").write_text("tweet\tlabel\none\tpositive\tmore\n", "utf-8")
    with pytest.raises(DistillEmbError, match=r"dev.tsv, line 2 has too many"):
        tasks.load_classification(tweets, "afrisenti", "swa")
    (folder / "dev.tsv").write_text("text\tlabel\none\tpositive\n", "utf-8")
    with pytest.raises(DistillEmbError, match=r"dev.tsv, line 1: no column 'tweet'.*'text, label'; rename"):
        tasks.load_classification(tweets, "afrisenti", "swa")
    (folder / "dev.tsv").write_text("tweet\tlabel\none\tpositive\n", "utf-8")  # renamed, as it says
    assert len(tasks.load_classification(tweets, "afrisenti", "swa")[0]["dev"]) == 1
    (folder / "dev.tsv").write_text("one\tpositive\n", "utf-8")
    with pytest.raises(DistillEmbError, match=r"dev.tsv, line 1: no column 'tweet'.*'one, positive'"):
        tasks.load_classification(tweets, "afrisenti", "swa")
    (folder / "dev.tsv").write_text("tweet\tlabel\none\t1.0\n", "utf-8")
    with pytest.raises(DistillEmbError, match=r"dev.tsv, line 2: dev has the label '1.0'"):
        tasks.load_classification(tweets, "afrisenti", "swa")
    write(folder / "dev.tsv", ["tweet", "label"], [], csv.QUOTE_NONE)
    with pytest.raises(DistillEmbError, match="no dev texts in swa"):
        tasks.load_classification(tweets, "afrisenti", "swa")
    with pytest.raises(DistillEmbError, match="no task magic"):
        tasks.load_classification(tweets, "magic", "swa")


ARTICLE = "moja mbili tatu nne tano sita saba nane tisa kumi"


def news(root: Path) -> Path:
    """MasakhaNEWS in Swahili without a training file, and raw annotations, one of which is a test article's."""
    folder = root / "tasks" / "cls" / "masakhanews" / "swa"
    header = ["category", "headline", "text", "url"]
    write(folder / "test.tsv", header, [["health", "Kichwa cha habari", ARTICLE, ""], ["sports", "Mpira", "leo", ""]])
    write(folder / "dev.tsv", header, [["sports", 'Wa "kwanza"', "ameshinda\tleo", ""]])
    raw = [["health", "4/4", f"Nyingine kabisa. {ARTICLE}"], ["health", "4/4", "Afya njema"]]
    raw += [["sports", "2/3", "Mpira wa leo usiku"], ["religion", "3/3", "Ibada"]]
    write(folder.parents[1] / "masakhanews_rawmajority" / "swa.tsv", ["category", "votes", "text"], raw)
    return root


def test_raw_annotations_stand_in_for_a_missing_training_file(tmp_path: Path) -> None:
    dataset, notes = classification.load_classification(news(tmp_path), "masakhanews", "swa", words=2)
    assert dataset["train"]["text"][:] == ["Afya njema", "Mpira wa leo usiku"]
    assert dataset["test"]["text"][0] == "Kichwa cha habari. moja mbili"  # the headline and two words
    assert dataset["dev"]["text"][:] == ['Wa "kwanza" ameshinda leo']
    said = " ".join(notes)
    assert "no train.tsv" in said and "religion (1)" in said


def test_an_article_in_other_words_is_kept_and_a_part_of_a_test_article_is_not(tmp_path: Path) -> None:
    dataset, notes = classification.load_classification(news(tmp_path), "masakhanews", "swa")
    assert all(ARTICLE not in text for text in dataset["train"]["text"])
    assert any("train: 1 texts are in test too" in note for note in notes)


def test_a_set_without_splits_gets_the_same_ones_every_time(tmp_path: Path) -> None:
    tasks = classification
    rows = [[f"ጽሑፍ, {number}", ("positive", "negative", "neutral")[number % 3]] for number in range(60)]
    file = tmp_path / "tasks" / "cls" / "tir" / "tigrigna_sentiment_dataset.csv"
    write(file, ["text", "label"], [*rows, rows[0]])
    first, notes = tasks.load_classification(tmp_path, "tir-sentiment", "tir")
    again, _ = tasks.load_classification(tmp_path, "tir-sentiment", "tir")
    assert {name: len(split) for name, split in first.items()} == {"train": 48, "dev": 6, "test": 6}
    texts = [text for split in first.values() for text in split["text"]]
    assert len(set(texts)) == 60 and texts == [text for split in again.values() for text in split["text"]]
    assert sorted(first["test"]["label"]) == [0, 0, 1, 1, 2, 2]
    assert "1 texts repeat" in notes[0]
    with pytest.raises(DistillEmbError, match="Tigrinya alone"):
        tasks.load_classification(tmp_path, "tir-sentiment", "swa")


def test_the_hub_is_asked_and_being_offline_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    tasks = classification
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    features = datasets.Features(
        {
            "label": datasets.ClassLabel(names=["health", "sports"]),
            "headline": datasets.Value("string"),
            "text": datasets.Value("string"),
        }
    )
    parts = {}
    for name in ("train", "validation", "test"):
        rows = {"label": [1, 0], "headline": [f"{name} Mpira", f"{name} Afya"], "text": ["leo", "kesho"]}
        parts[name] = datasets.Dataset.from_dict(rows, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: parts)
    dataset, notes = tasks.load_classification(tmp_path, "masakhanews", "swa")
    assert dataset["dev"][0] == {"text": "validation Mpira. leo", "label": 1} and not notes

    def offline(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DistillEmbError, match="give --data DIR with tasks/cls/masakhanews/swa/train.tsv"):
        tasks.load_classification(tmp_path, "masakhanews", "swa")
    with pytest.raises(DistillEmbError, match="nollysenti in swa is not under --data"):
        tasks.load_classification(tmp_path, "nollysenti", "swa")
