"""Tables of taggers that several recipes write."""

from __future__ import annotations

from distillemb_plugins.data import pos
from recipes import tables

from .conftest import pos_row


def test_losses_are_named() -> None:
    rows = [pos_row("finetuned", "swa", 0, 90), pos_row("static", "swa", 0, 91), pos_row("static", "swa", 1, 50)]
    rows += [pos_row("finetuned", "xho", 0, 80), pos_row("static", "xho", 0, 78)]
    table = tables.differences_table(rows, [("finetuned", "static")])
    assert "| finetuned - static | +0.50 | -1.00 | +2.00 | +0.50 | 1 of 2: swa -1.0 |" in table
    drawn = tables.differences_plot(rows, [("finetuned", "static")])
    assert drawn.index(">swa<") < drawn.index(">xho *<"), "the languages that were taught come first"
    assert ">finetuned - static<" in drawn and ">hau<" not in drawn, "only languages that both have"


def test_the_joint_tagger_stands_beside_the_own_taggers_and_not_under_transfer() -> None:
    scores = {"accuracy": 80.0, "unseen_share": 9.0}
    joint = pos_row("frozen", pos.JOINT, 0, 75)
    joint["transfer"] = {
        "MasakhaPOS swa": scores,
        "MasakhaPOS hau": scores | {"accuracy": 70.0},
        "UD Wolof-WTB": scores,
    }
    own = [pos_row("frozen", "swa", 0, 90), pos_row("frozen", "swa", 1, 94)]
    text = tables.joint_table([*own, joint], ["frozen"])
    assert "| swa | 92.0 ± 2.8 | 80.0 |" in text and "| hau |  | 70.0 |" in text
    assert text.splitlines()[-1] == "| **mean** | **92.0** | **75.0** |"
    transfer = tables.transfer_table([*own, joint], ["frozen"])
    assert "UD Wolof-WTB" in transfer and "MasakhaPOS" not in transfer


def test_means_leave_out_seeds_without_all_languages() -> None:
    rows = [pos_row("hash", "swa", 0, 90), pos_row("hash", "xho", 0, 80), pos_row("hash", "swa", 1, 99)]
    scores = {"test": "test.accuracy", "seen": "test.seen", "unseen": "test.unseen"}
    table = tables.systems_table([("hash", rows)], scores, 2, parts=True)
    assert table.splitlines()[2].split(" | ")[1:8] == ["2", "85.00", "85.00", "75.00", "90.00", "80.00", "1"]
