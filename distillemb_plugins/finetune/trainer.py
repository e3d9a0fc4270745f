"""Training of the Hugging Face heads, for tagging and for classification, with transformers' `Trainer`.

What it adds to `Trainer`: the encoder and the head have learning rates of their own, the weights are averaged, and the
weights that are best on the dev set are kept.
"""

from __future__ import annotations

import copy
import math
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from ..averaging import update_average
from ..characters import CharTable
from ..coverage import low_coverage_warning
from ..errors import DistillEmbError
from ..evaluate.tagging import accuracy, class_scores, entity_scores
from ..hf.pretrained_distillemb import ENCODER_RATE, HEAD_RATE
from ..text import tokenize
from .encoding import WordCollator, encode_dataset

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from ..hf import DistillEmbTokenizer

IGNORED = -100


@dataclass
class FineTuneArguments(TrainingArguments):
    """`TrainingArguments` with the settings that encoders need, and defaults for small sets of tagged sentences.

    The learning rates are of AdamW and fall by a cosine to 0 after the warm-up.

    Attributes:
        learning_rate: Of the head.
        encoder_learning_rate: Of the encoder; 0 freezes it.
        context_learning_rate: Of context layers over it; None takes the encoder's.
        context_layer_decay: Factor on that for each context layer over a weight: lower layers learn more slowly.
        average: Decay of the exponential moving average of the weights, 0 for none. The averaged weights are scored
            and kept.
        character_dropout: Probability that a character of a training word is unknown.
        max_words: Longer sentences are cut.
        evaluations: How often dev is scored, evenly over the training; 0 for once an epoch.
    """

    output_dir: str | None = None
    num_train_epochs: float = 20
    per_device_train_batch_size: int = 32
    per_device_eval_batch_size: int = 64
    learning_rate: float = HEAD_RATE
    encoder_learning_rate: float = ENCODER_RATE
    context_learning_rate: float | None = None
    context_layer_decay: float = 1.0
    weight_decay: float = 0.01
    warmup_steps: float = 0.05  # below 1: a share of the steps
    lr_scheduler_type: str = "cosine"
    average: float = 0.99
    character_dropout: float = 0.0
    max_words: int = 256
    evaluations: int = 0
    seed: int = 0
    train_sampling_strategy: str = "group_by_length"
    eval_strategy: Any = "epoch"
    save_strategy: Any = "no"
    save_total_limit: int | None = 1
    logging_strategy: Any = "epoch"
    disable_tqdm: bool | None = True
    report_to: Any = "none"
    remove_unused_columns: bool = False
    dataloader_pin_memory: bool = False

    def __post_init__(self) -> None:
        self.use_cpu = self.use_cpu or not torch.cuda.is_available()
        self.label_names = self.label_names or ["labels"]
        super().__post_init__()


class _Averaging(TrainerCallback):
    """Keeps the moving average of the weights, in the checkpoints too."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.model, self.decay, self.updates = model, decay, 0
        self.average = self._weights()

    def _weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.updates = state.global_step
        if self.updates and self._file(args, state).is_file():
            tensors = load_file(self._file(args, state))
            self.average = {name: tensors[name].to(mean.device) for name, mean in self.average.items()}

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.updates:
            update_average(self.average.values(), self.model.parameters(), self.decay, self.updates)
        else:
            self.average = self._weights()
        self.updates += 1

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._file(args, state).parent.is_dir():
            save_file({name: mean.contiguous() for name, mean in self.average.items()}, self._file(args, state))

    def _file(self, args: Any, state: Any) -> Path:
        return Path(args.output_dir, f"checkpoint-{state.global_step}", "average.safetensors")

    def swap(self) -> None:
        """Exchange the weights of the model with their average."""
        for own, mean in zip(self.model.parameters(), self.average.values(), strict=True):
            own.data, mean.data = mean.data, own.data


class FineTuner(Trainer):
    """`Trainer` for `DistillEmbForTokenClassification` and `DistillEmbForSequenceClassification`.

    A tagger is scored by the F1 of its entities over the corpus, or by accuracy where no tag is "O"; a classifier by
    weighted F1. After `train` the model has the weights that were best on the evaluation set.

    Args:
        model: The model. Its ``id2label`` names the labels.
        args: Settings. ``output_dir`` holds the checkpoints, and under ``best`` the best weights.
        processing_class: The tokenizer of the encoder.
        train_dataset: Columns ``tokens`` and ``tags``, or ``text`` and ``label``.
        eval_dataset: The same.
        kwargs: As for `Trainer`.
    """

    model: Any
    args: Any

    def __init__(
        self,
        model: Any,
        args: FineTuneArguments,
        processing_class: DistillEmbTokenizer,
        train_dataset: Dataset,
        eval_dataset: Dataset,
        **kwargs: Any,
    ) -> None:
        args = copy.copy(args)
        together = args.train_batch_size * args.world_size * args.gradient_accumulation_steps  # sentences of a step
        steps = math.ceil(args.num_train_epochs * math.ceil(len(train_dataset) / together))
        if args.warmup_steps < 1:
            args.warmup_steps = round(args.warmup_steps * steps)
        if args.evaluations:
            args.eval_strategy, args.eval_steps = "steps", max(1, steps // args.evaluations)
            args.__post_init__()
        characters, distilled = processing_class.characters, getattr(model, "encoder_facts", {}).get("settings", {})
        if isinstance(characters, CharTable):  # a table of words has none
            warning = low_coverage_warning(characters, _words_of(train_dataset), "The training set", distilled)
            if warning:
                warnings.warn(warning, stacklevel=2)
        score, self.main_score = scorer_for(model, "tokens" in train_dataset.column_names)
        options: dict[str, Any] = {
            "data_collator": WordCollator(processing_class),
            "compute_metrics": score,
            "preprocess_logits_for_metrics": lambda logits, labels: logits.argmax(-1),
        }
        super().__init__(
            model,
            args,
            processing_class=processing_class,
            train_dataset=encode_dataset(train_dataset, processing_class, args.max_words),
            eval_dataset=encode_dataset(eval_dataset, processing_class, args.max_words),
            **options | kwargs,
        )
        self.averaging = _Averaging(model, args.average) if args.average else None
        if self.averaging:
            self.add_callback(self.averaging)
        if args.disable_tqdm:
            self.remove_callback(PrinterCallback)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a learning rate for the head and one for the encoder."""
        if self.optimizer is None:
            args = self.args
            groups = self.model.parameter_groups(
                args.learning_rate,
                args.encoder_learning_rate,
                args.weight_decay,
                args.context_learning_rate,
                args.context_layer_decay,
            )
            self.optimizer = torch.optim.AdamW(groups, fused=True)
        return self.optimizer

    def get_train_dataloader(self) -> Any:
        """As `Trainer`'s; characters are dropped here alone."""
        plain, tokenizer = self.data_collator, cast("DistillEmbTokenizer", self.processing_class)
        if self.args.character_dropout:
            self.data_collator = WordCollator(tokenizer, self.args.character_dropout)
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = plain

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Score the averaged weights. The best ones so far are kept in the folder ``best``."""
        before = [entry.get(self.main_score, -math.inf) for entry in self.history]
        if self.averaging:
            self.averaging.swap()
        try:
            scores: dict[str, float] = super().evaluate(*args, **kwargs)
            better = scores.get(f"eval_{self.main_score}", -math.inf) > max(before, default=-math.inf)
            if better and self.is_world_process_zero():
                self.model.save_pretrained(self.best_folder)
        finally:
            if self.averaging:
                self.averaging.swap()
        return scores

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as `Trainer` does, and load the best weights in the end."""
        output = super().train(*args, **kwargs)
        self.accelerator.wait_for_everyone()  # the first process wrote the best weights
        if self.best_folder.is_dir():
            best = type(self.model).from_pretrained(self.best_folder)
            self.model.load_state_dict(best.state_dict())
        self.model.eval()
        return output

    @property
    def history(self) -> list[dict[str, float]]:
        """The scores of each evaluation."""
        entries = (entry for entry in self.state.log_history if "eval_loss" in entry)
        return [{name.removeprefix("eval_"): value for name, value in entry.items()} for entry in entries]

    @property
    def best_folder(self) -> Path:
        """Where the best weights are."""
        return Path(self.args.output_dir, "best")


def _words_of(dataset: Dataset) -> Counter[str]:
    if "tokens" in dataset.column_names:
        return Counter(word for words in dataset["tokens"] for word in words)
    return Counter(word for text in dataset["text"] for word in tokenize(text))


@dataclass
class FineTuned:
    """What `fine_tune` made.

    Attributes:
        model: The best model by dev, in evaluation mode.
        dev: Its scores on dev.
        history: The scores of each evaluation.
        seconds: Of training. Of a resumed run, what came after the last start.
    """

    model: Any
    dev: dict[str, float]
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def fine_tune(model: Any, tokenizer: DistillEmbTokenizer, dataset: DatasetDict, args: FineTuneArguments) -> FineTuned:
    """Train a model on the split ``train``, and keep what is best on ``dev``.

    Equal seeds give equal results on one machine and number of threads. With ``save_strategy="epoch"`` an interrupted
    training goes on from its last checkpoint when it is called again.

    Args:
        model: A tagger or classifier, see `FineTuner`.
        tokenizer: Of its encoder.
        dataset: The splits.
        args: Settings. ``output_dir`` is removed at the end.

    Raises:
        DistillEmbError: A split is missing or empty.
    """
    for split in ("train", "dev"):
        if split not in dataset or not len(dataset[split]):
            raise DistillEmbError(f"The data set has no sentence in {split!r}: give train and dev.")
    if args.disable_tqdm:
        logging.disable_progress_bar()
    start = time.perf_counter()
    trainer = FineTuner(model, args, tokenizer, dataset["train"], dataset["dev"])
    work = Path(str(args.output_dir))
    checkpoint = get_last_checkpoint(str(work)) if args.save_strategy != "no" and work.is_dir() else None
    trainer.train(resume_from_checkpoint=checkpoint)
    top = max(trainer.history, key=lambda entry: entry[trainer.main_score])
    trainer.accelerator.wait_for_everyone()  # all have read the best weights
    shutil.rmtree(work, ignore_errors=True)
    return FineTuned(model, top, trainer.history, time.perf_counter() - start)


def scorer_for(model: Any, tagged: bool) -> tuple[Callable[[Any], dict[str, float]], str]:
    """The scores of a task, as Trainer's ``compute_metrics``, and the name of the one that decides."""
    names = [model.config.id2label[number] for number in range(model.num_labels)]

    def tags(prediction: Any) -> list[list[list[str]]]:
        """Gold and predicted tags of each sentence, without the places that do not count."""
        arrays = prediction.label_ids, prediction.predictions
        kept = prediction.label_ids != IGNORED
        return [[[names[n] for n in row[at]] for row, at in zip(array, kept, strict=True)] for array in arrays]

    if not tagged:
        return lambda prediction: class_scores(prediction.label_ids, prediction.predictions), "f1"
    if names[0] == "O":
        return lambda prediction: entity_scores(*tags(prediction)), "f1"
    return lambda prediction: {"accuracy": accuracy(*tags(prediction))}, "accuracy"
