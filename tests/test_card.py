"""The model card."""

from __future__ import annotations

import pytest

from distillemb_plugins.card import encoder_card, model_index, to_yaml
from distillemb_plugins.facts import HELD_OUT, Corpus, EncoderFacts

CONFIG = {"dim": 24, "encoder_type": "cnn"}


def sections(card: str) -> list[str]:
    return [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]


def test_a_card_tells_what_is_known_and_says_what_is_not() -> None:
    bare = encoder_card(EncoderFacts(), name="mine", config=CONFIG, parameters=1234)
    assert bare.startswith("---\nlibrary_name: distillemb-plugins\n")
    assert "# mine" in bare and "1,234 parameters" in bare and 'from_pretrained("mine")' in bare
    assert sections(bare) == ["Use", "Limits", "Corpora", "Scores", "Command"]
    assert "Languages: not stated. License: not stated." in bare
    assert "Not stated. `distillemb distill --source" in bare and "no words were held out" in bare
    facts = EncoderFacts(
        title="Ours",
        languages=("am", "sw"),
        license="cc-by-sa-4.0",
        corpora=(Corpus("SAY", "CC BY-SA 4.0", "geezorg"), Corpus("news")),
        teachers=("w2v", "ft"),
        settings={"epochs": 3, "max_chars": 13},
        command="distillemb distill teacher.npz",
        scores={HELD_OUT: {"cosine": 0.71234}, "Similarity": {"RG65": 0.51}},
        notes="For tests.",
        limits="Not for **poems**.",
        versions={"python": "3.11.7"},
    )
    full = encoder_card(facts, name="mine", config=CONFIG, parameters=1)
    front = full.split("---")[1]
    assert "language:\n- am\n- sw\n" in front and "license: cc-by-sa-4.0\n" in front
    for text in ("# Ours", "`w2v` and `ft`", "| SAY | CC BY-SA 4.0 | geezorg |", "| news | not stated |  |"):
        assert text in full
    for text in (
        "On held-out words:\n\n| score | value |\n|---|---|\n| cosine | 0.7123 |\n",
        "| RG65 | 0.51 |",
        '"epochs": 3',
        "For tests.",
        "distillemb distill teacher.npz",
        '"python": "3.11.7"',
    ):
        assert text in full
    assert sections(full) == ["Use", "Limits", "Corpora", "Scores", "Command", "Settings", "Versions"]
    assert "Languages: `am`, `sw`. License: cc-by-sa-4.0." in full
    limits = full.split("## Limits\n\n")[1].split("\n## ")[0]
    assert limits.startswith("Not for **poems**.\n\n- A word never seen") and "the first 13 characters" in limits
    assert "\n\n\n" not in full and full.endswith("```\n")


def test_a_text_with_odd_signs_stays_in_its_cell() -> None:
    facts = EncoderFacts(
        corpora=(Corpus("news | blogs\nand more", "CC0"),), notes="{{ 7 * 7 }} <b>", command="a\n\n\nb"
    )
    card = encoder_card(facts, name="mine", config=CONFIG, parameters=1)
    assert "| news / blogs and more | CC0 |  |" in card
    assert "{{ 7 * 7 }} <b>" in card  # facts are text, no template
    assert "```\na\n\n\nb\n```" in card


def test_the_front_matter_is_metadata_that_the_hub_reads() -> None:
    hub = pytest.importorskip("huggingface_hub")
    odd = {"language": ["no", "sw", "y"], "license": "other: see below # mine", "library_name": "", "tags": ["a"]}
    facts = EncoderFacts(languages=("no", "sw"), license="cc-by-sa-4.0")
    data = hub.ModelCard(encoder_card(facts, name="n", config=CONFIG, parameters=1)).data
    assert data.language == ["no", "sw"] and data.license == "cc-by-sa-4.0"
    assert data.library_name == "distillemb-plugins" and data.pipeline_tag == "feature-extraction"
    data = hub.ModelCard(f"---\n{to_yaml(odd)}\n---\n").data
    assert (data.language, data.license, data.library_name) == (["no", "sw", "y"], odd["license"], None)


def test_scores_stand_in_the_front_matter_where_the_hub_finds_them() -> None:
    hub = pytest.importorskip("huggingface_hub")
    facts = EncoderFacts(
        scores={HELD_OUT: {"cosine": 0.712345, "p_at_10": 0}, "POS: accuracy, %": {"swa": 88.1, "no": 90}}
    )
    data = hub.ModelCard(encoder_card(facts, name="mine", config=CONFIG, parameters=1)).data
    assert data.model_name == "mine" and {one.task_type for one in data.eval_results} == {"feature-extraction"}
    assert [
        (one.dataset_name, one.dataset_type, one.metric_type, one.metric_name, one.metric_value)
        for one in data.eval_results
    ] == [
        (HELD_OUT, "on-held-out-words", "cosine", "cosine", 0.7123),
        (HELD_OUT, "on-held-out-words", "p_at_10", "p_at_10", 0),
        ("POS: accuracy, %", "pos-accuracy", "accuracy", "Accuracy (swa)", 88.1),
        ("POS: accuracy, %", "pos-accuracy", "accuracy", "Accuracy (no)", 90),
    ]
    assert "model-index" not in encoder_card(EncoderFacts(), name="mine", config=CONFIG, parameters=1)
    assert model_index("mine", "x", {HELD_OUT: {}}) == []


def test_yaml_is_read_as_it_was_meant() -> None:
    yaml = pytest.importorskip("yaml")
    values = {"a": ["no", "b: c", 1.5], "d": {"e": 0, "f": ["x", {"g": "y", "h": ["-"]}]}, "i": [{"j": {"k": True}}]}
    assert yaml.safe_load(to_yaml(values)) == values
    assert to_yaml({"empty": {"more": []}, "list": [], "text": "", "none": None}) == ""
