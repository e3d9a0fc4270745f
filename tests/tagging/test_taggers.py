"""Saved taggers behind one interface: the tags of their own libraries, and errors that say what a directory is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("spacy")

from distillemb_plugins import DistillEmbError
from distillemb_plugins.tagging import TaggedText, open_tagger
from distillemb_plugins.tagging.records import as_conll, as_plain

from ..hf.conftest import SENTENCES
from .conftest import KINDS

TEXTS = [*SENTENCES, "", "  ", "o\u0323\u0301ko\u0323\u0300 , Juma-Asha: 3.5%", "\u200b\ufeff", " kita\u00a0kita "]


@pytest.mark.parametrize("kind", KINDS)
def test_tags_are_those_of_the_pipeline(kind: str, tagger_dirs: Path) -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    path = tagger_dirs / kind
    model, tokenizer = AutoModelForTokenClassification.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    tag = pipeline("token-classification", model=model.eval(), tokenizer=tokenizer, ignore_labels=[])
    tagger = open_tagger(path)
    assert tagger.layers == (("pos",) if kind == "bilstm" else ("ner",))
    tagged = tagger.tag_texts(TEXTS)
    for text, one in zip(TEXTS, tagged, strict=True):
        wanted = [(word["start"], word["end"], word["entity"]) for word in (tag(text) if text.strip() else [])]
        assert one.text == text
        assert [(*span, name) for span, name in zip(one.spans, one.tags[tagger.layers[0]], strict=True)] == wanted
    assert [tagger.tag_texts([text])[0] for text in TEXTS] == tagged, "alone and in a batch"


def test_words_are_not_cut(tagger_dirs: Path) -> None:
    from datasets import Dataset
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    from distillemb_plugins.finetune import predict

    path, sentences = tagger_dirs / "bilstm-crf", [["don't", "kita.nyota"], ["ሰላም"], []]
    model, tokenizer = AutoModelForTokenClassification.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    tagged = open_tagger(path).tag_words(sentences)
    assert [one.words for one in tagged] == sentences and tagged[0].text == "don't kita.nyota"
    assert [one.tags["ner"] for one in tagged] == predict(
        model.eval(), tokenizer, Dataset.from_dict({"tokens": sentences})
    )


def test_a_long_text_is_read_in_windows(tagger_dirs: Path, tmp_path: Path) -> None:
    text = " ".join(f"kita{n} nyota ." for n in range(40))
    path = Path(shutil.copytree(tagger_dirs / "linear", tmp_path / "short"))
    config = json.loads((path / "config.json").read_text("utf-8"))
    (path / "config.json").write_text(json.dumps(config | {"max_words": 9}), "utf-8")
    short, [whole] = open_tagger(path), open_tagger(tagger_dirs / "linear").tag_texts([text])
    assert short.tag_texts(["", text, "kita"])[1] == whole and len(whole.spans) == 120


def test_a_pipeline_gives_entities_and_parts_of_speech(pipeline_dir: Path) -> None:
    tagger = open_tagger(pipeline_dir)
    [tagged, empty] = tagger.tag_texts(["Rais Samia\u00a0 alifika .", ""])
    assert tagger.layers == ("ner", "pos") and tagged.words == ["Rais", "Samia", "alifika", "."] and not empty.spans
    assert tagged.to_dict() == {
        "text": "Rais Samia\u00a0 alifika .",
        "entities": [{"start": 0, "end": 10, "label": "PER", "text": "Rais Samia"}],
        "words": [
            {"start": start, "end": end, "pos": "NOUN", "text": word}
            for start, end, word in [(0, 4, "Rais"), (5, 10, "Samia"), (12, 19, "alifika"), (20, 21, ".")]
        ],
    }
    assert as_plain(tagged) == "[Rais/NOUN Samia/NOUN PER]\u00a0 alifika/NOUN ./NOUN\n"
    [cut, none] = tagger.tag_words([["Rais", "Samia", "\u00a0", "don't"], []])
    assert cut.words == ["Rais", "Samia", "\u00a0", "don't"] and as_conll(none) == ""
    assert as_conll(cut) == "Rais\tB-PER\tNOUN\nSamia\tI-PER\tNOUN\n\u00a0\tO\tNOUN\ndon't\tO\tNOUN\n\n"


def test_an_installed_pipeline_is_opened_by_its_name(
    pipeline_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "xx_tiny_ner"
    shutil.copytree(pipeline_dir, package / "xx_tiny_ner-0.1.0")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert open_tagger("xx_tiny_ner").tag_texts(["Rais Samia"])[0].entities == [(0, 10, "PER")]


def test_adjacent_entities_and_other_marks() -> None:
    tagged = TaggedText("a b,c", [(0, 1), (2, 3), (3, 4), (4, 5)], {"ner": ["B-X", "B-X", "O", "I-Y"]})
    assert as_plain(tagged) == "[a X] [b X],[c Y]\n" and as_conll(tagged) == "a\tB-X\nb\tB-X\n,\tO\nc\tI-Y\n\n"


def test_what_is_no_tagger_is_named(tiny_encoder_dir: Path, tagger_dirs: Path, tmp_path: Path) -> None:
    import spacy
    from transformers import AutoModelForSequenceClassification

    texts = AutoModelForSequenceClassification.from_pretrained(tiny_encoder_dir, head="linear")
    texts.save_pretrained(tmp_path / "texts")
    spacy.blank("xx").to_disk(tmp_path / "blank")
    for name, config in {"bert": '{"model_type": "bert"}', "damaged": "{", "nothing": None}.items():
        (tmp_path / name).mkdir()
        if config:
            (tmp_path / name / "config.json").write_text(config, "utf-8")
    (tmp_path / "text.txt").touch()
    no_tokenizer = Path(shutil.copytree(tagger_dirs / "linear", tmp_path / "alone"))
    (no_tokenizer / "tokenizer_config.json").unlink()
    wrong: dict[Any, str] = {
        tiny_encoder_dir: "is an encoder, which gives words vectors and no tags: train one with `distillemb build",
        tmp_path / "texts": "is a classifier of texts, not a tagger of words",
        tmp_path / "blank": "is a spaCy pipeline of no components, which tags nothing",
        tmp_path / "bert": "holds a model of type 'bert', which is not ours",
        tmp_path / "damaged": "config.json is damaged",
        tmp_path / "nothing": "has neither config.json nor meta.json",
        tmp_path / "text.txt": "is a file: give a tagger's directory first",
        no_tokenizer: "has no tokenizer",
        "afro11": "is an encoder",
        "nowhere": "There is no tagger nowhere",
    }
    for path, message in wrong.items():
        with pytest.raises(DistillEmbError, match=message):
            open_tagger(path)


def test_nothing_heavy_is_imported_before_it_is_known_what_a_directory_is() -> None:
    code = (
        "import sys; from distillemb_plugins.tagging import open_tagger\n"
        "try: open_tagger('afro11')\n"
        "except ValueError: print({'torch', 'transformers', 'spacy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "set()\n", done.stderr
