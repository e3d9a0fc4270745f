"""Training of the Hugging Face heads, for tagging and for classification, with transformers' `Trainer`.

What it adds to `Trainer`: the encoder and the head have learning rates of their own, the weights are averaged, and the
best epoch on the dev set is kept.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments, get_scheduler, set_seed
from transformers.utils import logging

from ..characters import PAD_ID, UNKNOWN_ID, CharTable
from ..errors import DistillEmbError
from ..text import tokenize

if TYPE_CHECKING:
    from datasets import Dataset as Sentences
    from datasets import DatasetDict

IGNORED = -100
AVERAGE = "average.safetensors"


@dataclass(frozen=True)
class TrainSettings:
    """How a head is trained. Learning rates are of AdamW and fall by a cosine to 0 after the warm-up.

    epochs: passes over the training sentences. batch_size: sentences. learning_rate, encoder_learning_rate: of the
    head and of the encoder (0 freezes it). warmup: share of the steps. average: decay of the exponential moving
    average of the weights, 0 for none. character_dropout: probability that a character of a training word is unknown.
    max_words: longer sentences are cut. evaluations: how often dev is scored, evenly over the epochs; 0 each epoch.
    bfloat16: mixed precision, faster where the processor has it.
    resume: write a checkpoint each epoch, and go on from one.
    """

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 2e-3
    encoder_learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.05
    average: float = 0.99
    character_dropout: float = 0.0
    max_words: int = 256
    evaluations: int = 0
    bfloat16: bool = False
    seed: int = 0
    resume: bool = False


@dataclass
class TrainResult:
    """The best model by dev, its dev scores, one entry an evaluation in `history`, and the seconds of training."""

    model: Any
    dev: dict[str, float]
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


class EncodedSentences(Dataset[dict[str, Any]]):
    """Sentences as the models read them, each distinct word's characters looked up once.

    sentences: `datasets.Dataset` with the columns ``tokens`` and ``tags``, or ``text`` and ``label``. Items hold
    ``char_ids`` int64 ``[words, max_chars]``, ``input_ids`` (ones) and ``labels``.
    """

    def __init__(self, sentences: Sentences, characters: CharTable, max_words: int, noise: float = 0.0) -> None:
        tagged = "tokens" in sentences.column_names
        words = sentences["tokens"] if tagged else [tokenize(text) for text in sentences["text"]]
        # an empty text is one padding word: every sentence has a place
        words = [list(sentence[:max_words]) or [""] for sentence in words]
        distinct = sorted({word for sentence in words for word in sentence})
        number = {word: n for n, word in enumerate(distinct)}
        self.rows = np.asarray(characters.encode(distinct), dtype=np.int64)
        self.sentences = [np.array([number[word] for word in sentence]) for sentence in words]
        labels = sentences["tags"] if tagged else sentences["label"]
        self.labels = [row[:max_words] if tagged else row for row in labels]
        self.noise = noise

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, index: int) -> dict[str, Any]:
        char_ids = torch.from_numpy(self.rows[self.sentences[index]])
        if self.noise:
            drop = (torch.rand(char_ids.shape) < self.noise) & (char_ids != PAD_ID)
            char_ids = char_ids.masked_fill(drop, UNKNOWN_ID)
        return {"char_ids": char_ids, "input_ids": [1] * len(char_ids), "labels": self.labels[index]}


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    """A batch: sentences padded to the longest one (char_ids by 0, tags by -100)."""
    width = max(len(item["char_ids"]) for item in items)
    char_ids = torch.zeros(len(items), width, items[0]["char_ids"].shape[1], dtype=torch.long)
    mask = torch.zeros(len(items), width, dtype=torch.long)
    for row, item in enumerate(items):
        char_ids[row, : len(item["char_ids"])] = item["char_ids"]
        mask[row, : len(item["char_ids"])] = 1
    if isinstance(items[0]["labels"], int):
        return {"char_ids": char_ids, "attention_mask": mask, "labels": torch.tensor([i["labels"] for i in items])}
    labels = torch.full((len(items), width), IGNORED)
    for row, item in enumerate(items):
        labels[row, : len(item["labels"])] = torch.tensor(item["labels"])
    return {"char_ids": char_ids, "attention_mask": mask, "labels": labels}


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """An exponential moving average that follows fast at first, so that the start is soon forgotten."""

    def update(averages: Any, parameters: Any, updates: Any) -> None:
        number = int(updates)
        torch._foreach_lerp_(averages, parameters, 1 - min(decay, (1 + number) / (10 + number)))

    return update


class _Averaging(TrainerCallback):
    """Keeps the moving average of the weights, in the checkpoints too."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.average = AveragedModel(model, multi_avg_fn=_moving_average(decay))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        from safetensors.torch import load_file

        saved = Path(args.output_dir) / f"checkpoint-{state.global_step}" / AVERAGE
        if state.global_step and saved.is_file():
            self.average.module.load_state_dict(load_file(saved))
            self.average.n_averaged.fill_(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.average.update_parameters(model)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        from safetensors.torch import save_file

        target = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if target.is_dir():
            save_file({k: v.contiguous() for k, v in self.average.module.state_dict().items()}, target / AVERAGE)

    def swap(self, model: torch.nn.Module) -> None:
        """Exchange the weights of the model with their average."""
        with torch.no_grad():
            for own, mean in zip(model.parameters(), self.average.module.parameters(), strict=True):
                own.data, mean.data = mean.data, own.data


class HeadTrainer(Trainer):
    """`Trainer` that scores and keeps the averaged weights."""

    averaging: _Averaging | None = None
    best_folder: Path
    main_score: str
    best: float = -math.inf

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Scores of the averaged weights, which are written to `best_folder` when they are the best so far."""
        model: Any = self.model
        if self.averaging:
            self.averaging.swap(model)
        try:
            scores: dict[str, float] = super().evaluate(*args, **kwargs)
            if scores[f"eval_{self.main_score}"] > self.best:
                self.best = scores[f"eval_{self.main_score}"]
                model.save_pretrained(self.best_folder)
        finally:
            if self.averaging:
                self.averaging.swap(model)
        return scores


def train_model(
    model: Any,
    characters: CharTable,
    dataset: DatasetDict,
    settings: TrainSettings,
    work: Path,
    progress: bool = False,
) -> TrainResult:
    """Train a head on ``dataset["train"]`` and keep what is best on ``dataset["dev"]``.

    model: a `DistillEmbForTokenClassification` (scored by seqeval's F1 over the corpus, in its default mode, or by
    accuracy where no label is of IOB2) or `DistillEmbForSequenceClassification` (weighted F1). characters: of its
    encoder, ``tokenizer.characters``. work: a folder for checkpoints and the best weights; removed at the end.
    Equal seeds give equal results on one machine and number of threads.

    Raises `DistillEmbError` when a split is missing or empty.
    """
    for split in ("train", "dev"):
        if split not in dataset or not len(dataset[split]):
            raise DistillEmbError(f"The data set has no sentence in {split!r}: give train and dev.")
    if not progress:
        logging.disable_progress_bar()
    set_seed(settings.seed)
    start = time.perf_counter()
    trainer = _trainer(model, characters, dataset, settings, work, progress)
    checkpoints = sorted(work.glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=str(checkpoints[-1]) if settings.resume and checkpoints else None)
    best = type(model).from_pretrained(trainer.best_folder)
    history = [_plain(entry) for entry in trainer.state.log_history if "eval_loss" in entry]
    top = max(history, key=lambda entry: entry[trainer.main_score])
    shutil.rmtree(work, ignore_errors=True)
    return TrainResult(best.eval(), top, history, time.perf_counter() - start)


def _trainer(
    model: Any, characters: CharTable, dataset: DatasetDict, settings: TrainSettings, work: Path, progress: bool
) -> HeadTrainer:
    train = EncodedSentences(dataset["train"], characters, settings.max_words, settings.character_dropout)
    dev = EncodedSentences(dataset["dev"], characters, settings.max_words)
    steps = settings.epochs * math.ceil(len(train) / settings.batch_size)
    every = max(1, steps // settings.evaluations) if settings.evaluations else None
    arguments = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        train_sampling_strategy="group_by_length",
        eval_strategy="steps" if every else "epoch",
        eval_steps=every,
        save_strategy="epoch" if settings.resume else "no",
        save_total_limit=1,
        bf16=settings.bfloat16,
        use_cpu=not torch.cuda.is_available(),
        max_grad_norm=1.0,
        logging_strategy="epoch",
        disable_tqdm=not progress,
        report_to=[],
        seed=settings.seed,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        label_names=["labels"],
    )
    averaging = _Averaging(model, settings.average) if settings.average else None
    names = [model.config.id2label[n] for n in range(model.num_labels)]
    score, main_score = scorer_for(model, names)
    trainer = HeadTrainer(
        model=model,
        args=arguments,
        data_collator=collate,
        train_dataset=train,
        eval_dataset=dev,
        compute_metrics=score,
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1),
        callbacks=[averaging] if averaging else None,
        optimizers=_optimiser(model, settings, steps),
    )
    trainer.averaging, trainer.main_score, trainer.best_folder = averaging, main_score, work / "best"
    if not progress:
        from transformers import PrinterCallback

        trainer.remove_callback(PrinterCallback)
    return trainer


def _optimiser(model: Any, settings: TrainSettings, steps: int) -> tuple[Any, Any]:
    groups = model.parameter_groups(settings.learning_rate, settings.encoder_learning_rate, settings.weight_decay)
    optimiser = torch.optim.AdamW(groups, fused=True)
    return optimiser, get_scheduler("cosine", optimiser, round(settings.warmup * steps), steps)


def scorer_for(model: Any, names: Sequence[str]) -> tuple[Callable[[Any], dict[str, float]], str]:
    """The scores of a head's task, as Trainer's ``compute_metrics``, and the name of the one that decides."""
    if type(model).__name__.endswith("ForSequenceClassification"):
        return score_classes, "f1"
    if names[0] == "O":
        return lambda prediction: score_entities(*tag_lists(prediction, names)), "f1"
    return lambda prediction: score_tags(*tag_lists(prediction, names)), "accuracy"


def tag_lists(prediction: Any, names: Sequence[str]) -> tuple[list[list[str]], list[list[str]]]:
    """Gold and predicted tags of each sentence from Trainer's arrays, without the places that do not count."""
    gold, found = [], []
    for labels, guesses in zip(prediction.label_ids, prediction.predictions, strict=True):
        kept = labels != IGNORED
        gold.append([names[label] for label in labels[kept]])
        found.append([names[guess] for guess in guesses[kept]])
    return gold, found


def score_entities(gold: list[list[str]], found: list[list[str]]) -> dict[str, float]:
    """seqeval's precision, recall and F1 (per cent), counted over the corpus, in its default mode."""
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(gold, found, average="micro", zero_division=0)
    return {"precision": 100 * float(precision), "recall": 100 * float(recall), "f1": 100 * float(f1)}


def score_tags(gold: list[list[str]], found: list[list[str]]) -> dict[str, float]:
    """Share of words with the right tag, per cent."""
    pairs = [pair for g, f in zip(gold, found, strict=True) for pair in zip(g, f, strict=True)]
    return {"accuracy": 100 * sum(a == b for a, b in pairs) / max(1, len(pairs))}


def score_classes(prediction: Any) -> dict[str, float]:
    """Weighted and macro F1 and accuracy of a classifier, per cent."""
    from sklearn.metrics import accuracy_score, f1_score

    gold, found = prediction.label_ids, prediction.predictions
    return {
        "f1": 100 * float(f1_score(gold, found, average="weighted", zero_division=0)),
        "macro_f1": 100 * float(f1_score(gold, found, average="macro", zero_division=0)),
        "accuracy": 100 * float(accuracy_score(gold, found)),
    }


@torch.inference_mode()
def predict(model: Any, characters: CharTable, sentences: Sentences, max_words: int = 4096) -> list[Any]:
    """For each sentence the tags' names of its words, or for a classifier the class's name."""
    encoded = EncodedSentences(sentences, characters, max_words)
    names = [model.config.id2label[n] for n in range(model.num_labels)]
    order = sorted(range(len(encoded)), key=lambda n: len(encoded.sentences[n]))
    result: list[Any] = [None] * len(encoded)
    for begin in range(0, len(order), 64):
        chunk = order[begin : begin + 64]
        batch = collate([encoded[n] for n in chunk])
        best = model(char_ids=batch["char_ids"], attention_mask=batch["attention_mask"]).logits.argmax(-1)
        for n, row in zip(chunk, best.tolist(), strict=True):
            result[n] = names[row] if isinstance(row, int) else [names[tag] for tag in row[: len(encoded.sentences[n])]]
    return result


def _plain(entry: dict[str, Any]) -> dict[str, float]:
    return {name.removeprefix("eval_"): value for name, value in entry.items()}
