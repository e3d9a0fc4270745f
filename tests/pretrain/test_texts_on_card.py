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
