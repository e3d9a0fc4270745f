"""What stands on the word vectors: recurrent layers, a linear-chain CRF, shape features, pooling and losses.

Sentences are kept compact while they run: the words first, padding behind them, whatever side they were padded on, so
that a sentence scores the same alone and in a batch. Everything is exact under ``torch.export`` and ONNX with any
number of sentences and words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .characters_distillemb import DIGIT, LETTER, OTHER, UPPER

FORBIDDEN = -1e9  # a score that no sum of real ones reaches, and whose sums stay finite
IGNORED = -100  # the label of words that are not scored
VITERBI_MARGIN = 0.01


class Positions(NamedTuple):
    """Where words stand. All int64, ``[batch]`` for `lengths` and ``[batch, words]`` for the others.

    order: position in the sentence of each compact position. rank: its inverse, for words. mirrored: compact position
    of the same word counted from the sentence's end.
    """

    lengths: Tensor
    order: Tensor
    rank: Tensor
    mirrored: Tensor


def find_positions(mask: Tensor) -> Positions:
    """Find the words, where `mask`, bool ``[batch, words]``, is true. Padding may be on either side."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    lengths = mask.sum(1)
    order = torch.argsort(positions + mask.shape[1] * (~mask).long(), dim=1)
    rank = (mask.long().cumsum(1) - 1).clamp(min=0)
    mirrored = (lengths[:, None] - 1 - positions).clamp(min=0)
    return Positions(lengths, order, rank, mirrored)


def reorder(x: Tensor, positions: Tensor) -> Tensor:
    """Return ``x[b, positions[b, w]]`` for x ``[batch, words, size]`` and positions ``[batch, words]``."""
    return x.gather(1, positions[:, :, None].expand(-1, -1, x.shape[2]))


def exporting() -> bool:
    """Return whether ``torch.export`` (or ``torch.onnx.export``) is tracing."""
    state = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
    return bool(state())


def run_steps(step: Callable[[Any, Any], tuple[Any, Tensor]], carry: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    """Return the outputs of a recurrence, ``[steps, ...]``: ``carry, output = step(carry, inputs of one step)``.

    A plain loop; in an exported program torch's `scan`, whose number of steps stays open.
    """
    if exporting():
        from torch._higher_order_ops.scan import scan

        return scan(step, carry, inputs, dim=0)[1]
    outputs = []
    for now in zip(*inputs, strict=True):
        carry, output = step(carry, now)
        outputs.append(output)
    return torch.stack(outputs)


def _recurrence(cell: Any, x: Tensor) -> Tensor:
    """Return ``cell(x)[0]`` for x ``[batch, words, size]``; when exporting, by the same formulas as a recurrence.

    torch's own LSTM and GRU are exported with a fixed number of steps.
    """
    if not exporting():
        output: Tensor = cell(x)[0]
        return output
    w, b = cell.weight_hh_l0, cell.bias_hh_l0
    gates = (x @ cell.weight_ih_l0.T + cell.bias_ih_l0).transpose(0, 1)
    start = x.new_zeros(x.shape[0], cell.hidden_size)

    def lstm(carry: Any, now: Any) -> tuple[Any, Tensor]:
        hidden, memory = carry
        enter, forget, value, leave = (now[0] + hidden @ w.T + b).chunk(4, 1)
        memory = torch.sigmoid(forget) * memory + torch.sigmoid(enter) * torch.tanh(value)
        hidden = torch.sigmoid(leave) * torch.tanh(memory)
        return (hidden, memory), hidden.clone()

    def gru(carry: Any, now: Any) -> tuple[Any, Tensor]:
        (hidden,) = carry
        reset, keep, value = now[0].chunk(3, 1)
        own_reset, own_keep, own_value = (hidden @ w.T + b).chunk(3, 1)
        keep = torch.sigmoid(keep + own_keep)
        value = torch.tanh(value + torch.sigmoid(reset + own_reset) * own_value)
        hidden = (1 - keep) * value + keep * hidden
        return (hidden,), hidden.clone()

    if isinstance(cell, nn.LSTM):
        return run_steps(lstm, (start, start.clone()), (gates,)).transpose(0, 1)
    return run_steps(gru, (start,), (gates,)).transpose(0, 1)


class Bidirectional(nn.Module):
    """Bidirectional LSTM or GRU layers over sentences of different lengths.

    Two one-way layers, the second over the mirrored sentence: as exact as packing (padding stands behind the words
    and is never read), and it can be exported.
    """

    def __init__(self, size: int, hidden: int, layers: int, cell: str, dropout: float) -> None:
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        sizes = [size] + [2 * hidden] * (layers - 1)
        self.forwards = nn.ModuleList(kind(n, hidden, batch_first=True) for n in sizes)
        self.backwards = nn.ModuleList(kind(n, hidden, batch_first=True) for n in sizes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Read x, ``[batch, words, size]``, where mask, bool ``[batch, words]``: ``[batch, words, 2 * hidden]``."""
        positions = find_positions(mask)
        x = reorder(x, positions.order)
        for number, (ahead, back) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            x = self.dropout(x) if number else x
            backwards = reorder(_recurrence(back, reorder(x, positions.mirrored)), positions.mirrored)
            x = torch.cat([_recurrence(ahead, x), backwards], 2)
        return reorder(x, positions.rank) * mask[:, :, None].to(x.dtype)


class ChainCrf(nn.Module):
    """A linear-chain conditional random field (Lafferty et al. 2001) over the words of a sentence.

    score(y) = start[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_(t-1), y_t] + end[y_n].
    Computed in float32, whatever the emissions are.
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.empty(num_labels))
        self.end = nn.Parameter(torch.empty(num_labels))
        self.transitions = nn.Parameter(torch.empty(num_labels, num_labels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def loss(self, emissions: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """Return the summed negative log-likelihood of the labels, a scalar.

        emissions: float ``[batch, words, labels]``. mask: bool ``[batch, words]``. labels: int64 ``[batch, words]``. A
        word labeled -100 may have any label (its probabilities are summed), so that it neither counts nor breaks the
        chain.
        """
        free = (labels == IGNORED)[:, :, None]
        wrong = torch.arange(emissions.shape[2], device=labels.device) != labels[:, :, None]
        given = emissions.float().masked_fill(wrong & ~free, FORBIDDEN)
        both = self.partition(torch.cat([emissions.float(), given]), torch.cat([mask, mask]))
        everything, matching = both.chunk(2)
        return (everything - matching).sum()

    def partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return the logarithm of the summed exp(score) over all label sequences: ``[batch]``."""
        positions = find_positions(mask)
        alphas = self._alphas(reorder(emissions.float(), positions.order), positions.lengths)
        return torch.logsumexp(alphas[-1] + self.end.float(), 1)

    def _alphas(self, compact: Tensor, lengths: Tensor, backwards: bool = False) -> Tensor:
        """Return forward scores ``[words, batch, labels]``, emissions included (Rabiner 1989, eq. 19-20)."""
        transitions, start = self.transitions.float(), self.start.float()
        if backwards:
            transitions, start = transitions.T, self.end.float()

        def step(carry: Any, now: Any) -> tuple[Any, Tensor]:
            (alpha,) = carry
            emission, first, live = now
            later = torch.logsumexp(alpha[:, :, None] + transitions, 1)
            alpha = torch.where(live, torch.where(first, start, later) + emission, alpha)
            return (alpha,), alpha.clone()

        return run_steps(step, (torch.zeros_like(compact[:, 0]),), _by_step(compact, lengths))

    def log_marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return log p(label of a word | sentence) by forward-backward: ``[batch, words, labels]``, 0 for padding."""
        positions = find_positions(mask)
        compact = reorder(emissions.float(), positions.order)
        ahead = self._alphas(compact, positions.lengths).transpose(0, 1)
        back = self._alphas(reorder(compact, positions.mirrored), positions.lengths, backwards=True).transpose(0, 1)
        joint = reorder(ahead + reorder(back, positions.mirrored) - compact, positions.rank)
        return torch.log_softmax(joint, 2) * mask[:, :, None]

    def viterbi(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return the most probable label sequence, int64 ``[batch, words]``; padding gets 0."""
        positions = find_positions(mask)
        compact = reorder(emissions.float(), positions.order)
        transitions, start = self.transitions.float(), self.start.float()
        labels = torch.arange(compact.shape[2], device=compact.device)

        def ahead(carry: Any, now: Any) -> tuple[Any, Tensor]:
            (best,) = carry
            emission, first, live = now
            later, origin = (best[:, :, None] + transitions).max(1)
            origin = torch.where(live & ~first, origin, labels)  # outside the sentence, the label is carried on
            best = torch.where(live, torch.where(first, start, later) + emission, best)
            return (best,), torch.cat([origin.to(best.dtype), best], 1)

        def back(carry: Any, now: Any) -> tuple[Any, Tensor]:
            (label,) = carry
            return (now[0].gather(1, label[:, None])[:, 0],), label.clone()

        steps = run_steps(ahead, (torch.zeros_like(compact[:, 0]),), _by_step(compact, positions.lengths))
        origins, best = steps.chunk(2, 2)
        last = (best[-1] + self.end.float()).argmax(1)
        path = run_steps(back, (last,), (origins.long().flip(0),)).flip(0).transpose(0, 1)
        return path.gather(1, positions.rank) * mask

    def scores(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return scores whose softmax is each label's probability and whose argmax is the Viterbi path.

        They are the log-marginals. At the rare word whose label in the most probable *sequence* is not the word's own
        most probable label, the label of the sequence is lifted just above the best. So the pipelines and
        ``compute_metrics``, which take the argmax, decode by Viterbi.

        Float32 ``[batch, words, labels]``; padding gets 0.
        """
        marginals = self.log_marginals(emissions, mask)
        path = self.viterbi(emissions, mask)[:, :, None]
        best, place = marginals.max(2, keepdim=True)
        lifted = torch.where(place == path, marginals.gather(2, path), best + VITERBI_MARGIN)
        return marginals.scatter(2, path, lifted) * mask[:, :, None]


def _by_step(compact: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a recurrence's inputs: emissions, whether a step is the first, whether it is in the sentence."""
    steps = torch.arange(compact.shape[1], device=compact.device)[:, None, None]
    live = steps < lengths[None, :, None]
    return compact.transpose(0, 1), (steps == 0).expand_as(live), live


SHAPES = 7


class ShapeFeatures(nn.Module):
    """The shape of a word as a small learned vector, the sum of one for each trait that it has.

    Traits: begins upper case; upper case later; upper case only; has a digit; digits only; has punctuation or a
    symbol; nothing else. classes: of each character id 0 (padding, unknown), or LETTER, UPPER, DIGIT or OTHER.
    """

    def __init__(self, classes: list[int], size: int) -> None:
        super().__init__()
        self._given = classes
        self.classes: Tensor
        self.register_buffer("classes", torch.tensor(classes, dtype=torch.long))
        self.traits = nn.Linear(SHAPES, size, bias=False)

    def reset_parameters(self) -> None:
        # transformers builds models on the meta device: a table that the checkpoint lacks is filled again here
        with torch.no_grad():
            self.classes.copy_(torch.tensor(self._given, dtype=torch.long))

    def forward(self, char_ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the vectors, `dtype` ``[batch, words, size]``, of char_ids, int64 ``[batch, words, max_chars]``."""
        classes = self.classes[char_ids]
        upper, letter, digit, other = (classes == kind for kind in (UPPER, LETTER, DIGIT, OTHER))
        begun = (char_ids != 0).cumsum(2)
        has_upper, has_letter, has_digit, has_other = (x.any(2) for x in (upper, letter, digit, other))
        traits = [
            (upper & (begun == 1)).any(2),
            (upper & (begun > 1)).any(2),
            has_upper & ~has_letter,
            has_digit,
            has_digit & ~(has_upper | has_letter | has_other),
            has_other,
            has_other & ~(has_upper | has_letter | has_digit),
        ]
        result: Tensor = self.traits(torch.stack(traits, 2).to(dtype))
        return result.to(dtype)


def pool_words(x: Tensor, mask: Tensor) -> Tensor:
    """Join mean and maximum over the words: ``[batch, words, n]`` to ``[batch, 2 n]``, zeros without words."""
    kept = mask[:, :, None]
    count = kept.sum(1).clamp(min=1)
    mean = (x * kept).sum(1) / count
    highest = x.masked_fill(~kept, torch.finfo(x.dtype).min).amax(1)
    return torch.cat([mean.to(x.dtype), highest * mask.any(1, keepdim=True)], 1)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the sum over the labels that are not `IGNORED`; the last dimension of `logits` is the classes."""
    flat = logits.float().flatten(0, -2)
    return functional.cross_entropy(flat, labels.long().flatten(), ignore_index=IGNORED, reduction="sum")


def check_labels(labels: Tensor, shape: Any, num_labels: int, rule: str) -> None:
    """Raise ValueError for whole-number labels of another shape, or outside of the classes."""
    if labels.shape != shape:
        raise ValueError(f"labels has the shape {list(labels.shape)}, not {list(shape)}: give {rule}.")
    if torch.compiler.is_compiling() or not labels.numel():
        return
    if labels.is_floating_point():
        raise ValueError(f"labels is {labels.dtype}: give whole numbers (int64), {rule}.")
    wrong = labels[(labels != IGNORED) & ((labels < 0) | (labels >= num_labels))]
    if len(wrong):
        raise ValueError(
            f"labels holds {int(wrong[0])}, and the model has {num_labels} labels (0 to {num_labels - 1}, -100 for "
            "none): set num_labels or id2label when loading it."
        )
