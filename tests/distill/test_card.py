"""The model card."""

from __future__ import annotations

from distillemb_plugins.card import CardInfo, Corpus, render_card, versions


def test_a_card_tells_what_is_known_and_leaves_out_the_rest() -> None:
    config = {"dim": 24, "encoder_type": "cnn"}
    bare = render_card(CardInfo(), name="mine", config=config, parameters=1234)
    assert bare.startswith("---\nlibrary_name: distillemb-plugins\n")
    assert "# mine" in bare and "1,234 parameters" in bare and 'from_pretrained("mine")' in bare
    assert "## Corpora" not in bare and "## Scores" not in bare and "## Command" not in bare
    info = CardInfo(
        title="Ours",
        languages=("am", "sw"),
        licence="cc-by-sa-4.0",
        corpora=(Corpus("SAY", "CC BY-SA 4.0", "geezorg"), Corpus("news")),
        command="distillemb distill teacher.npz",
        notes="For tests.",
        extra_scores={"Similarity": {"RG65": 0.51}},
    )
    full = render_card(
        info,
        name="mine",
        config=config,
        parameters=1,
        teachers=["w2v", "ft"],
        settings={"epochs": 3},
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


def test_versions_name_what_is_installed() -> None:
    found = versions()
    assert {"python", "numpy", "torch"} <= set(found)
