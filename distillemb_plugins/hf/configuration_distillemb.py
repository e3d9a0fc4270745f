"""The configuration of an encoder and of its heads (`config.json`)."""

from __future__ import annotations

import inspect
import math
import shutil
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from .characters_distillemb import CharTable

FORMAT_VERSION = 1
HEADS = ("linear", "bilstm", "bilstm-crf")
CELLS = ("lstm", "gru")
ACTIVATIONS = ("relu", "gelu", "tanh", "none")

# Complete: one saved directory opens through every Auto class that fits.
AUTO_MAP = {
    "AutoConfig": "configuration_distillemb.DistillEmbConfig",
    "AutoModel": "modeling_distillemb.DistillEmbModel",
    "AutoModelForTokenClassification": "modeling_distillemb.DistillEmbForTokenClassification",
    "AutoModelForSequenceClassification": "modeling_distillemb.DistillEmbForSequenceClassification",
}

# The sizes of each student; `encoder_args` overrides them. The published ones are the papers'.
_DISTILLEMB_SMALL = {"char_dim": 64, "channels": [64, 128, 192, 256], "hidden": 0, "activation": "leaky_relu"}
ENCODER_DEFAULTS: dict[str, dict[str, Any]] = {
    "distillemb-small": _DISTILLEMB_SMALL,
    "distillemb-mid": {**_DISTILLEMB_SMALL, "hidden": 512, "activation": "mish"},
    "distillemb-large": {
        "char_dim": 64,
        "channels": [64, 128, 256, 384],
        "hidden": 512,
        "activation": "mish",
    },
    "char-cnn": {
        "char_dim": 15,
        "widths": [1, 2, 3, 4, 5, 6, 7],
        "filters": [50, 100, 150, 200, 200, 200, 200],
        "highways": 2,
    },
    "char-rnn": {"char_dim": 64, "hidden": 600},
    "ngram-bag": {"min_n": 3, "max_n": 30, "buckets": 10_000},
    "ngram-sam": {"min_n": 3, "max_n": 30, "buckets": 10_000, "attention_dim": 64},
    "cnn": {
        "min_n": 1,
        "max_n": 5,
        "hashes": 3,
        "buckets": 12_000,
        "ngram_dim": 48,
        "kernel": 3,
        "channels": 64,
        "hidden": 256,
    },
}
ALIGNMENTS = {name: "centre" if name.startswith("distillemb") else "left" for name in ENCODER_DEFAULTS}


def copy_sources(directory: str | Path) -> None:
    """Copy this folder's modules into a saved directory, so that it opens with ``trust_remote_code=True``.

    Called while a configuration or tokenizer saves itself, and so by every ``save_pretrained``, `Trainer` and
    ``push_to_hub``. (``register_for_auto_class`` would name one class only, and follows the import that leaves
    this folder in `characters_distillemb.py`.)
    """
    sources = {file.name: file for file in Path(__file__).parent.glob("*_distillemb.py")}
    sources["characters_distillemb.py"] = Path(inspect.getfile(CharTable))  # the table itself, where ours is a shim
    for name, source in sources.items():
        target = Path(directory) / name
        if source.resolve() != target.resolve():
            shutil.copyfile(source, target)


class DistillEmbConfig(PretrainedConfig):
    """What a DistillEmb encoder and the head on it are made of.

    Encoder. encoder_type: the student, a key of `ENCODER_DEFAULTS`. encoder_args: sizes that differ from its
    defaults; the saved configuration holds all of them. dim: width of a word vector. vocab_size: number of character
    ids, pad (0) and unknown (1) included. max_chars: characters of a word that are read. max_words: words of a
    sentence that the models accept. storage: how the weights lie on disk (float32, float16 or int8).

    Head (the defaults are the paper's). head: "linear", "bilstm" or "bilstm-crf". head_cell: "lstm" or "gru".
    head_hidden_size: units of each direction. head_layers: recurrent layers. head_activation: "relu", "gelu", "tanh"
    or "none", on the word vectors. head_dropout, encoder_dropout: probabilities in training, the second on the
    encoder's output. freeze_encoder: train the head only. shape_features: add the case, digits and punctuation of a
    word to its vector (needs character_classes, see `character_classes` in the modeling file).

    Raises ValueError for a type or size that cannot be.
    """

    model_type = "distillemb"
    attribute_map = {"hidden_size": "dim"}  # noqa: RUF012 - transformers' own name and form

    def __init__(
        self,
        encoder_type: str = "cnn",
        dim: int = 300,
        vocab_size: int = 500,
        max_chars: int = 16,
        max_words: int = 4096,
        encoder_args: dict[str, Any] | None = None,
        storage: str = "float32",
        format_version: int = FORMAT_VERSION,
        head: str = "bilstm",
        head_cell: str = "lstm",
        head_hidden_size: int = 256,
        head_layers: int = 1,
        head_activation: str = "relu",
        head_dropout: float = 0.2,
        encoder_dropout: float = 0.05,
        freeze_encoder: bool = False,
        shape_features: bool = False,
        character_classes: list[int] | None = None,
        **kwargs: Any,
    ) -> None:
        _one_of("encoder_type", encoder_type, ENCODER_DEFAULTS)
        if not isinstance(format_version, int) or format_version > FORMAT_VERSION:
            raise ValueError(
                f"The encoder was written in format {format_version}, this version reads up to {FORMAT_VERSION}: "
                "upgrade distillemb-plugins."
            )
        self.encoder_type = encoder_type
        self.dim = dim
        self.vocab_size = vocab_size
        self.max_chars = max_chars
        self.max_words = max_words
        self.encoder_args = {**ENCODER_DEFAULTS[encoder_type], **(encoder_args or {})}
        self.storage = storage
        self.format_version = format_version
        self.head = head
        self.head_cell = head_cell
        self.head_hidden_size = head_hidden_size
        self.head_layers = head_layers
        self.head_activation = head_activation
        self.head_dropout = head_dropout
        self.encoder_dropout = encoder_dropout
        self.freeze_encoder = freeze_encoder
        self.shape_features = shape_features
        self.character_classes = character_classes
        self._check()
        super().__init__(**kwargs)
        self.auto_map = dict(AUTO_MAP)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        kind = config_dict.get("model_type", cls.model_type)
        if kind != cls.model_type:
            raise ValueError(
                f"The directory holds a model of type {kind!r}, not {cls.model_type!r}: give an encoder directory, or "
                "open it with the Auto classes."
            )
        return super().from_dict(config_dict, **kwargs)

    def save_pretrained(self, save_directory: Any, push_to_hub: bool = False, **kwargs: Any) -> None:
        Path(save_directory).mkdir(parents=True, exist_ok=True)
        if not push_to_hub:  # else transformers would take the copies for files that are there already
            copy_sources(save_directory)
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    def _check(self) -> None:
        unknown = set(self.encoder_args) - set(ENCODER_DEFAULTS[self.encoder_type])
        if unknown:
            raise ValueError(
                f"encoder_args holds {sorted(unknown)}, which {self.encoder_type} does not know: "
                f"it has {sorted(ENCODER_DEFAULTS[self.encoder_type])}."
            )
        for name in ("dim", "vocab_size", "max_chars", "max_words", "head_hidden_size", "head_layers"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} is {value!r}: give a whole number of at least 1.")
        for name in ("head_dropout", "encoder_dropout"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or math.isnan(value) or not 0 <= value < 1:
                raise ValueError(f"{name} is {value!r}: give a probability from 0 to below 1.")
        _one_of("head", self.head, HEADS)
        _one_of("head_cell", self.head_cell, CELLS)
        _one_of("head_activation", self.head_activation, ACTIVATIONS)


def _one_of(name: str, value: Any, choices: Any) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: choose one of {', '.join(choices)}.")
