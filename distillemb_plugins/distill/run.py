"""A distillation run: the data on its device, the student, the loop over steps, and what is written."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import DistillEmbError, require
from ..facts import HELD_OUT, EncoderFacts, current_versions
from ..persistence import EncoderFiles, write_encoder
from ..teachers import Teacher
from ..vectors import unit_rows
from .checkpoints import Progress, TrainingState, load_checkpoint, save_checkpoint
from .journal import Journal
from .memory import fit_memory
from .mining import build_miner, load_neighbours, neighbours_wanted
from .objective import Objective, student_uses_bf16
from .sampling import WordSampler, sampling_weights, shared_batch_size, step_generator
from .schedule import rate_factor
from .settings import DistillSettings
from .student import Runner, Student, build_student, predict, prepare_inputs
from .targets import build_targets
from .validation import HeldOut, mean_scores

LOG_FILE = "distill_log.jsonl"
_AGREE_EVERY = 16  # steps between two agreements of several processes on the time
_CHECKPOINT_EPOCH_ENDS_AFTER = 10.0  # seconds since the last checkpoint

Callback = Callable[[Progress], None]


class Distillation:
    """A run: the data on its device, the student, and the state that a checkpoint keeps."""

    def __init__(
        self,
        teachers: Sequence[Teacher],
        work: Path,
        settings: DistillSettings,
        corpus: Sequence[str | Path] = (),
        progress: bool = False,
    ) -> None:
        accelerate = require("accelerate", "train")
        self.settings = settings
        self.work = work
        self.targets = build_targets(teachers, settings)
        self.accelerator = accelerate.Accelerator(cpu=settings.device == "cpu")
        self.is_main: bool = self.accelerator.is_main_process
        device = self.accelerator.device
        self.student: Student = build_student(self.targets, settings)
        self.inputs = tuple(part.to(device) for part in prepare_inputs(self.student, self.targets.words))
        self.sampler = self._sampler()
        self.tables = tuple(torch.from_numpy(table).to(device) for table in self.targets.vectors)
        with self.accelerator.main_process_first():  # the others find the files that it made
            self.objective = self._objective(corpus, progress)
        self.validators = self._validators()
        self.module, optimizer = self.accelerator.prepare(
            Runner(self.student.encoder, student_uses_bf16(settings.bf16, settings.student, device)),
            _optimizer(self.student.encoder, settings),
        )
        self.student.encoder = self.accelerator.unwrap_model(self.module).encoder
        self.state = TrainingState(self.student.encoder, optimizer.optimizer, Progress())
        self._wrapped_optimizer = optimizer
        self.own = self._own_places()
        self._agreed: float | None = None
        self._parameters = [p for p in self.module.parameters() if p.requires_grad]

    def _sampler(self) -> WordSampler:
        settings, train = self.settings, self.targets.train
        size = shared_batch_size(settings.batch_size, len(train), self.accelerator.num_processes)
        weights = sampling_weights(self.targets.frequencies[train], settings.sampling, settings.power)
        return WordSampler(train, size, settings.seed, weights)

    def _own_places(self) -> Tensor:
        """The places of the batch that this process computes, int64 ``[b]``."""
        share = self.sampler.batch_size // self.accelerator.num_processes
        start = share * self.accelerator.process_index
        return torch.arange(start, start + share, device=self.accelerator.device)

    def _objective(self, corpus: Sequence[str | Path], progress: bool) -> Objective:
        settings, targets = self.settings, self.targets
        file = self.work / f"neighbours-{self.fingerprint['data']}.npy"
        neighbours = load_neighbours(file, self.tables, targets.train, neighbours_wanted(settings))
        miner = build_miner(
            settings,
            targets,
            self.tables,
            neighbours,
            corpus=corpus,
            work=self.work,
            progress=progress and self.is_main,
        )
        words = torch.from_numpy(targets.train).to(self.accelerator.device)
        return Objective(settings, self.tables, miner=miner, neighbours=neighbours, words=words, gather=self._gather)

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

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What a checkpoint belongs to: all settings but those that may change, and a digest of the data."""
        if not hasattr(self, "_fingerprint"):
            digest = hashlib.sha256("\n".join(self.targets.words).encode("utf-8", "surrogatepass"))
            for table in self.targets.vectors:
                digest.update(table.tobytes())
            free = {"checkpoint_seconds", "device", "storage", "max_seconds"}
            kept = {name: value for name, value in self.settings.to_dict().items() if name not in free}
            self._fingerprint = kept | {"data": digest.hexdigest()[:16]}
        return self._fingerprint

    # -- training ------------------------------------------------------------------------------------------------

    def train(self, resume: bool = False, progress: bool = False, callback: Callback | None = None) -> None:
        """Train to the end of the settings, from the checkpoint when there is one and `resume` is true."""
        if resume:
            load_checkpoint(self.work, self.state, json.dumps(self.fingerprint))
        self.accelerator.wait_for_everyone()
        state = self.state.progress
        total = self.settings.epochs * self.sampler.steps_per_epoch
        with self._journal(total, progress) as journal:
            saved, interval = time.perf_counter(), self.settings.checkpoint_seconds
            for epoch, step in self.steps():
                begun = time.perf_counter()
                losses, rate = self.step(epoch, step)
                state.seconds += time.perf_counter() - begun
                journal.step(state, losses, rate)
                if step + 1 == self.sampler.steps_per_epoch or self._time_is_up():
                    self._end_of_epoch(journal)
                    interval = min(interval, _CHECKPOINT_EPOCH_ENDS_AFTER)
                if callback is not None:
                    callback(state)
                if time.perf_counter() - saved >= interval or state.finished:
                    self._save(journal)
                    saved, interval = time.perf_counter(), self.settings.checkpoint_seconds
        self._finish()

    def steps(self) -> Iterator[tuple[int, int]]:
        """(epoch, step) from where the state stands until the training is finished."""
        state = self.state.progress
        while state.epoch < self.settings.epochs and not state.finished:
            yield state.epoch, state.step

    def step(self, epoch: int, step: int) -> tuple[dict[str, Tensor], float]:
        """One optimiser step. Returns the losses by name (on the device) and the learning rate."""
        settings, state = self.settings, self.state.progress
        rate = self._set_rate()
        batch = torch.from_numpy(self.sampler.batch(epoch, step)).to(self.accelerator.device)
        own = batch[self.own]
        self.module.train()
        predicted = self.module(*(column.index_select(0, own) for column in self.inputs))
        rng = step_generator(settings.seed, epoch, step)
        total, parts = self.objective(predicted, batch, self.own, rng)
        self._wrapped_optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(total)
        if settings.clip:
            self.accelerator.clip_grad_norm_(self._parameters, settings.clip)
        self._wrapped_optimizer.step()
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
        """Exponential moving average of the weights, with a shorter memory in the first steps."""
        weights = dict(self.student.encoder.state_dict())
        if not self.state.averaged:
            self.state.averaged = {name: tensor.clone() for name, tensor in weights.items()}
        steps = self.state.progress.total_steps
        decay = min(self.settings.ema, (1 + steps) / (10 + steps))
        floating = [name for name, tensor in weights.items() if tensor.is_floating_point()]
        torch._foreach_lerp_(
            [self.state.averaged[name] for name in floating], [weights[name] for name in floating], 1 - decay
        )
        for name in weights.keys() - set(floating):
            self.state.averaged[name].copy_(weights[name])

    def _clock(self) -> float:
        """Seconds of training, the same in every process: their mean at the last agreement."""
        state = self.state.progress
        if self.accelerator.num_processes == 1:
            return state.seconds
        if state.total_steps % _AGREE_EVERY == 0 or self._agreed is None:
            seconds = torch.tensor(state.seconds, dtype=torch.float64, device=self.own.device)
            self._agreed = float(self.accelerator.reduce(seconds, reduction="mean"))
        return self._agreed

    def _time_is_up(self) -> bool:
        limit, state = self.settings.max_seconds, self.state.progress
        if limit is not None and self._clock() >= limit:
            state.finished = True
        return state.finished

    def _end_of_epoch(self, journal: Journal) -> None:
        settings, state = self.settings, self.state.progress
        last = state.finished or state.epoch >= settings.epochs
        if not (len(self.targets.held_out) and (last or state.epoch % settings.validate_every == 0)):
            state.finished = last
            return
        state.scores = self._scores()
        journal.validation(state)
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

    def _journal(self, total: int, progress: bool) -> Journal:
        file = self.work / LOG_FILE if self.is_main else None
        return Journal(file, total, self.state.progress, show=progress and self.is_main)

    def _save(self, journal: Journal) -> None:
        journal.flush(self.state.progress)
        if self.is_main:
            save_checkpoint(self.work, self.state, json.dumps(self.fingerprint))

    def _finish(self) -> None:
        """Put the final weights into the encoder."""
        final = self.state.best if self.settings.patience and self.state.best else self._weights()
        self.student.encoder.load_state_dict({name: tensor.clone() for name, tensor in final.items()})
        if self.settings.patience and self.state.best and len(self.targets.held_out):
            self.state.averaged = {}
            self.state.progress.scores = self._scores()

    # -- the result ----------------------------------------------------------------------------------------------

    def write(
        self, out: Path, facts: EncoderFacts, overwrite: bool = False, extra_files: Mapping[str, bytes] | None = None
    ) -> None:
        """Write the encoder directory with its facts, its log and further files, all of it or nothing."""
        weights = {name: _array(tensor) for name, tensor in self.student.encoder.state_dict().items()}
        broken = [name for name, array in weights.items() if not np.isfinite(array).all()]
        if broken:
            raise DistillEmbError(
                f"The training diverged ({broken[0]} holds NaN or infinity): lower learning_rate or set clip."
            )
        facts = replace(
            facts,
            teachers=tuple(self.targets.names),
            settings=self.settings.to_dict(),
            scores={HELD_OUT: self.state.progress.scores, **facts.scores},
            versions=current_versions(),
        )
        storage: Any = self.settings.storage
        characters = self.student.characters
        files = self._with_memory(weights)
        write_encoder(
            out,
            files.config,
            files.tensors,
            characters,
            storage=storage,
            facts=facts,
            overwrite=overwrite,
            extra_files={LOG_FILE: (self.work / LOG_FILE).read_bytes(), **(extra_files or {})},
        )

    def _with_memory(self, weights: dict[str, NDArray[Any]]) -> EncoderFiles:
        """The encoder, with what it misses of the frequent training words where the settings ask for it."""
        settings, characters = self.settings, self.student.characters
        sizes = {"vocab_size": len(characters), "max_chars": characters.max_chars}
        files = EncoderFiles({**self.student.config, **sizes}, weights, characters)
        if not settings.memory_words:
            return files
        train = self.targets.train
        vectors = np.mean([unit_rows(table[train]) for table in self.targets.vectors], axis=0)
        teacher = Teacher("targets", [self.targets.words[row] for row in train.tolist()], vectors)
        storage: Any = settings.storage
        return fit_memory(
            files, teacher, settings.memory_words, settings.memory_codes, storage=storage, seed=settings.seed
        )


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


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
