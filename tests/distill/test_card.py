"""The model card."""

from __future__ import annotations

from distillemb_plugins.card import CardInfo, Corpus, render_card, versions
from distillemb_plugins.evaluate.card_facts import card_facts


def sections(card: str) -> list[str]:
    return [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]


def test_a_card_tells_what_is_known_and_says_what_is_not() -> None:
    config = {"dim": 24, "encoder_type": "cnn"}
    bare = render_card(CardInfo(), name="mine", config=config, parameters=1234)
    assert bare.startswith("---\nlibrary_name: distillemb-plugins\n")
    assert "# mine" in bare and "1,234 parameters" in bare and 'from_pretrained("mine")' in bare
    assert sections(bare) == ["Use", "Limits", "Corpora", "Scores", "Command", "Versions"]
    assert "Languages: not stated. Licence: not stated." in bare
    assert "Not stated. `distillemb distill --source" in bare and "no words were held out" in bare
    facts = card_facts(bare)
    assert not any(facts[name] for name in ("languages", "licence", "corpora", "scores", "settings", "command"))
    info = CardInfo(
        title="Ours",
        languages=("am", "sw"),
        licence="cc-by-sa-4.0",
        corpora=(Corpus("SAY", "CC BY-SA 4.0", "geezorg"), Corpus("news")),
        command="distillemb distill teacher.npz",
        notes="For tests.",
        limits="Not for **poems**.",
        extra_scores={"Similarity": {"RG65": 0.51}},
    )
    full = render_card(
        info,
        name="mine",
        config=config,
        parameters=1,
        teachers=["w2v", "ft"],
        settings={"epochs": 3, "max_chars": 13},
        scores={"cosine": 0.71234},
    )
    front = full.split("---")[1]
    assert "language:\n- am\n- sw\n" in front and "license: cc-by-sa-4.0\n" in front
    for text in ("# Ours", "`w2v` and `ft`", "| SAY | CC BY-SA 4.0 | geezorg |", "| news | not stated |  |"):
        assert text in full
    for text in (
        "| cosine | 0.7123 |",
        "| RG65 | 0.51 |",
        '"epochs": 3',
        "For tests.",
        "distillemb distill teacher.npz",
    ):
        assert text in full

    assert sections(full) == ["Use", "Limits", "Corpora", "Scores", "Command", "Settings", "Versions"]
    assert "Languages: `am`, `sw`. Licence: cc-by-sa-4.0." in full
    limits = full.split("## Limits\n\n")[1].split("\n## ")[0]
    assert limits.startswith("Not for **poems**.\n\n- A word never seen") and "the first 13 characters" in limits
    facts = card_facts(full)
    assert facts["summary"].startswith("Word vectors of 24 dimensions")
    assert (facts["languages"], facts["licence"]) == (["am", "sw"], "cc-by-sa-4.0")
    assert facts["scores"] == {"On held-out words": {"cosine": 0.7123}, "Similarity": {"RG65": 0.51}}


def test_a_text_with_odd_signs_stays_in_its_cell() -> None:
    info = CardInfo(corpora=(Corpus("news | blogs\nand more", "CC0"),))
    card = render_card(info, name="mine", config={"dim": 1, "encoder_type": "cnn"}, parameters=1)
    assert "| news / blogs and more | CC0 |  |" in card


def test_versions_name_what_is_installed() -> None:
    found = versions()
    assert {"python", "numpy", "torch"} <= set(found)
