"""Pretraining context layers on raw text by masked words (Devlin et al. 2019), here over whole words."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..encoder import DistillEmb
from ..errors import DistillEmbError, require
from ..files import atomic_file, remove_directory
from ..persistence import EncoderFiles, read_encoder
from ..runs import file_identity, load_checkpoint, save_checkpoint, work_directory
from .batches import Batches, Lines, epoch_batches, language_repeats, split_lines
from .corpus import Corpus, open_corpus, texts_by_language
from .export import write_context
from .log import TrainingLog
from .model import PretrainModel
from .settings import PretrainSettings

CPU_SAMPLES = 4096
_FLOOR = 0.02  # of the learning rate at the end
_POWER = 0.75  # of a word's frequency, with which it is sampled (Mikolov et al. 2013)
_ENCODED_AT_ONCE = 65_536


@dataclass
class Progress:
    """How far a run is. epoch, batch: the next one. words: read so far. scores: the last ones of the held-out lines."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    words: int = 0
    seconds: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    finished: bool = False


def pretrain(
    texts: Sequence[str | Path],
    encoder: str | Path,
    out: str | Path,
    settings: PretrainSettings | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Pretrain context layers over an encoder, and write a directory that holds both.

    Args:
        texts: Text files, plain or compressed, or folders of them. The folder that a file lies in names its language;
            ``NAME=FILE`` names another one.
        encoder: An encoder directory, a bundled name or a hub id.
        out: The directory to write. ``<out>.work`` holds the text as numbers, the log and the last checkpoint until
            the run is complete.
        settings: Sizes and training.
        resume: Go on with an interrupted run, to the same result.
        overwrite: Replace what stands at `out`, and forget an interrupted run.
        progress: Show bars on standard error.

    Returns:
        `out`.

    Raises:
        DistillEmbError: A text cannot be read, settings do not fit together, `out` exists, or another process writes
            it.
        MissingExtraError: torch or accelerate is not installed.
    """
    settings, out = settings or PretrainSettings(), Path(out)
    require("accelerate", "train")
    if out.exists() and not overwrite:
        raise DistillEmbError(f"{out} already exists: choose another name, or say --overwrite (overwrite=True).")
    groups = texts_by_language(texts)
    files = read_encoder(encoder)
    free = {"max_seconds", "checkpoint_seconds", "evaluate_every", "storage", "device", "compile"}
    identity = {name: value for name, value in settings.to_dict().items() if name not in free}
    identity |= {"texts": file_identity([file for some in groups.values() for file in some])}
    identity |= {"encoder": _digest(files)}
    with work_directory(out, identity, resume=resume, overwrite=overwrite) as work:
        corpus = open_corpus(groups, files.characters, work, settings.range, progress)
        run = Pretraining(files, corpus, work, settings, progress)
        run.train()
        write_context(run.model, files, out, settings, corpus, run.progress.scores, overwrite=overwrite)
        remove_directory(work)
    return out


def _digest(files: EncoderFiles) -> str:
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in sorted(files.tensors.items()):
        digest.update(name.encode() + np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()[:16]


class Pretraining:
    """One run: the text, the model on its device, and how far it is."""

    def __init__(
        self, files: EncoderFiles, corpus: Corpus, work: Path, settings: PretrainSettings, progress: bool = False
    ) -> None:
        from accelerate import Accelerator

        self.accelerator = Accelerator(cpu=settings.device == "cpu")
        device = self.accelerator.device
        self.settings, self.corpus, self.work, self.show = settings, corpus, work, progress
        on_gpu = device.type != "cpu"
        self.samples = (0 if on_gpu else CPU_SAMPLES) if settings.samples is None else settings.samples
        self.bfloat16 = on_gpu if settings.bfloat16 is None else settings.bfloat16
        self.batches = Batches(corpus, settings, device)
        vocabulary = self.batches.vocabulary
        self.samples = self.samples if self.samples < vocabulary else 0
        self.lines, self.held_out = split_lines(corpus, settings)
        self.repeats = language_repeats(corpus, self.lines, settings.balance)
        vectors = None if settings.encoder_learning_rate else _all_vectors(files, corpus, work)
        torch.manual_seed(settings.seed)
        self.model = PretrainModel(files, settings, vocabulary, bool(self.samples), vectors)
        encoder = DistillEmb.from_files(files, cache_size=0)
        self.model.start_output(encoder.encode(corpus.words[:vocabulary]), corpus.counts[:vocabulary])
        self.rows = torch.from_numpy(np.array(corpus.rows)).to(device)
        self.optimizers = _optimizers(self.model, settings, bool(self.samples))
        self.module, *self.optimizers = self.accelerator.prepare(self.model, *self.optimizers)
        if on_gpu if settings.compile is None else settings.compile:
            self.model.context = torch.compile(self.model.context, dynamic=True)  # type: ignore[assignment]
        self.progress = Progress()
        self.probabilities = _sampling(corpus.counts[:vocabulary])
        self.log_expected = torch.from_numpy(
            np.log1p(-np.exp(self.samples * np.log1p(-self.probabilities))) if self.samples else self.probabilities
        ).float().to(device)
        self.total = settings.words or settings.epochs * int(corpus.lengths[self.lines].sum())

    def train(self) -> None:
        """Train from the last checkpoint, if there is one, to the end."""
        self._load()
        settings, state = self.settings, self.progress
        with TrainingLog(self.work / "pretrain_log.jsonl", self.total, state.words, self.show and self._is_main) as log:
            saved = time.monotonic()
            for lines in self._next_batches():
                begun = time.perf_counter()
                loss, rate = self.step(lines)
                state.seconds += time.perf_counter() - begun
                log.step(state.step, state.words, loss, rate)
                late = settings.max_seconds is not None and state.seconds >= settings.max_seconds
                state.finished = late or state.words >= self.total
                if state.finished or state.step % settings.evaluate_every == 0:
                    state.scores = self.evaluate()
                    log.scores(state.step, state.words, state.seconds, state.scores)
                if state.finished or time.monotonic() - saved >= settings.checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()
                if state.finished:
                    return

    @property
    def _is_main(self) -> bool:
        return bool(self.accelerator.is_main_process)

    def _next_batches(self) -> Iterator[Lines]:
        state, processes = self.progress, self.accelerator.num_processes
        while not state.finished:
            seed = [self.settings.seed, 1, state.epoch]
            batches = epoch_batches(self.corpus, self.lines, self.repeats, self.settings.batch_words, seed)
            while state.batch + processes <= len(batches) or (state.batch == 0 and batches):
                place = (state.batch + self.accelerator.process_index) % len(batches)
                state.batch += processes
                yield batches[place]
            state.epoch, state.batch = state.epoch + 1, 0

    def step(self, lines: Lines) -> tuple[Tensor, float]:
        """One step of the optimizers. Returns the loss and the learning rate."""
        settings, state = self.settings, self.progress
        self.module.train()
        seed = [settings.seed, 2, state.step, self.accelerator.process_index]
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))  # of dropout
        batch = self.batches(lines, seed)
        rate = self._set_rate()
        with self._autocast():
            loss = self.module(batch, self.rows, self._draw(state.step), self.log_expected if self.samples else None)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        if settings.clip:
            self.accelerator.clip_grad_norm_(self._clipped(), settings.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        state.step += 1
        state.words += int(self.corpus.lengths[lines].sum()) * self.accelerator.num_processes
        return loss.detach(), rate

    def _autocast(self) -> Any:
        return torch.autocast(self.accelerator.device.type, torch.bfloat16) if self.bfloat16 else nullcontext()

    def _clipped(self) -> list[nn.Parameter]:
        sparse = self.model.head.word_vectors.weight if self.samples else None
        return [p for p in self.model.parameters() if p.requires_grad and p is not sparse]

    def _set_rate(self) -> float:
        settings, state = self.settings, self.progress
        done = state.words / self.total
        if settings.max_seconds:
            done = max(done, state.seconds / settings.max_seconds)
        factor = min(1.0, (state.step + 1) / max(1, settings.warmup))
        factor *= max(_FLOOR, 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
        return settings.learning_rate * factor

    def _draw(self, step: int) -> Tensor | None:
        if not self.samples:
            return None
        drawn = np.random.default_rng([self.settings.seed, 3, step]).random(self.samples)
        words = np.unique(np.searchsorted(np.cumsum(self.probabilities), drawn))
        return torch.from_numpy(np.minimum(words, len(self.probabilities) - 1)).to(self.accelerator.device)

    def evaluate(self) -> dict[str, float]:
        """Loss over all words and accuracy (0 to 1) of the held-out lines, always with the same words masked."""
        if not len(self.held_out):
            return {}
        self.model.eval()
        ones = np.ones(len(self.corpus.languages))
        loss, right, number = 0.0, 0, 0
        for place, lines in enumerate(epoch_batches(self.corpus, self.held_out, ones, self.settings.batch_words, [0])):
            with self._autocast():
                one = self.model.score(self.batches(lines, [0, place]), self.rows)
            loss, right, number = loss + one[0], right + one[1], number + one[2]
        return {"loss": loss / max(1, number), "accuracy": right / max(1, number)}

    def _save(self) -> None:
        if not self._is_main:
            return
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for place, optimizer in enumerate(self.optimizers):
            for number, values in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{place}.{number}.{name}": torch.as_tensor(v) for name, v in values.items()}
        save_checkpoint(self.work, {n: t.detach().cpu().numpy() for n, t in tensors.items()}, asdict(self.progress))

    def _load(self) -> None:
        found = load_checkpoint(self.work)
        if found is None:
            return
        tensors = {name: torch.from_numpy(array) for name, array in found[0].items()}
        self.progress = Progress(**found[1])
        own = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
        self.model.load_state_dict(own)
        for place, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, tensor in tensors.items():
                if name.startswith(f"optimizer.{place}."):
                    number, _, key = name.removeprefix(f"optimizer.{place}.").partition(".")
                    state.setdefault(int(number), {})[key] = tensor
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _all_vectors(files: EncoderFiles, corpus: Corpus, work: Path) -> NDArray[np.float16]:
    """The vectors of all words float16 ``[distinct, dim]``, computed once and mapped from disk."""
    file = work / "vectors.npy"
    if not file.is_file():
        encoder = DistillEmb.from_files(files, cache_size=0)
        parts = range(0, len(corpus.words), _ENCODED_AT_ONCE)
        vectors = [encoder.encode(corpus.words[at : at + _ENCODED_AT_ONCE]).astype(np.float16) for at in parts]
        with atomic_file(file) as stream:
            np.save(stream, np.concatenate(vectors))
    result: NDArray[np.float16] = np.load(file, mmap_mode="r")
    return result


def _sampling(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    weights = np.maximum(counts, 1).astype(np.float64) ** _POWER
    result: NDArray[np.float64] = weights / weights.sum()
    return result


def _optimizers(model: PretrainModel, settings: PretrainSettings, sampled: bool) -> list[torch.optim.Optimizer]:
    """AdamW over all but the output vectors where these learn from samples; those have Adam on the rows of a batch."""
    sparse = model.head.word_vectors.weight if sampled else None
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter is not sparse:
            groups.setdefault((name.startswith("encoder."), parameter.dim() > 1), []).append(parameter)
    rate = settings.learning_rate
    described: list[dict[str, Any]] = [
        {
            "params": parameters,
            "peak": rate * (settings.encoder_learning_rate if in_encoder else 1),
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (in_encoder, decays), parameters in groups.items()
    ]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(described, lr=rate, betas=(0.9, 0.98), fused=True)]
    if sparse is not None:
        optimizers.append(torch.optim.SparseAdam([{"params": [sparse], "peak": rate}], lr=rate, betas=(0.9, 0.98)))
    return optimizers
