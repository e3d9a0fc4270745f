"""Pretraining context layers on raw text by masked words (Devlin et al. 2019), here over whole words."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.record import recorded_corpora
from ..distill.progress import TrainingLog, TrainingRun, TrainingState
from ..encoder import DistillEmb
from ..errors import require
from ..facts import Corpus as TextFacts
from ..facts import EncoderFacts, current_versions
from ..files import atomic_file, remove_directory
from ..persistence import EncoderFiles, read_encoder, write_encoder
from ..runs import check_output, file_identity, is_main_process, work_directory, work_path
from .batches import Batch, Batches, epoch_batches, language_repeats, read_ahead, split_lines
from .corpus import Corpus, open_corpus, texts_by_language
from .model import PretrainModel, build_model
from .settings import PretrainSettings

LOG_FILE = "pretrain_log.jsonl"
CPU_SAMPLES = 4096
SCORES = "On held-out masked words"
_FREE = ("max_seconds", "checkpoint_seconds", "evaluate_every", "storage", "device", "compile")
_FLOOR = 0.02  # of the learning rate at the end
_POWER = 0.75  # of a word's frequency, with which it is sampled (Mikolov et al. 2013)
_ENCODED_AT_ONCE = 65_536


def pretrain(
    texts: Sequence[str | Path],
    encoder: str | Path,
    out: str | Path,
    settings: PretrainSettings | None = None,
    *,
    facts: EncoderFacts | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Pretrain context layers over an encoder, and write a directory that holds both.

    Args:
        texts: Text files, plain or compressed, or folders of them. The folder that a file lies in names its language;
            ``NAME=FILE`` names another one.
        encoder: An encoder directory, a bundled name or a hub id. If it has context layers, they go on learning. If
            not, new ones begin.
        out: The directory to write. ``<out>.work`` holds the text as numbers, the log and the last checkpoint until
            the run is complete.
        settings: Sizes and training.
        facts: What the model card tells beside what this run knows by itself. The encoder's own facts are kept.
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
    if is_main_process():  # the others may find what this one has begun
        check_output(out, resume=resume, overwrite=overwrite)
    groups, files = texts_by_language(texts), read_encoder(encoder)
    settings = settings.for_encoder(files.config)
    identity = {name: value for name, value in settings.to_dict().items() if name not in _FREE}
    identity |= {"texts": file_identity([file for some in groups.values() for file in some]), "encoder": _digest(files)}
    main = work_directory(out, identity, resume=resume, overwrite=overwrite)
    with main if is_main_process() else nullcontext(work_path(out)) as work:
        run = Pretraining(files, groups, work, settings, progress)
        run.train()
        if run.is_main:
            run.write(out, files.facts.with_more(_with_texts(facts or EncoderFacts(), groups)), overwrite or resume)
            remove_directory(work)
        run.accelerator.wait_for_everyone()
    return out


def _with_texts(facts: EncoderFacts, texts: Mapping[str, Sequence[Path]]) -> EncoderFacts:
    """The facts with all texts: those that have a record of their source, and the languages of the others."""
    rows = list(facts.corpora)
    told = {row.name for row in rows}
    # A source may name several: "hau, swa: https://..."
    told |= {name.strip() for row in rows for name in row.source.partition(":")[0].split(",")}
    for language, files in texts.items():
        others = [file for file in files if not recorded_corpora([file])]
        rows += [TextFacts(language)] if others and language not in told else []
    rows += recorded_corpora([file for files in texts.values() for file in files])
    return replace(facts, corpora=tuple(dict.fromkeys(rows)))


def _digest(files: EncoderFiles) -> str:
    digest = hashlib.sha256()
    for name, tensor in [*sorted(files.tensors.items()), *sorted(files.context.items())]:
        digest.update(name.encode() + np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()[:16]


class Pretraining(TrainingRun):
    """One run: the text, the model on its device, and how far it is."""

    def __init__(
        self,
        files: EncoderFiles,
        texts: Mapping[str, Sequence[Path]],
        work: Path,
        settings: PretrainSettings,
        progress: bool = False,
    ) -> None:
        super().__init__(settings, work, LOG_FILE, progress)
        device, on_gpu, learns = self.device, self.device.type != "cpu", settings.encoder_learning_rate > 0
        with self.accelerator.main_process_first():  # the others open what it made
            corpus = open_corpus(texts, files.characters, work, settings.range, self.show)
            vectors = None if learns else _all_vectors(files, corpus, work)
        self.files, self.corpus = files, corpus
        self.batches = Batches(corpus, settings, device)
        vocabulary = self.batches.vocabulary
        samples = (0 if on_gpu else CPU_SAMPLES) if settings.samples is None else settings.samples
        self.samples = samples if samples < vocabulary else 0
        self.bfloat16 = on_gpu if settings.bfloat16 is None else settings.bfloat16
        self.lines, self.held_out = split_lines(corpus, settings)
        self.repeats = language_repeats(corpus, self.lines, settings.balance)
        self.total = settings.words or settings.epochs * int(corpus.lengths[self.lines].sum())
        torch.manual_seed(settings.seed)
        self.model = PretrainModel(build_model(files, settings, vocabulary), vectors)
        if corpus.counts[:vocabulary].any():
            own = DistillEmb.from_files(files, cache_size=0).encode(corpus.words[:vocabulary])
            self.model.start_output(own, corpus.counts[:vocabulary])
        optimizer = _optimizer(self.model, settings)
        self.module, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.state = TrainingState(self.model, optimizer)
        if settings.compile:
            body = self.model.model.distillemb
            body.context_layers.forward = torch.compile(body.context_layers.forward, dynamic=True)  # type: ignore[union-attr, method-assign]
        weights = np.maximum(corpus.counts[:vocabulary], 1) ** _POWER
        probabilities = weights / weights.sum()
        self.cumulative = np.cumsum(probabilities)
        expected = np.log(-np.expm1(max(self.samples, 1) * np.log1p(-probabilities)))
        self.log_expected = torch.from_numpy(expected).float().to(device)

    def train(self) -> None:
        """Train from the last checkpoint, if there is one, to the end."""
        self.state.load(self.work)
        self.accelerator.wait_for_everyone()  # before the next checkpoint is written
        with closing(read_ahead(self._batches_to_come())) as self._next:
            self.run_steps(self._steps_in_all(), "pretrain")

    def _steps_in_all(self) -> int:
        words = float(self.corpus.lengths[self.lines].mean()) if len(self.lines) else 1.0
        per_step = max(words, 0.9 * self.settings.batch_words) * self.accelerator.num_processes
        return max(1, round(self.total / per_step))

    def _batches_to_come(self) -> Iterator[tuple[Batch, int, int, int]]:
        """This process's batches from where the run stands.

        With each come the words that all processes read in its step, and the epoch and step of the run after it.
        """
        state, processes, rank = self.state.progress, self.accelerator.num_processes, self.accelerator.process_index
        seed, number, begin = self.settings.seed, state.total_steps, state.step
        for epoch in count(state.epoch):
            batches = epoch_batches(self.corpus, self.lines, self.repeats, self.settings.batch_words, [seed, 1, epoch])
            for start in range(begin, max(1, len(batches) - processes + 1), processes):
                together = [batches[n % len(batches)] for n in range(start, start + processes)]
                words = sum(int(self.corpus.lengths[lines].sum()) for lines in together)
                yield self.batches(together[rank], [seed, 2, number, rank]), words, epoch, start + processes
                number += 1
            begin = 0

    def step(self) -> tuple[dict[str, Tensor], float]:
        state = self.state.progress
        batch, words, state.epoch, state.step = next(self._next)
        self.module.train()
        if self.model.vectors is not None:
            self.model.model.distillemb.encoder.eval()
        seed = [self.settings.seed, 2, state.total_steps, self.accelerator.process_index]
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))  # of dropout
        with self._autocast():
            loss = self.module(batch, self._draw(), self.log_expected)
        rate = self.descend(loss, words, self._rate_factor())
        return {"loss": loss.detach()}, rate

    def after_step(self, log: TrainingLog) -> bool:
        settings, state = self.settings, self.state.progress
        late = settings.max_seconds is not None and self.clock() >= settings.max_seconds
        state.finished = late or state.examples >= self.total
        scored = state.finished or state.total_steps % settings.evaluate_every == 0
        if scored:
            state.scores = self.evaluate()
            log.validation()
        return scored

    def _autocast(self) -> Any:
        return torch.autocast(self.accelerator.device.type, torch.bfloat16) if self.bfloat16 else nullcontext()

    def _rate_factor(self) -> float:
        settings, state = self.settings, self.state.progress
        done = state.examples / self.total
        if settings.max_seconds:
            done = max(done, self.clock() / settings.max_seconds)
        factor = min(1.0, (state.total_steps + 1) / max(1, settings.warmup))
        return factor * max(_FLOOR, 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def _draw(self) -> Tensor | None:
        """The words that this step tells the right ones from; None for all."""
        if not self.samples:
            return None
        drawn = np.random.default_rng([self.settings.seed, 3, self.state.progress.total_steps]).random(self.samples)
        words = np.unique(np.searchsorted(self.cumulative, drawn))
        return torch.from_numpy(np.minimum(words, len(self.cumulative) - 1)).to(self.accelerator.device)

    def evaluate(self) -> dict[str, float]:
        """Loss over all words and accuracy (0 to 1) on the held-out lines, always with the same words masked."""
        self.model.eval()
        ones = np.ones(len(self.corpus.languages))
        loss, right, number = 0.0, 0, 0
        for place, lines in enumerate(epoch_batches(self.corpus, self.held_out, ones, self.settings.batch_words, [0])):
            with self._autocast():
                one = self.model.score(self.batches(lines, [0, place]))
            loss, right, number = loss + one[0], right + one[1], number + one[2]
        return {"loss": loss / number, "accuracy": right / number} if number else {}

    def write(self, out: Path, facts: EncoderFacts, overwrite: bool) -> None:
        """Write the encoder with its context layers."""
        config = self.model.model.config
        sizes = {name: value for name, value in config.to_dict().items() if name.startswith("context_")}
        sizes["static_vectors"] = config.static_vectors
        body: Any = self.model.model.distillemb
        weights, context = (
            {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}
            for module in (body.encoder, body.context_layers)
        )
        rounds = self.files.facts.settings.get("pretraining", []) if self.files.context else []
        rounds = [*(rounds if isinstance(rounds, list) else [rounds]), self.settings.to_dict()]
        facts = replace(
            facts,
            scores={**facts.scores, SCORES: self.state.progress.scores},
            settings={**facts.settings, "pretraining": rounds if len(rounds) > 1 else rounds[0]},
            versions=current_versions(),
        )
        write_encoder(
            out,
            {**self.files.config, **sizes},
            weights,
            self.files.characters,
            storage=self.settings.storage,
            context=context,
            facts=facts,
            overwrite=overwrite,
            extra_files={LOG_FILE: (self.work / LOG_FILE).read_bytes()},
        )


def _all_vectors(files: EncoderFiles, corpus: Corpus, work: Path) -> NDArray[np.float16]:
    """The vectors of all words float16 ``[distinct, dim]``, computed once and mapped from disk."""
    file = work / "vectors.npy"
    if not file.is_file():
        encoder = DistillEmb.from_files(files, cache_size=0)
        parts = range(0, len(corpus.words), _ENCODED_AT_ONCE)
        vectors = [encoder.encode(corpus.words[at : at + _ENCODED_AT_ONCE]).astype(np.float16) for at in parts]
        with atomic_file(file) as stream:
            np.save(stream, np.concatenate(vectors))
    result: NDArray[np.float16] = np.load(file, mmap_mode="r", allow_pickle=False)
    return result


def _optimizer(model: PretrainModel, settings: PretrainSettings) -> torch.optim.AdamW:
    """AdamW; matrices decay, and the encoder has a share of the learning rate."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((".encoder." in name, parameter.dim() > 1), []).append(parameter)
    rate = settings.learning_rate
    described: list[dict[str, Any]] = [
        {
            "params": parameters,
            "peak": rate * (settings.encoder_learning_rate if in_encoder else 1),
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (in_encoder, decays), parameters in groups.items()
    ]
    return torch.optim.AdamW(described, lr=rate, betas=(0.9, 0.98), fused=True)
