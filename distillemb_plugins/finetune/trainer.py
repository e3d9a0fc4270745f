"""Training of the Hugging Face heads, for tagging and for classification, with transformers' `Trainer`.

What it adds to `Trainer`: the encoder and the head have learning rates of their own, the weights are averaged, and the
weights that are best on the dev set are kept.
"""

from __future__ import annotations

import copy
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import PrinterCallback, Trainer, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from ..averaging import update_average
from ..errors import DistillEmbError
from ..evaluate.tagging import accuracy, class_scores, entity_scores
from .arguments import FineTuneArguments
from .encoding import WordCollator, encode_dataset

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from ..hf import DistillEmbTokenizer

IGNORED = -100
AVERAGE = "average.safetensors"
BEST = "best"


class _Averaging(TrainerCallback):
    """Keeps the moving average of the weights, in the checkpoints too."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.model, self.decay, self.updates = model, decay, 0
        self.average: list[Tensor] = [parameter.detach().clone() for parameter in model.parameters()]

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        from safetensors.torch import load_file

        self.updates = state.global_step
        saved = Path(args.output_dir) / f"checkpoint-{state.global_step}" / AVERAGE
        if state.global_step and saved.is_file():
            tensors = load_file(saved)
            for (name, _), mean in zip(self.model.named_parameters(), self.average, strict=True):
                mean.data = tensors[name].to(mean.device)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        weights = [parameter.detach() for parameter in self.model.parameters()]
        if not self.updates:
            self.average = [weight.clone() for weight in weights]
        else:
            update_average(self.average, weights, self.decay, self.updates)
        self.updates += 1

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        from safetensors.torch import save_file

        target = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if target.is_dir():
            names = (name for name, _ in self.model.named_parameters())
            save_file({n: m.contiguous() for n, m in zip(names, self.average, strict=True)}, target / AVERAGE)

    def swap(self) -> None:
        """Exchange the weights of the model with their average."""
        for own, mean in zip(self.model.parameters(), self.average, strict=True):
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
        steps = math.ceil(args.num_train_epochs * math.ceil(len(train_dataset) / args.per_device_train_batch_size))
        if args.warmup_steps < 1:
            args.warmup_steps = round(args.warmup_steps * steps)
        if args.evaluations:
            args.eval_strategy, args.eval_steps = "steps", max(1, steps // args.evaluations)
            args.__post_init__()
        score, self.main_score = scorer_for(model, "tokens" in train_dataset.column_names)
        super().__init__(
            model=model,
            args=args,
            processing_class=processing_class,
            train_dataset=encode_dataset(train_dataset, processing_class, args.max_words),
            eval_dataset=encode_dataset(eval_dataset, processing_class, args.max_words),
            **{
                "data_collator": WordCollator(processing_class),
                "compute_metrics": score,
                "preprocess_logits_for_metrics": lambda logits, labels: logits.argmax(-1),
                **kwargs,
            },
        )
        self.averaging = _Averaging(model, args.average) if args.average else None
        if self.averaging:
            self.add_callback(self.averaging)
        if args.disable_tqdm:
            self.remove_callback(PrinterCallback)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a learning rate for the head and one for the encoder."""
        if self.optimizer is None:
            given: Any = self.args
            groups = self._model.parameter_groups(
                given.learning_rate, given.encoder_learning_rate, given.weight_decay, given.context_learning_rate
            )
            self.optimizer = torch.optim.AdamW(groups, fused=True)
        return self.optimizer

    def get_train_dataloader(self) -> Any:
        """As `Trainer`'s; characters are dropped here alone."""
        given: Any = self.args
        plain, self.data_collator = self.data_collator, self.data_collator
        if given.character_dropout:
            tokenizer: Any = self.processing_class
            self.data_collator = WordCollator(tokenizer, given.character_dropout)
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = plain

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Score the averaged weights. The best ones so far are kept in the folder ``best``."""
        before = [entry[self._main] for entry in self.state.log_history if self._main in entry]
        if self.averaging:
            self.averaging.swap()
        try:
            scores: dict[str, float] = super().evaluate(*args, **kwargs)
            if scores.get(self._main, -math.inf) > max(before, default=-math.inf):
                self._model.save_pretrained(self.best_folder)
        finally:
            if self.averaging:
                self.averaging.swap()
        return scores

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as `Trainer` does, and load the best weights in the end."""
        output = super().train(*args, **kwargs)
        if self.best_folder.is_dir():
            best = type(self._model).from_pretrained(self.best_folder)
            self._model.load_state_dict(best.state_dict())
        self._model.eval()
        return output

    @property
    def history(self) -> list[dict[str, float]]:
        """The scores of each evaluation."""
        return [
            {name.removeprefix("eval_"): value for name, value in entry.items()}
            for entry in self.state.log_history
            if "eval_loss" in entry
        ]

    @property
    def best_folder(self) -> Path:
        """Where the best weights are."""
        return Path(str(self.args.output_dir)) / BEST

    @property
    def _main(self) -> str:
        return f"eval_{self.main_score}"

    @property
    def _model(self) -> Any:
        return self.model


@dataclass
class FineTuned:
    """What `fine_tune` made.

    Attributes:
        model: The best model by dev, in evaluation mode.
        dev: Its scores on dev.
        history: The scores of each evaluation.
        seconds: Of training.
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
    shutil.rmtree(work, ignore_errors=True)
    return FineTuned(model, top, trainer.history, time.perf_counter() - start)


def scorer_for(model: Any, tagged: bool) -> tuple[Callable[[Any], dict[str, float]], str]:
    """The scores of a task, as Trainer's ``compute_metrics``, and the name of the one that decides."""
    names = [model.config.id2label[number] for number in range(model.num_labels)]
    if not tagged:
        return lambda prediction: class_scores(prediction.label_ids, prediction.predictions), "f1"
    if names[0] == "O":
        return lambda prediction: entity_scores(*tag_lists(prediction, names)), "f1"
    return lambda prediction: {"accuracy": accuracy(*tag_lists(prediction, names))}, "accuracy"


def tag_lists(prediction: Any, names: Sequence[str]) -> tuple[list[list[str]], list[list[str]]]:
    """Gold and predicted tags of each sentence from Trainer's arrays, without the places that do not count."""
    gold, found = [], []
    for labels, guesses in zip(prediction.label_ids, prediction.predictions, strict=True):
        kept = labels != IGNORED
        gold.append([names[label] for label in labels[kept]])
        found.append([names[guess] for guess in guesses[kept]])
    return gold, found
