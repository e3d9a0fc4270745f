"""The training loop: the data on its device, the student, and steps until the settings say that it is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..averaging import update_average
from ..errors import require
from .checkpoints import Progress, TrainingState
from .log import LOG_FILE, TrainingLog
from .losses import Objective, student_uses_bf16
from .sampling import (
    WordSampler,
    build_miner,
    load_neighbors,
    neighbors_wanted,
    sampling_weights,
    shared_batch_size,
    step_generator,
)
from .settings import DistillSettings
from .student import Runner, Student, build_student, predict, prepare_inputs
from .targets import Targets
from .validation import HeldOut, mean_scores

_AGREE_EVERY = 16  # steps between two agreements of several processes on the time
_CHECKPOINT_EPOCH_ENDS_AFTER = 10.0  # seconds since the last checkpoint
_START = 1 / 25  # one_cycle begins at this share of the peak (Smith & Topin 2018, as in torch)
_END = 1e-4  # and ends, of where it began, at this

Callback = Callable[[Progress], None]


class Distillation:
    """A run: the data on its device, the student, and the state that a checkpoint keeps.

    Args:
        targets: The words and vectors.
        settings: How the student is trained.
        work: Directory for the log, the checkpoint, and what is computed once from the data.
        corpus: Text files for windows.
        progress: Show bars.
    """

    def __init__(
        self,
        targets: Targets,
        settings: DistillSettings,
        work: Path,
        corpus: Sequence[str | Path] = (),
        progress: bool = False,
    ) -> None:
        self.targets, self.settings, self.work = targets, settings, work
        self.accelerator = require("accelerate", "train").Accelerator(cpu=settings.device == "cpu")
        self.is_main: bool = self.accelerator.is_main_process
        device = self.accelerator.device
        self.student: Student = build_student(targets, settings)
        self.inputs = tuple(part.to(device) for part in prepare_inputs(self.student, targets.words))
        self.sampler = self._sampler()
        self.tables = tuple(torch.from_numpy(table).to(device) for table in targets.vectors)
        with self.accelerator.main_process_first():  # the others find the files that it made
            self.objective = self._objective(corpus, progress)
        self.validators = self._validators()
        self.module, self._optimizer = self.accelerator.prepare(
            Runner(self.student.encoder, student_uses_bf16(settings.bf16, settings.student, device)),
            _optimizer(self.student.encoder, settings),
        )
        self.student.encoder = self.accelerator.unwrap_model(self.module).encoder
        self.state = TrainingState(self.student.encoder, self._optimizer.optimizer)
        self._own = self._own_positions()
        self._agreed: float | None = None
        self._parameters = [p for p in self.module.parameters() if p.requires_grad]

    def _sampler(self) -> WordSampler:
        settings, train = self.settings, self.targets.train
        size = shared_batch_size(settings.batch_size, len(train), self.accelerator.num_processes)
        weights = sampling_weights(self.targets.frequencies[train], settings.sampling, settings.power)
        return WordSampler(train, size, settings.seed, weights)

    def _own_positions(self) -> Tensor:
        """The positions of the batch that this process computes, int64 ``[b]``."""
        share = self.sampler.batch_size // self.accelerator.num_processes
        start = share * self.accelerator.process_index
        return torch.arange(start, start + share, device=self.accelerator.device)

    def _objective(self, corpus: Sequence[str | Path], progress: bool) -> Objective:
        settings, targets = self.settings, self.targets
        file = self.work / f"neighbors-{targets.digest}.npy"
        neighbors = load_neighbors(file, self.tables, targets.train, neighbors_wanted(settings))
        miner = build_miner(
            settings,
            targets,
            self.tables,
            neighbors,
            corpus=corpus,
            work=self.work,
            progress=progress and self.is_main,
        )
        words = torch.from_numpy(targets.train).to(self.accelerator.device)
        return Objective(settings, self.tables, miner=miner, neighbors=neighbors, words=words, gather=self._gather)

    def _validators(self) -> list[HeldOut]:
        if not len(self.targets.held_out) or not self.is_main:
            return []
        return [HeldOut(table, self.targets.held_out) for table in self.targets.vectors]

    def _gather(self, vectors: Tensor) -> Tensor:
        """The student's vectors of the whole batch; gradients flow back to the process that computed each."""
        if self.accelerator.num_processes == 1:
            return vectors
        from torch.distributed.nn.functional import all_gather

        return torch.cat(all_gather(vectors))

    def train(self, resume: bool = False, progress: bool = False, callback: Callback | None = None) -> None:
        """Train to the end of the settings, with the best or the averaged weights in the student at last.

        Args:
            resume: Go on from the checkpoint, if there is one.
            progress: Show a bar.
            callback: Called after every step.
        """
        if resume:
            self.state.load(self.work)
        self.accelerator.wait_for_everyone()
        state = self.state.progress
        total = self.settings.epochs * self.sampler.steps_per_epoch
        with self._log(total, progress) as log:
            saved, interval = time.perf_counter(), self.settings.checkpoint_seconds
            for epoch, step in self.steps():
                begun = time.perf_counter()
                losses, rate = self.step(epoch, step)
                state.seconds += time.perf_counter() - begun
                log.step(state, losses, rate)
                if self._time_is_up() or step + 1 == self.sampler.steps_per_epoch:
                    self._end_of_epoch(log)
                    interval = min(interval, _CHECKPOINT_EPOCH_ENDS_AFTER)
                if callback is not None:
                    callback(state)
                if time.perf_counter() - saved >= interval or state.finished:
                    self._save(log)
                    saved, interval = time.perf_counter(), self.settings.checkpoint_seconds
        self._finish()

    def steps(self) -> Iterator[tuple[int, int]]:
        """Yield (epoch, step) from where the state stands until the training is finished."""
        state = self.state.progress
        while state.epoch < self.settings.epochs and not state.finished:
            yield state.epoch, state.step

    def step(self, epoch: int, step: int) -> tuple[dict[str, Tensor], float]:
        """Do one optimizer step. Returns the losses by name (on the device) and the learning rate."""
        settings, state = self.settings, self.state.progress
        rate = self._set_rate()
        batch = torch.from_numpy(self.sampler.batch(epoch, step)).to(self.accelerator.device)
        own = batch[self._own]
        self.module.train()
        predicted = self.module(*(column.index_select(0, own) for column in self.inputs))
        rng = step_generator(settings.seed, epoch, step)
        total, parts = self.objective(predicted, batch, self._own, rng)
        self._optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(total)
        if settings.clip:
            self.accelerator.clip_grad_norm_(self._parameters, settings.clip)
        self._optimizer.step()
        state.total_steps += 1
        state.examples += len(batch)
        state.epoch, state.step = (epoch, step + 1) if step + 1 < self.sampler.steps_per_epoch else (epoch + 1, 0)
        if settings.ema:
            self._average()
        return {"loss": total.detach(), **parts}, rate

    def _set_rate(self) -> float:
        settings, state = self.settings, self.state.progress
        done = state.total_steps / (settings.epochs * self.sampler.steps_per_epoch)
        if settings.max_seconds:
            done = max(done, self._clock() / settings.max_seconds)
        factor = rate_factor(settings.schedule, done, state.epoch, settings.warmup, settings.gamma)
        for group in self.state.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        return settings.learning_rate * factor

    @torch.no_grad()
    def _average(self) -> None:
        """Move the average of the weights."""
        weights = dict(self.student.encoder.state_dict())
        if not self.state.averaged:
            self.state.averaged = {name: tensor.clone() for name, tensor in weights.items()}
        averaged = self.state.averaged
        floating = [name for name, tensor in weights.items() if tensor.is_floating_point()]
        update_average(
            [averaged[name] for name in floating],
            [weights[name] for name in floating],
            self.settings.ema,
            self.state.progress.total_steps,
        )
        for name in weights.keys() - set(floating):
            averaged[name].copy_(weights[name])

    def _clock(self) -> float:
        """Seconds of training, the same in every process: their mean at the last agreement."""
        state = self.state.progress
        if self.accelerator.num_processes == 1:
            return state.seconds
        if state.total_steps % _AGREE_EVERY == 0 or self._agreed is None:
            seconds = torch.tensor(state.seconds, dtype=torch.float64, device=self._own.device)
            self._agreed = float(self.accelerator.reduce(seconds, reduction="mean"))
        return self._agreed

    def _time_is_up(self) -> bool:
        limit, state = self.settings.max_seconds, self.state.progress
        if limit is not None and self._clock() >= limit:
            state.finished = True
        return state.finished

    def _end_of_epoch(self, log: TrainingLog) -> None:
        settings, state = self.settings, self.state.progress
        last = state.finished or state.epoch >= settings.epochs
        if not (len(self.targets.held_out) and (last or state.epoch % settings.validate_every == 0)):
            state.finished = last
            return
        state.scores = self._scores()
        log.validation(state)
        if settings.patience:
            self._remember(state.scores[settings.monitor])
        state.finished = last or (0 < settings.patience <= state.worse)

    def _remember(self, score: float) -> None:
        """Keep the weights with the best score so far, and count the validations since."""
        state = self.state.progress
        if state.best is None or score > state.best:
            state.best, state.worse = score, 0
            self.state.best = {name: tensor.detach().clone() for name, tensor in self._weights().items()}
        else:
            state.worse += 1

    def _weights(self) -> dict[str, Tensor]:
        """The weights that would be written if the training ended here."""
        return self.state.averaged or self.student.encoder.state_dict()

    def _scores(self) -> dict[str, float]:
        """Scores on the held-out words, the mean over the teachers, the same in every process."""
        scores: list[dict[str, float]] = [{}]
        if self.is_main:
            with _loaded(self.student.encoder, self.state.averaged):
                predicted = predict(self.student.encoder, self.inputs, self.targets.held_out)
            scores = [mean_scores([one.scores(predicted) for one in self.validators])]
        if self.accelerator.num_processes > 1:
            from accelerate.utils import broadcast_object_list

            broadcast_object_list(scores)
        return scores[0]

    def _log(self, total: int, progress: bool) -> TrainingLog:
        file = self.work / LOG_FILE if self.is_main else None
        return TrainingLog(file, total, self.state.progress, show=progress and self.is_main)

    def _save(self, log: TrainingLog) -> None:
        log.flush(self.state.progress)
        if self.is_main:
            self.state.save(self.work)

    def _finish(self) -> None:
        """Put the final weights into the encoder."""
        final = self.state.best if self.settings.patience and self.state.best else self._weights()
        self.student.encoder.load_state_dict({name: tensor.clone() for name, tensor in final.items()})
        if self.settings.patience and self.state.best and len(self.targets.held_out):
            self.state.averaged = {}
            self.state.progress.scores = self._scores()


def rate_factor(schedule: str, progress: float, epoch: int, warmup: float = 0.0, gamma: float = 0.95) -> float:
    """Compute the factor on the learning rate.

    constant is 1; linear and cosine fall to 0; one_cycle rises from 1/25 by half a cosine, then falls to almost 0;
    step is a power of `gamma`.

    Args:
        schedule: Its name.
        progress: Share of the training done, 0 to 1.
        epoch: Full epochs done.
        warmup: Share of the training over which the rate rises.
        gamma: Factor an epoch of step (torch's StepLR of one epoch).
    """
    progress = min(max(progress, 0.0), 1.0)
    rest = (progress - warmup) / (1 - warmup)
    if progress < warmup:
        rise = progress / warmup
        return _between(_START, 1.0, rise) if schedule == "one_cycle" else max(rise, 1e-3)
    if schedule == "step":
        return gamma**epoch
    if schedule == "linear":
        return 1 - rest
    if schedule == "cosine":
        return _between(1.0, 0.0, rest)
    if schedule == "one_cycle":
        return _between(1.0, _START * _END, rest)
    return 1.0


def _between(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _optimizer(encoder: nn.Module, settings: DistillSettings) -> torch.optim.AdamW:
    """AdamW; embedding tables have their own peak rate where one is set, and then no weight decay."""
    tables: list[Tensor] = []
    if settings.table_learning_rate is not None:
        kinds = nn.Embedding | nn.EmbeddingBag
        tables = [module.weight for module in encoder.modules() if isinstance(module, kinds)]
    chosen = {id(table) for table in tables}
    rest = [p for p in encoder.parameters() if id(p) not in chosen]
    groups: list[dict[str, Any]] = [
        {"params": rest, "peak": settings.learning_rate, "weight_decay": settings.weight_decay}
    ]
    if tables:
        groups.append({"params": tables, "peak": settings.table_learning_rate, "weight_decay": 0.0})
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)


@contextmanager
def _loaded(encoder: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """The encoder with other weights for a while; none: as it is."""
    if not weights:
        yield
        return
    own = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    encoder.load_state_dict(weights)
    try:
        yield
    finally:
        encoder.load_state_dict(own)
