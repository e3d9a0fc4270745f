"""The way of transformers' run_ner.py against local files: read, align, train, evaluate, save, tag again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    pipeline,
)

datasets = pytest.importorskip("datasets")
pytest.importorskip("accelerate")

NAMES = ["O", "B-PER", "I-PER", "B-LOC"]
PEOPLE, PLACES = ["rafikini", "omwana", "mnyotako"], ["wailé", "mjini", "ኪmjiko"]
OTHERS = ["kita", "soma", "ndege", ".", "na", "don't"]


def write_conll(path: Path, sentences: int, seed: int) -> Path:
    """Made-up sentences whose entities follow from the word ('omwana' + the next word is a person)."""
    choose = random.Random(seed)
    lines = []
    for _ in range(sentences):
        for _ in range(choose.randint(1, 5)):
            kind = choose.random()
            if kind < 0.3:
                lines += [f"{choose.choice(PEOPLE)} B-PER", f"{choose.choice(OTHERS)} I-PER", ". O"]
            elif kind < 0.5:
                lines.append(f"{choose.choice(PLACES)} B-LOC")
            else:
                lines.append(f"{choose.choice(OTHERS)} O")
        lines.append("")
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("conll")
    files = {"train": write_conll(folder / "train.txt", 120, 0), "test": write_conll(folder / "test.txt", 30, 1)}
    return datasets.load_dataset(
        "conll",
        data_files={name: str(path) for name, path in files.items()},
        column_names=["tokens", "ner_tags"],  # by default the tags are dropped without a word
        delimiter=" ",
        cache_dir=str(folder / "cache"),
    )


def prepare(tokenizer: Any) -> Any:
    def tokenise(rows: dict[str, Any]) -> Any:
        encoded = tokenizer(rows["tokens"], is_split_into_words=True, truncation=True)
        encoded["labels"] = [
            [NAMES.index(tags[word]) for word in encoded.word_ids(number)]
            for number, tags in enumerate(rows["ner_tags"])
        ]
        return encoded

    return tokenise


def accuracy(predictions: Any) -> dict[str, float]:
    kept = predictions.label_ids != -100
    return {"accuracy": float((predictions.predictions.argmax(-1) == predictions.label_ids)[kept].mean())}


def arguments(path: Path, **settings: Any) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(path), report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no", seed=0, **settings
    )


def spans(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(entity["entity_group"], entity["start"], entity["end"]) for entity in found]


def test_a_tagger_from_files_to_entities(tiny_encoder_dir: Path, corpus: Any, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder_dir)
    data = corpus.map(prepare(tokenizer), batched=True, num_proc=2, remove_columns=corpus["train"].column_names)
    torch.manual_seed(0)
    model = AutoModelForTokenClassification.from_pretrained(
        tiny_encoder_dir,
        head="bilstm-crf",
        head_hidden_size=16,
        id2label=dict(enumerate(NAMES)),
        label2id={name: number for number, name in enumerate(NAMES)},
    )
    trainer = Trainer(
        model=model,
        args=arguments(
            tmp_path / "out", num_train_epochs=5, per_device_train_batch_size=8, eval_strategy="epoch", bf16=False
        ),
        train_dataset=data["train"],
        eval_dataset=data["test"],
        data_collator=DataCollatorForTokenClassification(tokenizer),
        processing_class=tokenizer,
        compute_metrics=accuracy,
        optimizers=(torch.optim.AdamW(model.parameter_groups(lr=2e-2, encoder_lr=1e-2)), None),
    )
    trainer.train()
    assert trainer.evaluate()["eval_accuracy"] > 0.95

    trainer.save_model(str(tmp_path / "tagger"))
    trainer.create_model_card(language="sw", tasks="token-classification", model_name="tiny")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "Accuracy" in card and "tiny" in card

    texts = [" ".join(tokens) for tokens in corpus["test"]["tokens"]]
    tag = pipeline("token-classification", model=trainer.model, tokenizer=tokenizer, aggregation_strategy="simple")
    alone = [spans(tag(text)) for text in texts]
    again = pipeline("token-classification", model=str(tmp_path / "tagger"), aggregation_strategy="simple")
    assert sum(map(len, alone)) > 20
    assert [spans(found) for found in tag(texts, batch_size=8)] == alone
    assert [spans(found) for found in again(texts, batch_size=4)] == alone


def test_accumulated_gradients_are_those_of_one_batch(tiny_encoder_dir: Path, corpus: Any, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder_dir)
    data = corpus["train"].select(range(8)).map(prepare(tokenizer), batched=True, remove_columns=["tokens", "ner_tags"])
    weights = []
    for size, steps in ((8, 1), (2, 4)):
        torch.manual_seed(0)
        model = AutoModelForTokenClassification.from_pretrained(
            tiny_encoder_dir, head="linear", num_labels=4, head_dropout=0.0, encoder_dropout=0.0, freeze_encoder=True
        )
        args = arguments(tmp_path, max_steps=1, per_device_train_batch_size=size, gradient_accumulation_steps=steps)
        trainer = Trainer(
            model=model,
            args=args,
            train_dataset=data,
            data_collator=DataCollatorForTokenClassification(tokenizer),
            optimizers=(torch.optim.SGD(model.parameter_groups(lr=1.0)), None),
        )
        trainer.train()
        weights.append(model.classifier.weight.detach().numpy())
    np.testing.assert_allclose(weights[0], weights[1], atol=1e-5)


def test_a_text_classifier_trains(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder_dir)
    choose = random.Random(0)
    rows = [
        (" ".join(choose.choices(group, k=4)), label) for label, group in enumerate((PEOPLE, PLACES)) for _ in range(30)
    ]
    data = datasets.Dataset.from_dict({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    data = data.map(lambda batch: tokenizer(batch["text"]), batched=True)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_encoder_dir, head="linear", num_labels=2)
    trainer = Trainer(
        model=model,
        args=arguments(tmp_path, num_train_epochs=4, learning_rate=2e-2),
        train_dataset=data,
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
        compute_metrics=accuracy,
    )
    trainer.train()
    assert trainer.evaluate(data)["eval_accuracy"] > 0.95
