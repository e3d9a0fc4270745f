"""What a card of a pretrained encoder says of its texts."""

from __future__ import annotations

from pathlib import Path

from distillemb_plugins.data.record import write_record
from distillemb_plugins.facts import Corpus, EncoderFacts
from distillemb_plugins.pretrain.loop import _with_texts


def test_fetched_texts_stand_on_the_card_with_their_source(tmp_path: Path) -> None:
    texts = {language: [tmp_path / "corpora" / language / "OPEN.story.txt.xz"] for language in ("hau", "swa")}
    for file in (*texts["hau"], *texts["swa"]):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"")
    made = {"license": "CC0 1.0", "sources": ["https://example.org"], "lines": 2, "words": 6, "like_task_sentences": 1}
    write_record(tmp_path, {"swa/OPEN.story": made})
    rows = _with_texts(EncoderFacts(corpora=(Corpus("news"),)), texts).corpora
    assert [row.name for row in rows] == ["news", "hau", "story (swa)"] and rows[2].license == "CC0 1.0"


def test_languages_that_a_source_names_have_no_row_of_their_own(tmp_path: Path) -> None:
    texts = {language: [tmp_path / f"{language}.txt"] for language in ("hau", "swa", "wol")}
    stated = Corpus("story", "CC0 1.0", "hau, swa: https://example.org/wol")
    assert [row.name for row in _with_texts(EncoderFacts(corpora=(stated,)), texts).corpora] == ["story", "wol"]


def test_what_is_known_of_the_encoder_stays() -> None:
    own = EncoderFacts(
        title="mine", languages=("sw",), license="cc0-1.0", corpora=(Corpus("news"),), teachers=("counted",),
        settings={"epochs": 2}, command="a\nb", scores={"held out": {"cosine": 0.5}}, word_lists={"held_out": "x.txt"},
    )  # fmt: skip
    more = EncoderFacts(languages=("sw", "ha"), corpora=(Corpus("web"),), settings={"pretraining": {}}, command="b\nc")
    known = own.with_more(more)
    assert known.languages == ("sw", "ha") and [row.name for row in known.corpora] == ["news", "web"]
    assert known.settings == {"epochs": 2, "pretraining": {}} and known.teachers == ("counted",)
    assert (known.command, known.license, known.scores) == ("a\nb\nc", "cc0-1.0", own.scores)
    assert not known.title and not known.word_lists, "they belong to a directory"
    assert own.with_more(EncoderFacts(license="mit")).license == "mit"
