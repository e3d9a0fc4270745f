"""How context layers are pretrained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import DistillEmbError
from ..quantization import Storage, check_storage


@dataclass(frozen=True)
class PretrainSettings:
    """Sizes of the context layers, and how they learn from raw text by masked words.

    Args:
        layers: Transformer layers.
        size: Width of a word in context.
        heads: Attention heads of a layer; they divide `size`.
        feed_forward: Units of a layer's feed-forward network; 0 takes four times `size`.
        dropout: Probability in training.
        range: How far a word sees, in words. Longer lines are cut.
        vocabulary: Words that can be predicted, the most frequent ones. Rarer words are read and never predicted.
        mask: Share of the words that are predicted.
        balance: Power of a language's share of the text with which it is drawn; 1 draws lines as they are, 0 all
            languages alike.
        words: Words to read in all; 0 reads the text `epochs` times.
        epochs: Passes over the text, where `words` is 0.
        batch_words: Words of a batch, padding included.
        learning_rate: Peak of AdamW's rate. It rises over `warmup` steps and falls by a cosine to a fiftieth.
        encoder_learning_rate: Share of it that the encoder gets; 0 keeps the encoder as it is.
        warmup: Steps of the rise.
        weight_decay: Of matrices.
        clip: Largest norm of a step's gradients.
        samples: Words against which a masked word is told apart; 0 takes all (a full softmax), None takes all on a GPU
            and 4,096 on a CPU.
        bfloat16: Mixed precision; None uses it on a GPU.
        compile: Compile the layers with torch.compile; None does so on a GPU.
        held_out: Lines that are scored and never trained on.
        evaluate_every: Steps between two scores of the held-out lines.
        max_seconds: Stop after so long, with the rate at its end; None reads all `words`.
        checkpoint_seconds: Time between two checkpoints.
        storage: How the weights are written.
        seed: Of all random numbers.
        device: "cpu", or None for a GPU where there is one.
    """

    layers: int = 3
    size: int = 256
    heads: int = 4
    feed_forward: int = 0
    dropout: float = 0.1
    range: int = 96
    vocabulary: int = 50_000
    mask: float = 0.2
    balance: float = 0.6
    words: int = 0
    epochs: int = 4
    batch_words: int = 8192
    learning_rate: float = 1.5e-3
    encoder_learning_rate: float = 1.0
    warmup: int = 300
    weight_decay: float = 0.01
    clip: float = 1.0
    samples: int | None = None
    bfloat16: bool | None = None
    compile: bool | None = None
    held_out: int = 2000
    evaluate_every: int = 1000
    max_seconds: float | None = None
    checkpoint_seconds: float = 300.0
    storage: Storage = "float16"
    seed: int = 0
    device: str | None = None

    def __post_init__(self) -> None:
        check_storage(self.storage)
        for name in ("layers", "size", "heads", "range", "vocabulary", "epochs", "batch_words", "evaluate_every"):
            if getattr(self, name) < 1:
                raise DistillEmbError(f"{name} is {getattr(self, name)}: give a whole number of at least 1.")
        for name in ("feed_forward", "words", "warmup", "held_out", "learning_rate", "encoder_learning_rate"):
            if getattr(self, name) < 0:
                raise DistillEmbError(f"{name} is {getattr(self, name)}: give 0 or more.")
        if self.size % self.heads or self.size // self.heads % 2:
            raise DistillEmbError(
                f"size is {self.size} and heads {self.heads}: size has to be an even multiple of heads, such as "
                f"{max(1, round(self.size / self.heads / 2)) * 2 * self.heads}."
            )
        for name in ("dropout", "mask"):
            if not 0 <= getattr(self, name) < 1:
                raise DistillEmbError(f"{name} is {getattr(self, name)}: give a share from 0 to below 1.")
        if not 0 <= self.balance <= 1:
            raise DistillEmbError(f"balance is {self.balance}: give a power from 0 to 1.")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
