"""The model card beside a saved model: the encoder's facts, its labels and head; never over somebody's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    Trainer,
    TrainingArguments,
)

from distillemb_plugins import DistillEmb
from distillemb_plugins.card import model_index, to_yaml
from distillemb_plugins.facts import HELD_OUT, Corpus, EncoderFacts
from distillemb_plugins.hf.card_distillemb import render_card, saved_facts
from distillemb_plugins.persistence import read_encoder, write_encoder

NAMES = ["O", "B-PER", "I-PER"]


@pytest.fixture
def encoder_dir(tiny_encoder_dir: Path, tmp_path: Path) -> Path:
    """The tiny encoder with a card as `distill` writes it."""
    files = read_encoder(tiny_encoder_dir)
    facts = EncoderFacts(
        title="Tiny",
        languages=("sw", "am"),
        license="cc-by-4.0",
        corpora=(Corpus("Made-up news", "CC0", "nowhere"),),
        limits="Knows little.",
        scores={HELD_OUT: {"cosine": 0.5}},
        word_lists={"vocabulary": "vocabulary.txt"},
    )
    return write_encoder(tmp_path / "tiny", files.config, files.tensors, files.characters, facts=facts)


def facts_beside(directory: Path) -> EncoderFacts:
    return EncoderFacts.from_dict(json.loads((directory / "distillemb.json").read_text("utf-8")))


def tagger(encoder_dir: Path, **settings: Any) -> Any:
    return AutoModelForTokenClassification.from_pretrained(
        encoder_dir, head="bilstm", head_hidden_size=4, id2label=dict(enumerate(NAMES)), **settings
    )


def test_a_tagger_says_what_it_is_and_what_its_encoder_was(encoder_dir: Path, tmp_path: Path) -> None:
    model = tagger(encoder_dir)
    (encoder_dir / "README.md").unlink()  # what was read with the weights is kept
    (encoder_dir / "distillemb.json").unlink()
    model.save_pretrained(tmp_path / "my-tagger")
    card = (tmp_path / "my-tagger" / "README.md").read_text("utf-8")
    facts = facts_beside(tmp_path / "my-tagger")
    assert (facts.languages, facts.license) == (("sw", "am"), "cc-by-4.0")
    assert facts.corpora == (Corpus("Made-up news", "CC0", "nowhere"),)
    assert facts.scores == {f"Before this training: {HELD_OUT}": {"cosine": 0.5}}  # not the tagger's
    assert not facts.word_lists  # the lists stay where they are
    assert "Before this training: On held-out words:" in card and "| cosine | 0.5 |" in card
    data = ModelCard(card).data
    # the encoder's languages are not claimed for a tagger of nobody knows which
    assert (data.language, data.license, data.pipeline_tag) == (None, "cc-by-4.0", "token-classification")
    assert "Languages: not stated. Languages of the encoder: sw, am." in card
    stated = ModelCard(render_card(model, "mine", saved_facts(model), languages=["tw"]))
    assert stated.data.language == ["tw"] and "Languages: tw. Languages of the encoder: sw, am." in stated.text
    assert "| Made-up news | CC0 | nowhere |" in card
    assert "# my-tagger\n" in card and "head `bilstm`" in card and "trained with it" in card and "Knows little." in card
    assert "`O`, `B-PER`, `I-PER`" in card
    assert "pipeline_tag: token-classification" in card and 'pipeline("token-classification", model="my-tagger"' in card
    assert [path.name for path in (tmp_path / "my-tagger").glob(".*")] == []


def test_a_taggers_own_scores_are_in_the_front_matter_and_its_encoders_are_not(encoder_dir: Path) -> None:
    model = tagger(encoder_dir)
    known = saved_facts(model)
    assert ModelCard(render_card(model, "mine", known)).data.eval_results is None
    own = {"NER on test, F1": {"swa": 81.234567}} | known["scores"]
    card = render_card(model, "mine", {**known, "scores": own})
    [score] = ModelCard(card).data.eval_results
    assert (score.task_type, score.dataset_name, score.metric_type, score.metric_value) == (
        "token-classification", "NER on test, F1", "f1", 81.23
    )  # fmt: skip
    assert score.metric_name == "F1 (swa)"
    assert "81.23" in card.split("## Scores\n")[1].split("## Scores of the encoder")[0]
    assert "81.23" not in card.split("## Scores of the encoder")[1]


def test_metadata_that_is_given_goes_before_the_encoders(encoder_dir: Path) -> None:
    more = {"license": "cc-by-nc-4.0", "datasets": ["masakhaner"]}
    data = ModelCard(render_card(tagger(encoder_dir), "mine", {"license": "mit"}, metadata=more)).data
    assert data.license == "cc-by-nc-4.0" and data.datasets == ["masakhaner"] and data.library_name == "transformers"


def test_the_two_writers_of_cards_agree(encoder_dir: Path) -> None:
    """One needs no huggingface_hub, the other is carried by saved directories."""
    facts = {"scores": {HELD_OUT: {"cosine": 0.5}, "POS, accuracy": {"swa": 88.12345}}}
    theirs = ModelCard(render_card(AutoModel.from_pretrained(encoder_dir), "mine", facts)).data
    front = {"model-index": model_index("mine", "feature-extraction", facts["scores"])}
    ours = ModelCard(f"---\n{to_yaml(front)}\n---\n").data
    assert theirs.eval_results == ours.eval_results and theirs.model_name == ours.model_name == "mine"


def test_facts_survive_a_second_saving(encoder_dir: Path, tmp_path: Path) -> None:
    tagger(encoder_dir, freeze_encoder=True).save_pretrained(tmp_path / "one")
    AutoModelForTokenClassification.from_pretrained(tmp_path / "one").save_pretrained(tmp_path / "two")
    one, two = ((tmp_path / name / "README.md").read_text("utf-8") for name in ("one", "two"))
    assert two == one.replace("# one\n", "# two\n").replace('model="one"', 'model="two"')
    assert "kept as it was" in two
    files = [tmp_path / name / "distillemb.json" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
    AutoModel.from_pretrained(tmp_path / "one").save_pretrained(tmp_path / "bare")
    bare = (tmp_path / "bare" / "README.md").read_text("utf-8")
    assert "Labels" not in bare and "pipeline_tag: feature-extraction" in bare and "Made-up news" in bare


def test_an_encoder_keeps_its_card(encoder_dir: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(encoder_dir).save_pretrained(tmp_path / "copy")
    assert (tmp_path / "copy" / "README.md").read_text("utf-8") == (encoder_dir / "README.md").read_text("utf-8")
    assert facts_beside(tmp_path / "copy") == replace(read_encoder(encoder_dir).facts, word_lists={})


def test_a_card_that_is_there_stays(encoder_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("# My own words\n", "utf-8")
    model = tagger(encoder_dir)
    model.save_pretrained(tmp_path / "mine")
    assert (tmp_path / "mine" / "README.md").read_text("utf-8") == "# My own words\n"
    model.save_pretrained(tmp_path / "other", is_main_process=False)
    assert not (tmp_path / "other" / "README.md").exists()


def test_trainer_saves_it_too(encoder_dir: Path, tokenizer: Any, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(encoder_dir, head="linear", num_labels=2)
    args = TrainingArguments(output_dir=str(tmp_path / "runs"), report_to=[], use_cpu=True)
    Trainer(model=model, args=args, processing_class=tokenizer).save_model(str(tmp_path / "texts"))
    card = (tmp_path / "texts" / "README.md").read_text("utf-8")
    assert "pipeline_tag: text-classification" in card and "`LABEL_0`, `LABEL_1`" in card
    assert DistillEmb.from_pretrained(tmp_path / "texts").files.card == card


def test_what_nobody_told_is_not_stated(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    tagger(tiny_encoder_dir).save_pretrained(tmp_path / "tagger")
    card = (tmp_path / "tagger" / "README.md").read_text("utf-8")
    assert "License of the encoder: not stated." in card
    assert "license:" not in card and "Limits" not in card
