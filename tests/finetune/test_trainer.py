"""Training of the heads: it learns, keeps the best, repeats itself and goes on after an interruption."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillemb_plugins.errors import DistillEmbError

pytest.importorskip("datasets")
torch = pytest.importorskip("torch")
pytest.importorskip("seqeval")

from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import AutoTokenizer

from distillemb_plugins.data.tagged import labels_of, tagged_dataset
from distillemb_plugins.finetune.trainer import (
    IGNORED,
    EncodedSentences,
    TrainSettings,
    collate,
    predict,
    score_entities,
    train_model,
)
from distillemb_plugins.hf import (
    DistillEmbForSequenceClassification,
    DistillEmbForTokenClassification,
)

SETTINGS = TrainSettings(epochs=6, batch_size=4, learning_rate=2e-2, encoder_learning_rate=2e-2, average=0.9)
NAMES = ["Kamau", "Amina", "Wanjiru", "Otieno"]


def conll(path: Path, names: list[str]) -> Path:
    lines = [f"{name} B-PER\nanaenda O\nNairobi B-LOC\nleo O\n" for name in names for _ in range(4)]
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture
def task(tmp_path: Path) -> Any:
    return tagged_dataset({"train": conll(tmp_path / "t", NAMES), "dev": conll(tmp_path / "d", NAMES[:2])})


def tagger(directory: Path, task: Any) -> Any:
    names = labels_of(task["train"])
    torch.manual_seed(0)
    options: dict[str, Any] = {"head": "bilstm-crf", "head_hidden_size": 8, "head_dropout": 0.0}
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    return DistillEmbForTokenClassification.from_pretrained(directory, num_labels=len(names), **labels, **options)


def test_a_tagger_learns_and_scores_like_its_predictions(tiny_encoder_dir: Path, task: Any, tmp_path: Path) -> None:
    characters = AutoTokenizer.from_pretrained(tiny_encoder_dir).characters
    result = train_model(tagger(tiny_encoder_dir, task), characters, task, SETTINGS, tmp_path / "work")
    assert result.dev["f1"] == max(entry["f1"] for entry in result.history) > 90
    names = labels_of(task["dev"])
    gold = [[names[tag] for tag in tags] for tags in task["dev"]["tags"]]
    again = score_entities(gold, predict(result.model, characters, task["dev"]))
    assert again["f1"] == pytest.approx(result.dev["f1"]), "the kept weights are the ones that were scored"
    assert not (tmp_path / "work").exists()


def test_equal_seeds_give_equal_taggers(tiny_encoder_dir: Path, task: Any, tmp_path: Path) -> None:
    characters = AutoTokenizer.from_pretrained(tiny_encoder_dir).characters
    short = TrainSettings(epochs=2, batch_size=4, character_dropout=0.1, average=0.9)
    models = [
        train_model(tagger(tiny_encoder_dir, task), characters, task, short, tmp_path / str(n)).model for n in range(2)
    ]
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, two)


def test_an_interrupted_run_goes_on_to_the_same_end(tiny_encoder_dir: Path, task: Any, tmp_path: Path) -> None:
    from transformers import TrainerCallback

    from distillemb_plugins.finetune import trainer as training

    characters = AutoTokenizer.from_pretrained(tiny_encoder_dir).characters
    settings = TrainSettings(epochs=4, batch_size=4, average=0.9, resume=True)
    whole = train_model(tagger(tiny_encoder_dir, task), characters, task, settings, tmp_path / "whole")

    class Stop(TrainerCallback):
        def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.epoch >= 2:
                raise KeyboardInterrupt

    trainer = training._trainer(tagger(tiny_encoder_dir, task), characters, task, settings, tmp_path / "cut", False)
    trainer.add_callback(Stop())
    training.set_seed(settings.seed)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    resumed = train_model(tagger(tiny_encoder_dir, task), characters, task, settings, tmp_path / "cut")
    assert [h["epoch"] for h in resumed.history] == [h["epoch"] for h in whole.history]
    assert resumed.dev["f1"] == pytest.approx(whole.dev["f1"])


def test_a_frozen_encoder_stays_and_learns_above(tiny_encoder_dir: Path, task: Any, tmp_path: Path) -> None:
    characters = AutoTokenizer.from_pretrained(tiny_encoder_dir).characters
    model = tagger(tiny_encoder_dir, task)
    before = [p.clone() for p in model.distillemb.parameters()]
    settings = TrainSettings(epochs=1, batch_size=4, encoder_learning_rate=0.0, average=0)
    result = train_model(model, characters, task, settings, tmp_path / "work")
    for old, new in zip(before, result.model.distillemb.parameters(), strict=True):
        assert torch.equal(old, new)


def test_a_classifier_learns(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    rows = {"text": ["nzuri sana", "mbaya kabisa", "nzuri, leo", ""] * 4, "label": [1, 0, 1, 0] * 4}
    data = Dataset.from_dict(rows, features=features)
    torch.manual_seed(0)
    model = DistillEmbForSequenceClassification.from_pretrained(
        tiny_encoder_dir, head="bilstm", head_hidden_size=8, num_labels=2, id2label={0: "bad", 1: "good"},
        label2id={"bad": 0, "good": 1},
    )  # fmt: skip
    characters = AutoTokenizer.from_pretrained(tiny_encoder_dir).characters
    result = train_model(model, characters, DatasetDict(train=data, dev=data), SETTINGS, tmp_path / "work")
    assert result.dev["f1"] > 90
    assert predict(result.model, characters, data)[:2] == ["good", "bad"]


def test_batches_are_padded_and_long_sentences_cut(tiny_encoder_dir: Path, task: Any) -> None:
    characters = AutoTokenizer.from_pretrained(tiny_encoder_dir).characters
    encoded = EncodedSentences(task["dev"], characters, max_words=3)
    short = {"char_ids": encoded[0]["char_ids"][:1], "labels": encoded[0]["labels"][:1]}
    batch = collate([encoded[0], short])
    assert batch["char_ids"].shape == (2, 3, characters.max_chars)
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"][1, 1:].tolist() == [IGNORED, IGNORED]
    np.testing.assert_array_equal(batch["char_ids"][0, 1], characters.encode(["anaenda"])[0])


def test_seqeval_and_spacys_scorer_agree() -> None:
    spacy = pytest.importorskip("spacy")
    from spacy.scorer import get_ner_prf
    from spacy.tokens import Doc, Span
    from spacy.training import Example

    from distillemb_plugins.evaluate.tagging import entities

    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG", "B-ORG", "O"]]
    found = [["B-PER", "O", "O", "B-LOC"], ["B-LOC", "B-ORG", "I-ORG", "O"]]
    nlp = spacy.blank("xx")
    examples = []
    for true, guess in zip(gold, found, strict=True):
        docs = []
        for tags in (guess, true):
            doc = Doc(nlp.vocab, words=["w"] * len(tags))
            doc.ents = [Span(doc, start, end, label=kind) for kind, start, end in entities(tags)]
            docs.append(doc)
        examples.append(Example(*docs))
    scores = get_ner_prf(examples)
    ours = score_entities(gold, found)
    assert 100 * scores["ents_f"] == pytest.approx(ours["f1"])
    assert 100 * scores["ents_p"] == pytest.approx(ours["precision"])


def test_a_missing_split_is_named(tiny_encoder_dir: Path, task: Any, tmp_path: Path) -> None:
    characters = AutoTokenizer.from_pretrained(tiny_encoder_dir).characters
    with pytest.raises(DistillEmbError, match="'dev'"):
        train_model(
            tagger(tiny_encoder_dir, task), characters, DatasetDict(train=task["train"]), SETTINGS, tmp_path / "w"
        )
