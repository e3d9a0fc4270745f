"""`distillemb build`: its checks, and whole builds on a few hundred words."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.data.overlap import sentence_key
from distillemb_plugins.persistence import resolve
from distillemb_plugins.runs import Steps
from distillemb_plugins.teachers import Teacher
from distillemb_plugins.teachers.amount import expectation, fitted_settings
from distillemb_plugins.workflow import encoders, inputs, packages, settings, taggers
from distillemb_plugins.workflow.build import build
from distillemb_plugins.workflow.inputs import prepare_text, text_files
from distillemb_plugins.workflow.report import _templates, commands, render
from distillemb_plugins.workflow.settings import BuildSettings, parse_encoders
from distillemb_plugins.workflow.steps import Build

from .conftest import LINES, NAMES, TOWNS, conll, tiny_settings

# -- the text --------------------------------------------------------------------------------------------------------


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("x", "utf-8")
    with pytest.raises(DistillEmbError, match="holds no text file"):
        text_files([tmp_path])
    with pytest.raises(DistillEmbError, match="There is no folder"):
        text_files([tmp_path / "absent"])


def test_text_that_is_not_utf8_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"moja\nmbili\n" + b"t\xe9tu\n")
    with pytest.raises(DistillEmbError, match=r"a\.txt, line 3 is not UTF-8"):
        prepare_text(text_files([tmp_path]), tmp_path / "out", min_words=1)


def test_too_little_text_says_how_much_is_needed(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match=r"holds \d+ words, and at least 5,000 are needed .*200,000 words"):
        prepare_text(text_files([texts]), tmp_path / "out", min_words=5000)
    assert not (tmp_path / "out").exists()


def test_lines_are_kept_once_in_nfc_and_without_the_sentences_held_back(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "ọ́kọ̀ ńlá kan wà níbẹ̀")
    (tmp_path / "a.txt").write_text(f"\ufeffmoja mbili\nmoja mbili\n\n{decomposed}\nJuma yuko Voi.\n", "utf-8")
    held = {sentence_key(["Juma", "yuko", "Voi", "."])}
    facts, counts = prepare_text(text_files([tmp_path]), tmp_path / "out", held, min_words=1)
    assert (tmp_path / "out").read_text("utf-8") == f"moja mbili\n{unicodedata.normalize('NFC', decomposed)}\n"
    assert (facts["lines"], facts["duplicates"], facts["tagged"], facts["words"]) == (2, 1, 1, 7)
    assert counts["moja"] == 1 and "Juma" not in counts
    assert [name for name in facts["blemishes"] if "NFC" in name]


def test_what_to_expect_grows_with_the_text() -> None:
    said = [expectation(words) for words in (50_000, 500_000, 5_000_000, 50_000_000)]
    assert len(set(said)) == 4


# -- the tagged sentences --------------------------------------------------------------------------------------------


def test_wrong_columns_are_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(conll(LINES) + "Juma NNP B-PER\n", "utf-8")
    line = conll(LINES).count("\n") + 1
    with pytest.raises(DistillEmbError, match=rf"train\.txt, line {line}: 3 columns where 2 are expected"):
        inputs.prepare_tagged(tmp_path, tmp_path / "out", "ner")


def test_more_columns_are_read_when_they_are_announced(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(conll(LINES).replace(" B", " NNP B").replace(" O", " NN O"), "utf-8")
    facts = inputs.prepare_tagged(tmp_path, tmp_path / "out", "ner", columns=3)
    assert facts["labels"].keys() == {"PER", "LOC"} and inputs.read_splits(tmp_path / "out", "ner")["train"][0].words


def test_missing_splits_are_drawn_by_the_seed(tagged: Path, tmp_path: Path) -> None:
    def drawn(seed: int) -> list[list[str]]:
        facts = inputs.prepare_tagged(tagged, tmp_path / str(seed), "ner", seed)
        assert facts["made"] == ["dev", "test"] and facts["sentences"] == {"train": 48, "dev": 6, "test": 6}
        return [s.words for s in inputs.read_splits(tmp_path / str(seed), "ner")["test"]]

    first = drawn(0)
    assert drawn(0) == first != drawn(1)
    assert [s.words for s in inputs.read_splits(tmp_path / "0", "ner")["test"]] == first


def test_a_missing_dev_alone_is_drawn_from_train(tmp_path: Path) -> None:
    (tmp_path / "x.train.conll").write_text(conll(LINES[:50]), "utf-8")
    (tmp_path / "x.test.conll").write_text(conll(LINES[50:]), "utf-8")
    facts = inputs.prepare_tagged(tmp_path, tmp_path / "out", "ner")
    assert facts["made"] == ["dev"] and facts["sentences"] == {"train": 45, "dev": 5, "test": 10}


def test_sentences_that_are_scored_are_taken_out_of_train(tmp_path: Path) -> None:
    for split, lines in (("train", LINES[:30]), ("valid", LINES[28:40]), ("test", LINES[40:])):
        (tmp_path / f"{split}.txt").write_text(conll(lines), "utf-8")
    facts = inputs.prepare_tagged(tmp_path, tmp_path / "out", "ner")
    assert (facts["duplicates"], facts["made"], facts["sentences"]["train"]) == (2, [], 28)


def test_a_train_set_that_is_all_dev_is_refused(tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.txt").write_text(conll(LINES), "utf-8")
    with pytest.raises(DistillEmbError, match="Every sentence of train"):
        inputs.prepare_tagged(tmp_path, tmp_path / "out", "ner")


def test_too_few_tagged_sentences_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(conll(LINES[:5]), "utf-8")
    with pytest.raises(DistillEmbError, match="5 tagged sentences, and at least 20"):
        inputs.prepare_tagged(tmp_path, tmp_path / "out", "ner")


# -- steps -----------------------------------------------------------------------------------------------------


def test_a_step_is_done_again_only_when_something_changed(tmp_path: Path) -> None:
    made: list[str] = []

    def go(first: int = 1) -> dict[str, Any]:
        steps = Steps(tmp_path / "steps.json", 2, quiet=True)

        def make(name: str) -> Callable[[], dict[str, Any]]:
            def step() -> dict[str, Any]:
                made.append(name)
                (tmp_path / name).write_text("x", "utf-8")
                return {"value": first}

            return step

        steps.step("a", "a", {"first": first}, make("a"), outputs=[tmp_path / "a"])
        facts = steps.step("b", "b", {}, make("b"), after=["a"], outputs=[tmp_path / "b"])
        assert set(steps.seconds()) == {"a", "b"}
        return facts

    assert go() == {"value": 1} and made == ["a", "b"]
    assert go() == {"value": 1} and made == ["a", "b"]
    go(first=2)
    assert made == ["a", "b", "a", "b"], "what follows a changed step is done again"
    (tmp_path / "b").unlink()
    go(first=2)
    assert made[4:] == ["b"], "what is gone is made again"


def test_what_was_made_from_something_else_is_removed_before_a_step_begins(tmp_path: Path) -> None:
    out, half = tmp_path / "out", tmp_path / "out.work"

    def step(setting: int, fail: bool = False) -> None:
        def make() -> dict[str, Any]:
            assert not fail or not half.exists()
            half.mkdir(exist_ok=True)
            if fail:
                raise KeyboardInterrupt
            out.write_text("x", "utf-8")
            return {"resumed": True}

        Steps(tmp_path / "steps.json", 1, quiet=True).step("a", "a", {"n": setting}, make, outputs=[out])

    for setting in (1, 2):  # the second time, the half of the first is in the way
        with pytest.raises(KeyboardInterrupt):
            step(setting, fail=True)
    (half / "checkpoint").write_text("x", "utf-8")
    step(2)
    assert (half / "checkpoint").is_file(), "the same step goes on from what it had"


# -- settings --------------------------------------------------------------------------------------------------------


def test_little_text_is_used_more_thoroughly() -> None:
    little, plenty = fitted_settings(400_000), fitted_settings(50_000_000)
    assert little["min_count"] < plenty["min_count"] and little["epochs"] > plenty["epochs"]
    assert [settings.student_settings(n)["codebook_words"] for n in (50, 5_000, 50_000)] == [0, 5_000, 20_000]
    assert settings.student_settings(5_000)["epochs"] > settings.student_settings(100_000)["epochs"]


def test_with_plenty_of_text_the_teacher_of_taggers_is_counted(
    texts: Path, tagged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is trained, the report tells it, and the commands of the report take its options."""
    monkeypatch.setattr(settings, "LITTLE_WORDS", 10)
    made = Build(tiny_settings(texts, tmp_path, conll=tagged, teacher={"dim": 8, "min_count": 1}))
    made.prepare_tagged(tagged)
    made.facts["text"] = made.prepare_text()
    made.teach()
    assert made.facts["teacher"]["settings"] == {"algorithm": "ppmi-svd", "dim": 8, "min_count": 1}
    facts = made.facts | {"encoders": {"own": {"settings": {}}}, "evaluation": {"students": []}}
    assert "teach my-text.txt --out teacher.npz --algorithm ppmi-svd --dim 8 --min-count 1" in " ".join(
        commands(facts).replace("\\\n", "").split()
    )
    said = _templates().get_template("sections.md").module.vectors(facts, {})  # type: ignore[attr-defined]
    assert "The teacher is counted (PPMI-SVD, 8 dimensions," in said and "fastText" not in said


def test_words_with_something_to_say_are_shown() -> None:
    counts = {"na": 900, "kwa": 800, **{f"neno{chr(97 + n)}": 100 - n for n in range(26)}}
    shown = encoders.words_to_show(counts, ["na", "nenox", "nenox", "Nairobi", "2020"])
    assert shown[0] == "nenox" and len(shown) == 8 == len(set(shown))
    assert not {"na", "kwa", "Nairobi", "2020"} & set(shown), "particles, numbers and words not in the text say nothing"


def test_a_joint_encoder_learns_from_the_text_and_the_bundled_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def fake(teachers: list[Any], out: Path, values: Any, corpus: list[Path], **_: Any) -> Path:
        given[out.name] = (teachers, values.combine, corpus)
        return out

    monkeypatch.setattr(encoders, "distill", fake)
    teacher = Teacher("table", ["nyithindo", "piny"], np.zeros((2, 200), np.float32))
    for kind in ("own", "joint"):
        encoders.distill_encoder(kind, teacher, tmp_path / kind, {})
    assert given["own"][0] == [teacher] and given["joint"] == ([teacher, "afro11"], "average", [])
    wide = Teacher("table", ["nyithindo", "piny"], np.zeros((2, 300), np.float32))
    encoders.distill_encoder("joint", wide, tmp_path / "wide", {})
    assert given["wide"] == ([wide, "afro11"], "svd", []), "of different widths, one beside the other"
    assert encoders.distill_encoder("afro11", teacher, tmp_path, {}) == resolve("afro11")
    for name, hard in (("unread", {}), ("read", {"hard_negatives": "window"})):
        encoders.distill_encoder("own", teacher, tmp_path / name, hard, text=tmp_path / "text.txt")
    assert given["unread"][2] == [] and given["read"][2] == [tmp_path / "text.txt"], "the settings decide"


def test_the_baseline_differs_in_the_embedding_alone(tmp_path: Path) -> None:
    configs = [
        taggers.tagger_config("ner", "luo", tmp_path, encoder, seed=0, steps=10) for encoder in (None, Path("x"))
    ]
    embeds = [config["components"]["tok2vec"]["model"].pop("embed") for config in configs]
    for config in configs:
        config["paths"].pop("encoder", None)
    assert configs[0] == configs[1]
    assert [embed["@architectures"] for embed in embeds] == ["spacy.MultiHashEmbed.v2", "distillemb.Embed.v1"]
    assert embeds[0]["rows"] == embeds[1]["rows"] and embeds[0]["attrs"] == embeds[1]["attrs"]


@pytest.mark.parametrize(("language", "code"), [("luo", "xx"), ("yor", "yo"), ("yo", "yo"), ("amh", "am")])
def test_spacy_languages_are_found_by_either_code(language: str, code: str) -> None:
    assert taggers.spacy_code(language) == code


def test_too_little_text_is_refused_before_anything_is_loaded(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any) -> None:
        raise AssertionError("loaded before the text was looked at")

    monkeypatch.setitem(vars(sys.modules["distillemb_plugins.workflow.build"]), "require_extras", load)
    with pytest.raises(DistillEmbError, match="words, and at least 20,000 are needed"):
        build(BuildSettings(texts=(texts,), out=tmp_path / "out", language="luo"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(AssertionError, match="loaded before"):  # enough: it goes on
        build(BuildSettings(texts=(texts,), out=tmp_path / "out", language="luo", min_words=10))


def test_options_that_cannot_be_are_refused(texts: Path, tmp_path: Path) -> None:
    def options(**changed: Any) -> BuildSettings:
        return BuildSettings(**{"texts": (texts,), "out": tmp_path, "language": "luo", **changed})

    with pytest.raises(DistillEmbError, match="no encoder magic"):
        build(options(encoders=("magic",)))
    with pytest.raises(DistillEmbError, match="no task chunking"):
        build(options(task="chunking"))
    with pytest.raises(DistillEmbError, match="--language is empty"):
        build(options(language=" "))
    (tmp_path / "thesis.tex").write_text("x", "utf-8")
    with pytest.raises(DistillEmbError, match="holds something else"):
        build(options())
    assert parse_encoders(["auto"]) == settings.ENCODERS and parse_encoders(["own", "own"]) == ("own",)


# -- whole runs ------------------------------------------------------------------------------------------------------


def test_a_run_leaves_all_that_was_promised(whole: tuple[BuildSettings, dict[str, Any]]) -> None:
    options, facts = whole
    assert DistillEmb.from_pretrained(options.out / "encoder").encode("mtoto").shape == (200,)
    assert facts["wheel"]["file"] == "xx_swa_ner-0.1.0-py3-none-any.whl"
    assert (options.out / facts["wheel"]["file"]).stat().st_size == facts["wheel"]["bytes"]
    assert (options.out / "hf" / "model.safetensors").is_file()
    assert json.loads((options.out / "report.json").read_text("utf-8")) == json.loads(json.dumps(facts))
    card = (options.out / "hf" / "README.md").read_text("utf-8")
    assert "Fine-tuned on 48 sentences" in card and "Nobody has said" not in card
    assert re.search(r"model-index:.*name: F1 \(swa\)", card.split("\n---\n")[0], re.DOTALL)
    assert (
        "NER on test, F1 (per cent)"
        in json.loads((options.out / "hf" / "distillemb.json").read_text("utf-8"))["scores"]
    )
    assert "NER on test" in (options.out / "encoder" / "README.md").read_text("utf-8")
    # both were opened in processes of their own
    assert facts["opened"]["wheel"]["name"] == "xx_swa_ner" and "ner" in facts["opened"]["wheel"]["pipes"]
    assert isinstance(facts["opened"]["hf"]["entities"], list)


def test_the_encoder_is_chosen_on_dev(whole: tuple[BuildSettings, dict[str, Any]]) -> None:
    _, facts = whole
    dev = {kind: facts["taggers"][kind]["dev"] for kind in ("own", "joint")}
    assert facts["chosen"] in dev and dev[facts["chosen"]] == max(dev.values())
    assert facts["encoder"]["kind"] == facts["chosen"]
    assert set(facts["test"]) == {"without", facts["chosen"]}, "test is scored for these two alone"


def test_test_sentences_are_not_in_the_text(whole: tuple[BuildSettings, dict[str, Any]]) -> None:
    options, facts = whole
    text = {sentence_key(line) for line in (options.out / "work" / "text.txt").read_text("utf-8").splitlines()}
    scored = inputs.read_splits(options.out / "conll", "ner")
    assert facts["text"]["tagged"] == 12
    assert not text & {sentence_key(s.words) for split in ("dev", "test") for s in scored[split]}


def test_the_report_tells_it_all_and_loads_nothing(whole: tuple[BuildSettings, dict[str, Any]]) -> None:
    options, facts = whole
    html = (options.out / "report.html").read_text("utf-8")
    for heading in ("What the encoder is worth", "Test sentences", "Nearest words", "Opened again", "What next"):
        assert heading in html
    assert f"{facts['test'][facts['chosen']]['score']:.1f}" in html and facts["wheel"]["file"] in html
    assert "There was no dev and no test" in html and "Before you give anything away" in html
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", html)
    assert not re.search(r"<script", html)


def test_a_second_run_does_nothing_again(
    whole: tuple[BuildSettings, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    options, facts = whole
    before = (options.out / "work" / "steps.json").stat().st_mtime_ns
    for place in ("teach", "distill_encoder", "evaluate_encoders"):
        monkeypatch.setattr(encoders, place, None)
    monkeypatch.setattr(taggers, "train_tagger", None)
    monkeypatch.setattr(packages, "build_wheel", None)
    monkeypatch.setattr(packages, "fresh_process", None)
    assert build(options) == facts
    assert (options.out / "work" / "steps.json").stat().st_mtime_ns == before


def test_the_license_reminder_goes_when_it_is_answered(whole: tuple[BuildSettings, dict[str, Any]]) -> None:
    _, facts = whole
    asked = facts["asked"] | {"license": "cc0-1.0", "sources": ["Mine|CC0"]}
    assert "Before you give anything away" not in render(facts | {"asked": asked})


@pytest.fixture
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening in fresh processes is tried once, above; here it would only cost time."""
    found = {"entities": [], "pos": [], "vectors": [1.0], "shape": [1, 200]}
    monkeypatch.setattr(packages, "fresh_process", lambda *_: found)


@pytest.mark.usefixtures("_no_processes")
def test_without_tagged_sentences_the_report_says_how_to_go_on(texts: Path, tmp_path: Path) -> None:
    import spacy

    options = tiny_settings(texts, tmp_path / "out", license="cc0-1.0", sources=("Mine|CC0|here",))
    facts = build(options)
    assert facts["chosen"] == settings.DEFAULT_ENCODER and "test" not in facts
    assert facts["wheel"]["file"] == "xx_swa_vectors-0.1.0-py3-none-any.whl"
    html = (options.out / "report.html").read_text("utf-8")
    assert "--conll FOLDER" in html and "Before you give anything away" not in html
    for folder in ("encoder", "hf"):
        assert "| Mine | CC0 | here |" in (options.out / folder / "README.md").read_text("utf-8")
    assert spacy.load(options.out / "work" / "vectors")("mtoto").vector.any()


@pytest.mark.usefixtures("_no_processes")
def test_parts_of_speech_work_too(texts: Path, tmp_path: Path) -> None:
    tags = {**dict.fromkeys(NAMES + TOWNS, "PROPN"), ".": "PUNCT", "wa": "ADP", "na": "CCONJ"}
    text = "".join("".join(f"{w}\t{tags.get(w, 'NOUN')}\n" for w in line.split()) + "\n" for line in LINES)
    (tmp_path / "train.tsv").write_text(text, "utf-8")
    out = tmp_path / "out"
    facts = build(tiny_settings(texts, out, conll=tmp_path / "train.tsv", task="pos", encoders=("own",)))
    assert 0 < facts["test"]["own"]["score"] <= 100 and 0 <= facts["hf"]["test"] <= 100
    html = (out / "report.html").read_text("utf-8")
    assert "accuracy on test" in html and '<mark class="entity' in html


def test_bad_input_ends_in_one_sentence(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from distillemb_plugins.cli import app

    result = CliRunner().invoke(app, ["build", str(tmp_path), "--language", "luo", "-o", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "distillemb: " in result.stderr and "holds no text file" in result.stderr
