"""How context layers are pretrained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import DistillEmbError
from ..settings import FROM_ZERO, SHARE, TO_ONE, check_settings, meanings, setting

if TYPE_CHECKING:
    from ..quantization import Storage

_NEW_LAYERS: dict[str, Any] = {"layers": 3, "size": 256, "heads": 4, "range": 96}
_SIZES = (*_NEW_LAYERS, "feed_forward")


def _size(doc: str, new: str) -> Any:
    return setting(0, f"{doc}; 0 keeps that of the encoder, and takes {new} for new layers.", least=0)


@dataclass(frozen=True)
class PretrainSettings:
    """Sizes of the context layers, and how they learn from raw text by masked words. `describe_settings` tells each."""

    layers: int = _size("Number of transformer layers", "3")
    size: int = _size("Width of a word in context", "256")
    heads: int = _size("Attention heads of a layer, which divide `size`", "4")
    feed_forward: int = _size("Units of a layer's feed-forward network", "four times `size`")
    dropout: float = setting(0.1, "Probability in training.", number=SHARE)
    range: int = _size("How far a word sees, in words (longer lines are cut)", "96")
    vocabulary: int = setting(
        50_000,
        "Words that can be predicted, the most frequent ones. Rarer words are read and never predicted.",
        least=1,
    )
    mask: float = setting(0.2, "Share of the words that are predicted.", number=SHARE)
    balance: float = setting(
        0.6,
        "Power of a language's share of the text with which it is drawn; 1 draws lines as they are, 0 all "
        "languages alike.",
        number=TO_ONE,
    )
    words: int = setting(0, "Words to read in all; 0 reads the text `epochs` times.", least=0)
    epochs: int = setting(4, "Passes over the text, where `words` is 0.", least=1)
    batch_words: int = setting(8192, "Words of a batch, padding included.", least=1)
    learning_rate: float = setting(
        1.5e-3,
        "Peak of AdamW's rate. It rises over `warmup` steps and falls by a cosine to a fiftieth.",
        number=FROM_ZERO,
    )
    encoder_learning_rate: float = setting(
        1.0, "Share of it that the encoder gets; 0 keeps the encoder as it is.", number=FROM_ZERO
    )
    warmup: int = setting(300, "Steps of the rise.", least=0)
    weight_decay: float = setting(0.01, "Of matrices.")
    clip: float = setting(1.0, "Largest norm of a step's gradients.")
    samples: int | None = setting(
        None,
        "Words against which a masked word is told apart; 0 takes all (a full softmax), None takes all on a "
        "GPU and 4,096 on a CPU.",
    )
    bfloat16: bool | None = setting(None, "Mixed precision; None uses it on a GPU.")
    compile: bool = setting(False, "Compile the layers with torch.compile, which takes a minute at the start.")
    held_out: int = setting(2000, "Lines that are scored and never trained on.", least=0)
    evaluate_every: int = setting(1000, "Steps between two scores of the held-out lines.", least=1)
    max_seconds: float | None = setting(None, "Stop after so long, with the rate at its end; None reads all `words`.")
    checkpoint_seconds: float = setting(300.0, "Time between two checkpoints.")
    storage: Storage = setting("float16", "How the weights are written.", choices=("float32", "float16", "int8"))  # noqa: RUF009
    seed: int = setting(0, "Of all random numbers.")
    device: str | None = setting(None, "cpu, or None for a GPU where there is one.")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.heads and (self.size % self.heads or self.size // self.heads % 2):
            raise DistillEmbError(
                f"size is {self.size} and heads {self.heads}: size has to be an even multiple of heads, such as "
                f"{max(1, round(self.size / self.heads / 2)) * 2 * self.heads}."
            )

    def for_encoder(self, config: Mapping[str, Any]) -> PretrainSettings:
        """The settings with every size. If the encoder has context layers, their sizes are kept.

        Args:
            config: The encoder's configuration.

        Raises:
            DistillEmbError: A size was given that the encoder's context layers do not have.
        """
        if not config.get("context_layers"):
            return replace(self, **{name: getattr(self, name) or new for name, new in _NEW_LAYERS.items()})
        sizes = {name: config["context_layers" if name == "layers" else f"context_{name}"] for name in _SIZES}
        for name, own in sizes.items():
            if getattr(self, name) not in (0, own):
                raise DistillEmbError(
                    f"{name} is {getattr(self, name)}, and the encoder has context layers already, with {name} {own}: "
                    "leave it out to go on from them, or give an encoder without context layers."
                )
        return replace(self, **sizes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def describe_settings() -> dict[str, str]:
    """What each setting means, by its name."""
    return meanings(PretrainSettings)
