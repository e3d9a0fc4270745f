"""The training loop: the data on its device, the student, and steps until the settings say that it is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..averaging import update_average
from .losses import Objective, student_uses_bf16
from .progress import Progress, TrainingLog, TrainingRun, TrainingState
from .sampling import WordSampler, sampling_weights, shared_batch_size
from .settings import DistillSettings
from .student import Runner, build_student, predict, prepare_inputs, unseen_characters, with_unknown_characters
from .targets import Targets
from .validation import HeldOut

LOG_FILE = "distill_log.jsonl"
_WITH_UNKNOWN = 0.03  # of the words of a step: so many are read with an unknown character in them
_START = 1 / 25  # one_cycle begins at this share of the peak (Smith & Topin 2018, as in torch)
_END = 1e-4  # and ends, of where it began, at this

Callback = Callable[[Progress], None]


class Distillation(TrainingRun):
    """A run: the data on its device, the student, and the state that a checkpoint in `work` keeps."""

    def __init__(
        self,
        targets: Targets,
        settings: DistillSettings,
        work: Path,
        corpus: Sequence[str | Path] = (),
        progress: bool = False,
    ) -> None:
        super().__init__(settings, work, LOG_FILE, progress)
        self.targets, accelerator = targets, self.accelerator
        self.characters, self.config, encoder = build_student(targets, settings)
        self._char_ids = torch.from_numpy(self.characters.encode(targets.words).astype(np.int64))
        self._unseen = unseen_characters(self.characters, self._char_ids[torch.from_numpy(targets.train)])
        inputs = prepare_inputs(self._char_ids, encoder)
        self.inputs = tuple(part.to(self.device) for part in inputs)
        size = shared_batch_size(settings.batch_size, len(targets.train), accelerator.num_processes)
        weights = sampling_weights(targets.frequencies[targets.train], settings.sampling)
        self.sampler = WordSampler(targets.train, size, settings.seed, weights)
        tables = tuple(torch.from_numpy(table).to(self.device) for table in targets.vectors)
        with accelerator.main_process_first():  # the others find the files that it made
            self.objective = Objective(settings, targets, tables, corpus, work, self.show, self._gather)
        validated = self.is_main and len(targets.held_out)
        self.validators = [HeldOut(table, targets.held_out) for table in targets.vectors] if validated else []
        runner = Runner(encoder, student_uses_bf16(settings.bf16, settings.student, self.device))
        self.module, self.optimizer = accelerator.prepare(runner, _optimizer(encoder, settings))
        self.encoder: nn.Module = accelerator.unwrap_model(self.module).encoder
        self.state = TrainingState(self.encoder, self.optimizer.optimizer)
        share = size // accelerator.num_processes  # of the batch, computed by this process
        self._own = torch.arange(share, device=self.device) + share * accelerator.process_index

    def _gather(self, vectors: Tensor) -> Tensor:
        """The student's vectors of the whole batch; gradients flow back to the process that computed each."""
        if self.accelerator.num_processes == 1:
            return vectors
        from torch.distributed.nn.functional import all_gather

        return torch.cat(all_gather(vectors))

    def train(self, resume: bool = False, callback: Callback | None = None) -> None:
        """Train to the end of the settings. The best or the averaged weights are in the student at last."""
        if resume:
            self.state.load(self.work)
        self.accelerator.wait_for_everyone()
        state = self.state.progress
        state.finished |= state.epoch >= self.settings.epochs
        self.run_steps(self.settings.epochs * self.sampler.steps_per_epoch, "distill", callback)
        self.encoder.load_state_dict(self.state.best or self._weights())
        if self.state.best:
            self.state.averaged = {}
            state.scores = self._scores()

    def step(self) -> tuple[dict[str, Tensor], float]:
        settings, state = self.settings, self.state.progress
        epoch, step = state.epoch, state.step
        batch = torch.from_numpy(self.sampler.batch(epoch, step)).to(self.device)
        self.module.train()
        predicted = self.module(*self._read(batch, self.sampler.unknown_rng(epoch, step)))
        total, parts = self.objective(predicted, batch, self._own, self.sampler.negatives_rng(epoch, step))
        rate = self.descend(total, len(batch), self._rate_factor())
        state.epoch, state.step = (epoch, step + 1) if step + 1 < self.sampler.steps_per_epoch else (epoch + 1, 0)
        if settings.ema:
            weights = self.encoder.state_dict()
            self.state.averaged = self.state.averaged or {name: tensor.clone() for name, tensor in weights.items()}
            averages = [self.state.averaged[name] for name in weights]
            update_average(averages, list(weights.values()), settings.ema, state.total_steps)
        return {"loss": total.detach(), **parts}, rate

    def _read(self, batch: Tensor, rng: np.random.Generator) -> list[Tensor]:
        """What the student reads of this process's words. A small share shows it unknown characters.

        They are drawn for the whole batch, so that several processes read what one would.
        """
        columns = [column.index_select(0, batch[self._own]) for column in self.inputs]
        if not self.characters.hashed:
            return columns
        chosen = torch.from_numpy(np.flatnonzero(rng.random(len(batch)) < _WITH_UNKNOWN))
        char_ids = with_unknown_characters(self._char_ids[batch.cpu()[chosen]], self.characters, self._unseen, rng)
        places = chosen - int(self._own[0])
        own = (places >= 0) & (places < len(self._own))
        chosen, char_ids = places[own], char_ids[own]
        with torch.no_grad():
            changed = prepare_inputs(char_ids.to(self.device), self.encoder)
        for column, new in zip(columns, changed, strict=True):
            column[chosen.to(self.device)] = new
        return columns

    def _rate_factor(self) -> float:
        settings, state = self.settings, self.state.progress
        done = state.total_steps / (settings.epochs * self.sampler.steps_per_epoch)
        if settings.max_seconds:
            done = max(done, self.clock() / settings.max_seconds)
        return rate_factor(settings.schedule, done, state.epoch, settings.warmup, settings.gamma)

    def after_step(self, log: TrainingLog) -> bool:
        settings, state = self.settings, self.state.progress
        state.finished |= settings.max_seconds is not None and self.clock() >= settings.max_seconds
        if not (state.finished or state.step == 0):
            return False
        state.finished |= state.epoch >= settings.epochs
        if len(self.targets.held_out) and (state.finished or state.epoch % settings.validate_every == 0):
            state.scores = self._scores()
            log.validation()
            if settings.patience:
                self._keep_best()
        return True

    def _keep_best(self) -> None:
        """Keep the weights of the best score, and end the training where there was none for too long."""
        settings, state = self.settings, self.state.progress
        score = state.scores[settings.monitor]
        if state.best is None or score > state.best:
            state.best, state.worse = score, 0
            self.state.best = {name: tensor.detach().clone() for name, tensor in self._weights().items()}
        else:
            state.worse += 1
        state.finished |= state.worse >= settings.patience

    def _weights(self) -> dict[str, Tensor]:
        """The weights that would be written if the training ended here."""
        return self.state.averaged or self.encoder.state_dict()

    def _scores(self) -> dict[str, float]:
        """Scores on the held-out words, the mean over the teachers, the same in every process."""
        scores: list[dict[str, float]] = [{}]
        if self.is_main:
            encoder = self.encoder
            if self.state.averaged:
                encoder = deepcopy(encoder)
                encoder.load_state_dict(self.state.averaged)
            predicted = predict(encoder, self.inputs, self.targets.held_out)
            each = [one.scores(predicted) for one in self.validators]
            scores = [{name: float(np.mean([one[name] for one in each])) for name in each[0]}]
        if self.accelerator.num_processes > 1:
            from accelerate.utils import broadcast_object_list

            broadcast_object_list(scores)
        return scores[0]


def rate_factor(schedule: str, progress: float, epoch: int, warmup: float = 0.0, gamma: float = 0.95) -> float:
    """The factor on the learning rate at a share of the training (`progress`, as `warmup`).

    constant is 1; linear and cosine fall to 0; one_cycle rises from 1/25 by half a cosine, then falls to almost 0;
    step is ``gamma ** epoch`` (torch's StepLR of one epoch).
    """
    progress = min(max(progress, 0.0), 1.0)
    rest = (progress - warmup) / (1 - warmup)
    if progress < warmup:
        rise = progress / warmup
        return _between(_START, 1.0, rise) if schedule == "one_cycle" else max(rise, 1e-3)
    factors = {
        "step": gamma**epoch,
        "linear": 1 - rest,
        "cosine": _between(1.0, 0.0, rest),
        "one_cycle": _between(1.0, _START * _END, rest),
    }
    return factors.get(schedule, 1.0)


def _between(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _optimizer(encoder: nn.Module, settings: DistillSettings) -> torch.optim.AdamW:
    """AdamW; embedding tables have their own peak rate where one is set, and then no weight decay."""
    tables: list[Tensor] = []
    if settings.table_learning_rate is not None:
        tables = [one.weight for one in encoder.modules() if isinstance(one, nn.Embedding | nn.EmbeddingBag)]
    chosen = set(map(id, tables))
    rest = [parameter for parameter in encoder.parameters() if id(parameter) not in chosen]
    groups: list[dict[str, Any]] = [
        {"params": rest, "peak": settings.learning_rate, "weight_decay": settings.weight_decay},
        {"params": tables, "peak": settings.table_learning_rate, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)
