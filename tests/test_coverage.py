"""Letters that an encoder does not know are told: by `info`, before training, and in the report of a build."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from distillemb_plugins import DistillEmb
from distillemb_plugins.characters import CharTable
from distillemb_plugins.cli import app
from distillemb_plugins.coverage import coverage, low_coverage_warning, unlearned_characters
from distillemb_plugins.persistence import read_encoder, write_encoder

LATIN = "abcdefghijklmnopqrstuvwxyz"
TWI = ["ɛyɛ", "me", "dɔ", "wo", ".", "ɔ", "2,5", "ọ́"] * 3


def test_words_with_unknown_characters_are_counted() -> None:
    found = coverage(CharTable(LATIN), TWI)
    assert (found.words, found.with_unknown) == (18, 9)  # neither the point nor the number is a word
    assert found.unknown == {"ɛ": 6, "ɔ": 6} and found.bare == {"ọ́": 3}
    assert found.share == 0.5 and found.is_low
    assert found.describe() == (
        "50.0 % of 18 words hold characters that the encoder never learned: ɛ (U+025B) 6, ɔ (U+0254) 6."
    )
    assert "one vector" in found.advice() and "distillemb build" in found.advice()
    assert coverage(CharTable(LATIN), {"dɔ": 5, "wo": 5}).share == 0.5
    assert coverage(CharTable("ab", lowercase=True), ["AB"]).unknown == {}


def test_hashed_characters_are_not_learned_but_told_apart() -> None:
    found = coverage(CharTable(LATIN, hashed=8), TWI)
    assert found.unknown == {"ɛ": 6, "ɔ": 6} and found.told_apart
    assert "told apart" in found.advice() and "one vector" not in found.advice()


def test_letters_that_have_an_id_and_were_never_learned_are_told() -> None:
    words, more = ["ŋoma", "nyumba"], "ɛŋɔ"
    table = CharTable.learn(words, more=more)
    assert "ɛ" in table.characters and unlearned_characters(table, {"more_characters": more}) == {"ɛ", "ɔ"}
    assert unlearned_characters(table, {}) == frozenset()
    found = coverage(table, ["ɛyɛ", "ŋoma"], {"more_characters": more})
    assert found.unknown == {"ɛ": 2} and found.told_apart and coverage(table, ["ɛyɛ"]).unknown == {}
    marked = coverage(table, ["ɔ̃", "ã"], {"more_characters": more})
    assert marked.unknown == {"ɔ̃": 1} and marked.bare == {"ã": 1}, "its bare letter was not learned either"
    assert marked.with_unknown == 1 and marked.told_apart
    afro11 = DistillEmb.from_pretrained("afro11")
    assert "ɛ" in coverage(afro11.characters, TWI, afro11.facts.settings).unknown


def test_nothing_is_said_where_there_is_nothing_to_say() -> None:
    known = coverage(CharTable(LATIN), ["watoto", "wanasoma"])
    assert known.describe() == "All characters of the 2 words are known." and not known.advice()
    assert coverage(CharTable(LATIN), ["."]).describe() == "The text holds no words."
    assert low_coverage_warning(CharTable(LATIN), ["watoto"] * 999 + ["dɔ"], "x") is None
    assert str(low_coverage_warning(CharTable(LATIN), ["watoto"] * 99 + ["dɔ"] * 9, "x")).startswith("x: 8.3 % of 108")


@pytest.fixture
def latin_encoder(tiny_encoder_dir: Path, tmp_path: Path) -> Path:
    """An encoder that knows Latin letters alone."""
    files = read_encoder(tiny_encoder_dir)
    table = files.characters
    kept = [c if c in LATIN else chr(0xE000 + n) for n, c in enumerate(table.characters)]
    missing = iter([c for c in LATIN if c not in kept])
    kept = [next(missing, c) if c not in LATIN else c for c in kept]
    characters = CharTable(kept, table.max_chars, table.align)
    return write_encoder(tmp_path / "latin", files.config, files.tensors, characters, facts=files.facts)


def test_info_tells_the_characters_of_a_text(latin_encoder: Path, tmp_path: Path) -> None:
    text = tmp_path / "twi.txt"
    text.write_text("ɛyɛ me dɔ wo .\n" * 2, "utf-8")
    done = CliRunner().invoke(app, ["info", str(latin_encoder), "--text", str(text)])
    assert done.exit_code == 0
    assert done.stdout.startswith("50.0 % of 8 words hold characters that the encoder never learned. It reads")
    assert done.stdout.count("U+025B") == 1, "each is listed once"
    assert re.search(r"^ +4  ɛ  U\+025B  unknown$", done.stdout, re.MULTILINE)
    found = json.loads(CliRunner().invoke(app, ["info", str(latin_encoder), "--text", str(text), "--json"]).stdout)
    assert found["coverage"]["unknown"] == {"ɛ": 4, "ɔ": 2} and found["coverage"]["share"] == 0.5
    gone = CliRunner().invoke(app, ["info", str(latin_encoder), "--text", "gone.txt"])
    assert gone.exit_code == 2 and "There is no file gone.txt (--text)" in gone.stderr


def _conll(words: str) -> str:
    return "".join(f"{word} {'B-LOC' if word == 'wo' else 'O'}\n" for word in words.split()) + "\n"


@pytest.mark.parametrize("embedding", ["trainable", "static", "context"])
def test_spacy_warns_when_training_is_initialized(latin_encoder: Path, tmp_path: Path, embedding: str) -> None:
    pytest.importorskip("spacy")
    from spacy.training.initialize import init_nlp

    from distillemb_plugins.spacy_plugin import build_config

    def initialize(words: str) -> list[str]:
        file = tmp_path / "train.txt"
        file.write_text(_conll("wo wo wo wo") * 12 + _conll(words) * 4, "utf-8")  # a model gets the first ten alone
        more = {"components.tok2vec.model.context": "cnn"} if embedding == "context" else {}  # Tok2Vec.v1
        paths = {"paths.train": str(file), "paths.dev": str(file), "paths.encoder": str(latin_encoder)}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            init_nlp(
                build_config("ner", "trainable" if embedding == "tok2vec" else embedding, paths | more).interpolate()
            )
        return [str(one.message) for one in caught if "never learned" in str(one.message)]

    [said] = initialize("ɛyɛ me dɔ wo")
    assert said.startswith("distillemb.") and "12.5 % of 64 words" in said and "ɛ (U+025B) 8" in said
    assert initialize("watoto wo wanasoma") == []


def test_hugging_face_warns_when_training_begins(latin_encoder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    from distillemb_plugins.finetune import FineTuneArguments
    from distillemb_plugins.finetune.trainer import FineTuner
    from distillemb_plugins.hf import DistillEmbForTokenClassification, DistillEmbTokenizer

    names: dict[str, Any] = {"id2label": {0: "O", 1: "B-LOC"}, "label2id": {"O": 0, "B-LOC": 1}}
    model = DistillEmbForTokenClassification.from_pretrained(str(latin_encoder), head="linear", **names)
    tokenizer = DistillEmbTokenizer.from_pretrained(str(latin_encoder))
    data = datasets.Dataset.from_dict({"tokens": [["ɛyɛ", "me", "dɔ", "wo"]] * 4, "tags": [[0, 0, 0, 1]] * 4})
    with pytest.warns(UserWarning, match="The training set: 50.0 % of 16 words hold characters"):
        FineTuner(model, FineTuneArguments(str(tmp_path / "run")), tokenizer, data, data)


def test_a_build_reports_it(latin_encoder: Path) -> None:
    from distillemb_plugins.workflow.report import _templates
    from distillemb_plugins.workflow.steps import _told

    found = coverage(DistillEmb.from_pretrained(latin_encoder).characters, TWI)
    macro = _templates().get_template("sections.md").module.vectors  # type: ignore[attr-defined]
    teacher = {"settings": {"skipgram": True}, "dim": 3, "words": 5, "bytes": 9}
    facts = {"teacher": teacher, "text": {}, "encoders": {}}
    facts["evaluation"] = {"students": [], "coverage": {"own": found.to_dict() | _told(found)}}
    assert "<b>Letters, its own:</b> 50.0 % of 18 words hold characters" in macro(facts, {"own": "its own"})
