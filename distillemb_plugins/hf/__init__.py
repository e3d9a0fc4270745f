"""The Hugging Face face: configuration, model, heads and tokenizer, registered with the Auto classes on import.

``import distillemb_plugins.hf`` is enough for ``AutoModel.from_pretrained(encoder_dir)``. Without transformers the
torch encoders (`encoders_distillemb`) can still be imported, and the other names say what to install.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from ..errors import require

_EXPORTS = {
    "DistillEmbConfig": "configuration_distillemb",
    "DistillEmbTokenizer": "tokenization_distillemb",
    "build_tokenizer": "tokenization_distillemb",
    "DistillEmbPreTrainedModel": "pretrained_distillemb",
    "DistillEmbModel": "modeling_distillemb",
    "DistillEmbForMaskedLM": "modeling_distillemb",
    "DistillEmbForTokenClassification": "modeling_distillemb",
    "DistillEmbForSequenceClassification": "modeling_distillemb",
}
__all__ = [
    "DistillEmbConfig",
    "DistillEmbForMaskedLM",
    "DistillEmbForSequenceClassification",
    "DistillEmbForTokenClassification",
    "DistillEmbModel",
    "DistillEmbPreTrainedModel",
    "DistillEmbTokenizer",
    "build_tokenizer",
]

if TYPE_CHECKING:
    from .configuration_distillemb import DistillEmbConfig
    from .modeling_distillemb import (
        DistillEmbForMaskedLM,
        DistillEmbForSequenceClassification,
        DistillEmbForTokenClassification,
        DistillEmbModel,
    )
    from .pretrained_distillemb import DistillEmbPreTrainedModel
    from .tokenization_distillemb import DistillEmbTokenizer, build_tokenizer


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require("torch", "hf")
    require("transformers", "hf")
    return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)


def _register() -> None:
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForMaskedLM,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
    )

    from .configuration_distillemb import DistillEmbConfig
    from .modeling_distillemb import (
        DistillEmbForMaskedLM,
        DistillEmbForSequenceClassification,
        DistillEmbForTokenClassification,
        DistillEmbModel,
    )
    from .tokenization_distillemb import DistillEmbTokenizer

    AutoConfig.register(DistillEmbConfig.model_type, DistillEmbConfig, exist_ok=True)
    AutoModel.register(DistillEmbConfig, DistillEmbModel, exist_ok=True)
    AutoModelForMaskedLM.register(DistillEmbConfig, DistillEmbForMaskedLM, exist_ok=True)
    AutoModelForTokenClassification.register(DistillEmbConfig, DistillEmbForTokenClassification, exist_ok=True)
    AutoModelForSequenceClassification.register(DistillEmbConfig, DistillEmbForSequenceClassification, exist_ok=True)
    AutoTokenizer.register(DistillEmbConfig, fast_tokenizer_class=DistillEmbTokenizer, exist_ok=True)


if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
    _register()
