"""The settings of a fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainingArguments


@dataclass
class FineTuneArguments(TrainingArguments):
    """`TrainingArguments` with the settings that encoders need, and defaults for small sets of tagged sentences.

    The learning rates are of AdamW and fall by a cosine to 0 after the warm-up.

    Attributes:
        learning_rate: Of the head.
        encoder_learning_rate: Of the encoder; 0 freezes it.
        context_learning_rate: Of context layers over it; None takes the encoder's.
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
    learning_rate: float = 2e-3
    encoder_learning_rate: float = 5e-4
    context_learning_rate: float | None = None
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
