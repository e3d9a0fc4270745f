"""Training of the heads: it learns, keeps the best, repeats itself and goes on after an interruption."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillemb_plugins.characters import UNKNOWN_ID
from distillemb_plugins.errors import DistillEmbError

pytest.importorskip("datasets")
torch = pytest.importorskip("torch")

from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from transformers import AutoTokenizer, TrainerCallback

from distillemb_plugins.data import labels_of, named_tags, tagged_dataset
from distillemb_plugins.evaluate.tagging import entity_scores
from distillemb_plugins.finetune import FineTuneArguments, FineTuner, encode_dataset, fine_tune, predict
from distillemb_plugins.finetune.encoding import WordCollator
from distillemb_plugins.finetune.trainer import IGNORED
from distillemb_plugins.hf import DistillEmbForSequenceClassification, DistillEmbForTokenClassification

SETTINGS = {"num_train_epochs": 6, "learning_rate": 2e-2, "encoder_learning_rate": 2e-2}
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


def arguments(work: Path, **settings: Any) -> FineTuneArguments:
    return FineTuneArguments(str(work), per_device_train_batch_size=4, **{"average": 0.9} | settings)


@pytest.fixture
def tokenizer(tiny_encoder_dir: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_encoder_dir)


def test_a_tagger_learns_and_scores_like_its_predictions(
    tiny_encoder_dir: Path, tokenizer: Any, task: Any, tmp_path: Path
) -> None:
    result = fine_tune(tagger(tiny_encoder_dir, task), tokenizer, task, arguments(tmp_path / "work", **SETTINGS))
    assert result.dev["f1"] == max(entry["f1"] for entry in result.history) > 90
    again = entity_scores(named_tags(task["dev"]), predict(result.model, tokenizer, task["dev"]))
    assert again["f1"] == pytest.approx(result.dev["f1"]), "the kept weights are the ones that were scored"
    assert not (tmp_path / "work").exists()


def test_equal_seeds_give_equal_taggers(tiny_encoder_dir: Path, tokenizer: Any, task: Any, tmp_path: Path) -> None:
    short = {"num_train_epochs": 2, "character_dropout": 0.1}
    models = [
        fine_tune(tagger(tiny_encoder_dir, task), tokenizer, task, arguments(tmp_path / str(n), **short)).model
        for n in range(2)
    ]
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, two)


class Stop(TrainerCallback):
    """Interrupts a training after some epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.epoch >= self.epochs:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_to_the_same_end(
    tiny_encoder_dir: Path, tokenizer: Any, task: Any, tmp_path: Path
) -> None:
    settings = {"num_train_epochs": 4, "save_strategy": "epoch"}
    whole = fine_tune(tagger(tiny_encoder_dir, task), tokenizer, task, arguments(tmp_path / "whole", **settings))
    cut = arguments(tmp_path / "cut", **settings)
    trainer = FineTuner(tagger(tiny_encoder_dir, task), cut, tokenizer, task["train"], task["dev"])
    trainer.add_callback(Stop(2))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    resumed = fine_tune(tagger(tiny_encoder_dir, task), tokenizer, task, cut)
    assert [h["epoch"] for h in resumed.history] == [h["epoch"] for h in whole.history]
    assert resumed.dev["f1"] == pytest.approx(whole.dev["f1"])
    for one, two in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-6)


def test_what_was_best_before_an_interruption_stays_the_best(
    tiny_encoder_dir: Path, tokenizer: Any, task: Any, tmp_path: Path
) -> None:
    args = arguments(tmp_path / "work", num_train_epochs=2, save_strategy="epoch")
    parts = {"args": args, "processing_class": tokenizer, "train_dataset": task["train"], "eval_dataset": task["dev"]}
    scores = iter([0.9, 0.1])
    cut = FineTuner(tagger(tiny_encoder_dir, task), compute_metrics=lambda _: {"f1": next(scores)}, **parts)
    cut.add_callback(Stop(1))
    with pytest.raises(KeyboardInterrupt):
        cut.train()
    best = (cut.best_folder / "model.safetensors").read_bytes()
    resumed = FineTuner(tagger(tiny_encoder_dir, task), compute_metrics=lambda _: {"f1": next(scores)}, **parts)
    resumed.train(resume_from_checkpoint=True)
    assert [entry["f1"] for entry in resumed.history] == [0.9, 0.1]
    assert (resumed.best_folder / "model.safetensors").read_bytes() == best


def test_a_frozen_encoder_stays_and_learns_above(
    tiny_encoder_dir: Path, tokenizer: Any, task: Any, tmp_path: Path
) -> None:
    model = tagger(tiny_encoder_dir, task)
    before = [p.clone() for p in model.distillemb.parameters()]
    settings = {"num_train_epochs": 1, "encoder_learning_rate": 0.0, "average": 0.0}
    result = fine_tune(model, tokenizer, task, arguments(tmp_path / "work", **settings))
    for old, new in zip(before, result.model.distillemb.parameters(), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize("accumulated", [1, 2])
def test_evaluations_are_spread_over_the_training(
    tiny_encoder_dir: Path, tokenizer: Any, task: Any, tmp_path: Path, accumulated: int
) -> None:
    args = arguments(tmp_path / "work", num_train_epochs=2, evaluations=4, gradient_accumulation_steps=accumulated)
    result = fine_tune(tagger(tiny_encoder_dir, task), tokenizer, task, args)
    assert [entry["epoch"] for entry in result.history] == [0.5, 1.0, 1.5, 2.0]


@pytest.fixture
def texts() -> Any:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    rows = {"text": ["nzuri sana", "mbaya kabisa", "nzuri, leo", ""] * 4, "label": [1, 0, 1, 0] * 4}
    return Dataset.from_dict(rows, features=features)


def test_a_classifier_learns(tiny_encoder_dir: Path, tokenizer: Any, texts: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = DistillEmbForSequenceClassification.from_pretrained(
        tiny_encoder_dir, head="bilstm", head_hidden_size=8, num_labels=2, id2label={0: "bad", 1: "good"},
        label2id={"bad": 0, "good": 1},
    )  # fmt: skip
    args = arguments(tmp_path / "work", **SETTINGS)
    result = fine_tune(model, tokenizer, DatasetDict(train=texts, dev=texts), args)
    assert result.dev["f1"] > 90 and set(result.dev) >= {"macro_f1", "accuracy"}
    assert predict(result.model, tokenizer, texts)[:2] == ["good", "bad"]


def test_batches_are_padded_and_long_sentences_cut(tokenizer: Any, task: Any) -> None:
    encoded = encode_dataset(task["dev"], tokenizer, max_words=3)
    short = {name: value[:1] for name, value in encoded[0].items()}
    batch = WordCollator(tokenizer)([encoded[0], short])
    assert batch["char_ids"].shape == (2, 3, tokenizer.characters.max_chars)
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"][1, 1:].tolist() == [IGNORED, IGNORED]
    np.testing.assert_array_equal(batch["char_ids"][0, 1], tokenizer.characters.encode(["anaenda"])[0])
    assert not batch["char_ids"][1, 1:].any()


def test_characters_are_dropped_in_training_alone(
    tiny_encoder_dir: Path, tokenizer: Any, task: Any, tmp_path: Path
) -> None:
    args = arguments(tmp_path, character_dropout=0.5)
    trainer = FineTuner(tagger(tiny_encoder_dir, task), args, tokenizer, task["train"], task["dev"])
    train, dev = (next(iter(loader)) for loader in (trainer.get_train_dataloader(), trainer.get_eval_dataloader()))
    unknown = [
        float((batch["char_ids"][batch["char_ids"] != 0] == UNKNOWN_ID).float().mean()) for batch in (train, dev)
    ]
    plain = [one["char_ids"].tolist() for one in encode_dataset(task["dev"], tokenizer)]
    assert all(rows in plain for rows in dev["char_ids"].tolist())
    assert unknown[0] > unknown[1] + 0.2
    assert not train["char_ids"][train["attention_mask"] == 0].any(), "padding is no character"


def test_every_word_gets_a_tag(tiny_encoder_dir: Path, tokenizer: Any, task: Any) -> None:
    model = tagger(tiny_encoder_dir, task).eval()
    sentences = Dataset.from_dict({"tokens": [["Kamau", " ", "anaenda"], ["Nairobi"] * 5, []]})
    found = predict(model, tokenizer, sentences, max_words=4)
    assert [len(tags) for tags in found] == [3, 5, 0]
    whole = predict(model, tokenizer, Dataset.from_dict({"tokens": [["Kamau", "anaenda"]]}))
    assert found[0] == [whole[0][0], "O", whole[0][1]] and found[1][4] == "O"


def test_a_missing_split_is_named(tiny_encoder_dir: Path, tokenizer: Any, task: Any, tmp_path: Path) -> None:
    model = tagger(tiny_encoder_dir, task)
    with pytest.raises(DistillEmbError, match="'dev'"):
        fine_tune(model, tokenizer, DatasetDict(train=task["train"]), arguments(tmp_path / "w"))
