"""Context layers pretrained on raw text: words are taken away and predicted from what stands around them.

    python scripts/pretrain_context.py --encoder training/afro11-encoder -o training/context

As in masked language models (Devlin et al. 2019), but what is predicted is the distilled vector of the missing word:
it must lie nearer to a linear map of the context layers' output than the vectors of sampled words (InfoNCE; negatives
by frequency to the power of 0.75). The encoder stays as it is. What is saved is a token classification model without a
trained classifier, to fine-tune from.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the recipes are no installed package

from distillemb_plugins import DistillEmb
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.files import atomic_directory, iter_lines
from distillemb_plugins.text import tokenize
from recipes.common import DEFAULT_DATA, corpus_files, run_app

HERE = Path(__file__).resolve().parents[1]
LANGUAGES = ("amh", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "wol", "yor")
LONGEST = 40  # words of a line that are read at once; longer lines are cut into pieces
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class PretrainSettings:
    """words: of each language, in all passes together (short corpora are repeated). batch_size: lines. negatives:
    sampled words that all places of a batch share. temperature: of the softmax over cosine similarities. masked: share
    of the words that are taken away."""

    words: int = 1_000_000
    batch_size: int = 64
    negatives: int = 768
    temperature: float = 0.05
    masked: float = 0.25
    learning_rate: float = 2e-3
    hidden: int = 256
    layers: int = 1
    cell: str = "lstm"
    activation: str = "relu"
    dropout: float = 0.1
    bfloat16: bool = True
    seed: int = 0


class Corpus:
    """Lines of raw text as numbers of distinct words, with each word's vector, characters and count."""

    def __init__(self, lines: Iterable[list[str]], encoder: DistillEmb) -> None:
        numbers: dict[str, int] = {}
        self.lines = [np.array([numbers.setdefault(w, len(numbers)) for w in line], np.int32) for line in lines]
        self.words = list(numbers)
        counts = Counter(itertools.chain.from_iterable(line.tolist() for line in self.lines))
        self.counts = torch.tensor([counts[n] for n in range(len(self.words))], dtype=torch.float32)
        chunks = [self.words[n : n + 50_000] for n in range(0, len(self.words), 50_000)]
        self.vectors = torch.from_numpy(np.concatenate([encoder.encode(chunk) for chunk in chunks]))
        rows = np.concatenate([encoder.characters.encode(chunk) for chunk in chunks])
        self.char_ids = torch.from_numpy(rows.astype(np.int16))

    def unit_vectors(self, numbers: Tensor) -> Tensor:
        """Vectors of length 1 of some words, ``[n, dim]``."""
        return functional.normalize(self.vectors[numbers], dim=1)

    def batches(self, size: int, generator: random.Random) -> Iterator[tuple[Tensor, Tensor]]:
        """Word numbers and mask ``[lines, words]``; lines of about the same length come together."""
        order = sorted(range(len(self.lines)), key=lambda n: (len(self.lines[n]), generator.random()))
        groups = [order[n : n + size] for n in range(0, len(order), size)]
        generator.shuffle(groups)
        for group in groups:
            lines = [torch.from_numpy(self.lines[n]).long() for n in group]
            numbers = nn.utils.rnn.pad_sequence(lines, batch_first=True, padding_value=-1)
            yield numbers.clamp(min=0), numbers >= 0


def read_lines(data: Path, language: str, words: int) -> Iterator[list[str]]:
    """Tokenised pieces of a language's raw text, from its beginning again where it is short, `words` words in all."""
    files = corpus_files(data, [language])
    texts = [list(itertools.islice(iter_lines([file]), 200_000)) for file in files]
    generator = random.Random(0)
    pool = [text for source in texts for text in source]
    left = words
    while left > 0 and pool:
        generator.shuffle(pool)
        for text in pool:
            tokens = tokenize(text)
            for begin in range(0, len(tokens), LONGEST):
                piece = tokens[begin : begin + LONGEST]
                if len(piece) > 1:
                    yield piece
                    left -= len(piece)
            if left <= 0:
                return


class MaskedWords(nn.Module):
    """Some words' vectors are taken away, and must be told from those of sampled words by what stands around them."""

    def __init__(self, model: Any, dim: int, settings: PretrainSettings) -> None:
        super().__init__()
        self.model = model
        self.guess = nn.Linear(model.classifier_size, dim)
        self.hidden = nn.Parameter(torch.zeros(dim))
        self.settings = settings

    def forward(self, corpus: Corpus, numbers: Tensor, mask: Tensor, sampled: Tensor) -> Tensor:
        """The mean loss; numbers, mask: ``[lines, words]``; sampled: word numbers ``[n]``."""
        taken = mask & (torch.rand(mask.shape) < self.settings.masked)
        vectors = torch.where(taken[:, :, None], self.hidden, corpus.vectors[numbers])
        char_ids = corpus.char_ids[numbers].long() * ~taken[:, :, None]
        guess = functional.normalize(self.guess(self.model.contextualize(vectors, char_ids, mask)[taken]), dim=1)
        wanted = numbers[taken]
        own = (guess * corpus.unit_vectors(wanted).to(guess.dtype)).sum(1, keepdim=True)
        others = guess @ corpus.unit_vectors(sampled).T.to(guess.dtype)
        others = others.masked_fill(sampled[None] == wanted[:, None], -1.0)  # the word itself is no negative
        logits = torch.cat([own, others], 1).float() / self.settings.temperature
        return functional.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def pretrain(model: Any, corpus: Corpus, settings: PretrainSettings, progress: bool = True) -> list[float]:
    """Train the context layers of `model`; returns the mean loss of each tenth of the run."""
    torch.manual_seed(settings.seed)
    network = MaskedWords(model, corpus.vectors.shape[1], settings).train()
    model.distillemb.requires_grad_(False)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.01, fused=True)
    steps = -(-len(corpus.lines) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=steps, pct_start=0.1)
    rates = corpus.counts**0.75 / (corpus.counts**0.75).sum()
    pool = torch.multinomial(rates, 4_000_000, replacement=True)
    losses: list[float] = []
    tenths: list[float] = []
    start = time.perf_counter()
    for step, (numbers, mask) in enumerate(corpus.batches(settings.batch_size, random.Random(settings.seed)), start=1):
        place = int(torch.randint(len(pool) - settings.negatives, ()))
        sampled = torch.unique(pool[place : place + settings.negatives])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.bfloat16):
            loss = network(corpus, numbers, mask, sampled)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step * 10 // steps > len(tenths):
            tenths.append(float(np.mean(losses)))
            losses = []
            if progress:
                typer.echo(
                    f"{step} of {steps} steps, loss {tenths[-1]:.3f}, {time.perf_counter() - start:.0f} s", err=True
                )
    return tenths


def context_model(encoder: Path, settings: PretrainSettings) -> Any:
    """An untrained tagger over the encoder, whose layers below the classifier are to be pretrained."""
    from distillemb_plugins.hf import DistillEmbForTokenClassification

    torch.manual_seed(settings.seed)
    return DistillEmbForTokenClassification.from_pretrained(
        encoder,
        head="bilstm",
        head_cell=settings.cell,
        head_hidden_size=settings.hidden,
        head_layers=settings.layers,
        head_dropout=settings.dropout,
        head_activation=settings.activation,
        shape_features=True,
    )


@app.command()
def main(
    encoder: Annotated[Path, typer.Option(help="Encoder directory.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory to write.")],
    data: Annotated[Path, typer.Option(help="Folder with corpora/.")] = DEFAULT_DATA,
    language: Annotated[list[str], typer.Option(help="Language; repeat for several.")] = list(LANGUAGES),  # noqa: B006
    words: Annotated[int, typer.Option(help="Words of each language.")] = PretrainSettings.words,
    hidden: Annotated[int, typer.Option(help="Units of each direction.")] = PretrainSettings.hidden,
    layers: Annotated[int, typer.Option(help="Recurrent layers.")] = PretrainSettings.layers,
    activation: Annotated[str, typer.Option(help="On the word vectors: relu, gelu, tanh, none.")] = "relu",
    seed: int = 0,
) -> None:
    """Pretrain the context layers on raw text."""
    if out.exists():
        raise DistillEmbError(f"{out} exists: remove it, or choose another --out.")
    settings = PretrainSettings(words=words, hidden=hidden, layers=layers, activation=activation, seed=seed)
    lines = itertools.chain.from_iterable(read_lines(data, name, words) for name in language)
    corpus = Corpus(lines, DistillEmb.from_pretrained(encoder))
    typer.echo(
        f"{len(corpus.lines):,} lines, {int(corpus.counts.sum()):,} words, {len(corpus.words):,} distinct", err=True
    )
    model = context_model(encoder, settings)
    losses = pretrain(model, corpus, settings)
    from transformers import AutoTokenizer

    with atomic_directory(out) as folder:
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
        report = {"settings": asdict(settings), "languages": list(language), "losses": losses}
        (folder / "pretraining.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    run_app(app)
