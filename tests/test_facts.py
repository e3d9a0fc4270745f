"""What is known about an encoder, as data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.facts import FACTS_FILE, HELD_OUT, Corpus, EncoderFacts, current_versions, read_old_card
from distillemb_plugins.persistence import (
    encoder_from_bytes,
    encoder_to_bytes,
    find_word_list,
    read_encoder,
    write_encoder,
    write_facts,
)

from .test_legacy import FACTS, legacy  # noqa: F401 - a fixture

KNOWN = EncoderFacts(
    title="Tiny",
    languages=("sw", "am"),
    license="cc-by-4.0",
    corpora=(Corpus("Made-up news", "CC0", "nowhere"),),
    teachers=("w2v",),
    settings={"student": "cnn", "epochs": 3, "betas": [0.9, 0.98]},
    command="distillemb distill",
    scores={HELD_OUT: {"cosine": 0.123456789}},
    limits="Knows little.",
    versions={"python": "3.11"},
)


@pytest.fixture
def known(tiny_encoder_dir: Path, tmp_path: Path) -> Path:
    files = read_encoder(tiny_encoder_dir)
    lists = {"held_out.txt": b"moja\n", "vocabulary.txt": b"mbili\n", "log.jsonl": b""}
    return write_encoder(
        tmp_path / "known", files.config, files.tensors, files.characters, facts=KNOWN, extra_files=lists
    )


def test_facts_come_back_as_they_were_written(known: Path) -> None:
    facts = DistillEmb.from_pretrained(known).facts
    assert facts.word_lists == {"held_out": "held_out.txt", "vocabulary": "vocabulary.txt"}
    assert {**facts.to_dict(), "word_lists": {}} == {**KNOWN.to_dict(), "word_lists": {}}
    assert facts.scores[HELD_OUT]["cosine"] == 0.123456789  # to the last digit, which the card rounds
    assert "| cosine | 0.1235 |" in (known / "README.md").read_text("utf-8")


def test_the_card_is_not_read_where_there_are_facts(known: Path) -> None:
    card = known / "README.md"
    card.write_text(card.read_text("utf-8").replace('"epochs": 3', '"epochs": 99'), "utf-8")
    assert DistillEmb.from_pretrained(known).facts.settings["epochs"] == 3


def test_facts_go_with_a_copy_and_a_blob_but_the_lists_do_not(known: Path, tmp_path: Path) -> None:
    encoder = DistillEmb.from_pretrained(known)
    copy = DistillEmb.from_pretrained(encoder.save_pretrained(tmp_path / "copy"))
    blob = encoder_from_bytes(encoder_to_bytes(encoder.files))
    for facts in (copy.facts, blob.facts):
        assert facts == KNOWN
    assert find_word_list(known, "vocabulary") == known / "vocabulary.txt"
    assert find_word_list(copy.files.path or "", "vocabulary") is None


def test_facts_can_be_replaced_and_the_card_follows(known: Path) -> None:
    write_facts(known, EncoderFacts(title="Another", languages=("yo",)))
    assert DistillEmb.from_pretrained(known).facts == EncoderFacts(title="Another", languages=("yo",))
    card = (known / "README.md").read_text("utf-8")
    assert "# Another\n" in card and "Tiny" not in card and "- yo\n" in card
    parameters = DistillEmb.from_pretrained(known).num_parameters
    assert f"({parameters:,} parameters)" in card


def test_entries_of_a_later_version_are_kept(known: Path, tmp_path: Path) -> None:
    file = known / FACTS_FILE
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"carbon": {"kg": 0.1}}), "utf-8")
    copy = DistillEmb.from_pretrained(known).save_pretrained(tmp_path / "copy")
    assert json.loads((copy / FACTS_FILE).read_text("utf-8"))["carbon"] == {"kg": 0.1}


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        "[]",
        "null",
        '{"languages": "sw"}',
        '{"title": 3}',
        '{"corpora": [{"license": "CC0"}]}',
        '{"corpora": [{"name": "a", "color": "red"}]}',
        '{"scores": {"a": 1}}',
        '{"settings": []}',
        '{"word_lists": {"vocabulary": "../../secret"}}',
        '{"word_lists": {"vocabulary": ""}}',
    ],
)
def test_damaged_facts_are_refused_in_one_sentence(damage: str, known: Path) -> None:
    (known / FACTS_FILE).write_text(damage, "utf-8")
    for look in (DistillEmb.from_pretrained, lambda path: find_word_list(path, "vocabulary")):
        with pytest.raises(DistillEmbError, match=FACTS_FILE) as caught:
            look(known)  # type: ignore[operator]
        assert "\n" not in str(caught.value)


def test_a_directory_without_facts_has_none(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_encoder_dir, tmp_path / "copy"))
    assert not DistillEmb.from_pretrained(copy).facts
    assert not (copy / FACTS_FILE).exists()
    assert find_word_list(copy, "held_out") is None
    (copy / "held_out.txt").write_text("moja\n")  # version 0.1.0 wrote lists and no facts
    assert find_word_list(copy, "held_out") == copy / "held_out.txt"


def test_the_card_of_version_0_1_0_is_read_once(legacy: Path, tmp_path: Path) -> None:  # noqa: F811
    path, wanted = legacy / "encoders" / "distilled", FACTS["distilled"]
    facts = DistillEmb.from_pretrained(path).facts
    assert facts.settings == wanted["settings"]
    assert (facts.title, facts.license, facts.command) == (wanted["title"], wanted["license"], wanted["command"])
    assert (list(facts.languages), list(facts.teachers)) == (wanted["languages"], wanted["teachers"])
    assert (facts.notes, facts.limits) == (wanted["notes"], wanted["limits"])
    assert [[c.name, c.license, c.source] for c in facts.corpora] == wanted["corpora"]
    assert facts.scores["Similarity"] == {"pairs": 0.5} and "cosine" in facts.scores[HELD_OUT]
    blob: Any = encoder_from_bytes((legacy / "encoders" / "distilled.bytes").read_bytes())
    assert blob.facts == facts
    copy = DistillEmb.from_pretrained(path).save_pretrained(tmp_path / "copy")  # which writes them as data
    assert EncoderFacts.from_dict(json.loads((copy / FACTS_FILE).read_text("utf-8"))) == facts


def test_a_card_by_hand_or_damaged_gives_no_facts() -> None:
    assert not read_old_card("# by hand\n\n## Corpora\n\n| a | b |\n")
    assert read_old_card("# by hand\n\n## Settings\n\n```json\n{broken\n```").settings == {}
    assert (
        read_old_card("## Settings\n\n```json\n[1]\n```\n## Scores\n\nOn x:\n\n| s | v |\n|--|--|\n| a | b |\n").scores
        == {}
    )


def test_the_bundled_encoder_knows_itself() -> None:
    facts = DistillEmb.from_pretrained("afro11").facts
    assert facts.license == "cc-by-sa-4.0" and len(facts.languages) == 11 and len(facts.corpora) == 24
    assert facts.settings["epochs"] == 16 and facts.scores[HELD_OUT]["cosine"] > 0.6


def test_versions_name_what_is_installed() -> None:
    assert {"python", "numpy", "torch"} <= set(current_versions())
