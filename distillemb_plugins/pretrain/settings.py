"""How context layers are pretrained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ..errors import DistillEmbError

if TYPE_CHECKING:
    from ..quantization import Storage


def _setting(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class PretrainSettings:
    """Sizes of the context layers, and how they learn from raw text by masked words. `describe_settings` tells each."""

    layers: int = _setting(3, "Transformer layers.")
    size: int = _setting(256, "Width of a word in context.")
    heads: int = _setting(4, "Attention heads of a layer; they divide `size`.")
    feed_forward: int = _setting(0, "Units of a layer's feed-forward network; 0 takes four times `size`.")
    dropout: float = _setting(0.1, "Probability in training.")
    range: int = _setting(96, "How far a word sees, in words. Longer lines are cut.")
    vocabulary: int = _setting(
        50_000, "Words that can be predicted, the most frequent ones. Rarer words are read and never predicted."
    )
    mask: float = _setting(0.2, "Share of the words that are predicted.")
    balance: float = _setting(
        0.6,
        "Power of a language's share of the text with which it is drawn; 1 draws lines as they are, 0 all "
        "languages alike.",
    )
    words: int = _setting(0, "Words to read in all; 0 reads the text `epochs` times.")
    epochs: int = _setting(4, "Passes over the text, where `words` is 0.")
    batch_words: int = _setting(8192, "Words of a batch, padding included.")
    learning_rate: float = _setting(
        1.5e-3, "Peak of AdamW's rate. It rises over `warmup` steps and falls by a cosine to a fiftieth."
    )
    encoder_learning_rate: float = _setting(1.0, "Share of it that the encoder gets; 0 keeps the encoder as it is.")
    warmup: int = _setting(300, "Steps of the rise.")
    weight_decay: float = _setting(0.01, "Of matrices.")
    clip: float = _setting(1.0, "Largest norm of a step's gradients.")
    samples: int | None = _setting(
        None,
        "Words against which a masked word is told apart; 0 takes all (a full softmax), None takes all on a "
        "GPU and 4,096 on a CPU.",
    )
    bfloat16: bool | None = _setting(None, "Mixed precision; None uses it on a GPU.")
    compile: bool | None = _setting(None, "Compile the layers with torch.compile; None does so on a GPU.")
    held_out: int = _setting(2000, "Lines that are scored and never trained on.")
    evaluate_every: int = _setting(1000, "Steps between two scores of the held-out lines.")
    max_seconds: float | None = _setting(None, "Stop after so long, with the rate at its end; None reads all `words`.")
    checkpoint_seconds: float = _setting(300.0, "Time between two checkpoints.")
    storage: Storage = field(default="float16", metadata={"doc": "How the weights are written."})
    seed: int = _setting(0, "Of all random numbers.")
    device: str | None = _setting(None, "cpu, or None for a GPU where there is one.")

    def __post_init__(self) -> None:
        from ..quantization import check_storage  # NumPy, which a command's help does not need

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


def describe_settings() -> dict[str, str]:
    """What each setting means, by its name."""
    return {one.name: one.metadata["doc"] for one in fields(PretrainSettings)}
