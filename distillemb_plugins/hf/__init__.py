"""The Hugging Face face: configuration, model, heads and tokenizer, registered with the Auto classes on import.

``import distillemb_plugins.hf`` is enough for ``AutoModel.from_pretrained(encoder_dir)``. Without transformers, its
names say what to install. The torch modules below the models stand in ``layers/``, which needs no transformers.
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
__all__ = list(_EXPORTS)

if TYPE_CHECKING:
    from .configuration_distillemb import DistillEmbConfig as DistillEmbConfig
    from .modeling_distillemb import DistillEmbForMaskedLM as DistillEmbForMaskedLM
    from .modeling_distillemb import DistillEmbForSequenceClassification as DistillEmbForSequenceClassification
    from .modeling_distillemb import DistillEmbForTokenClassification as DistillEmbForTokenClassification
    from .modeling_distillemb import DistillEmbModel as DistillEmbModel
    from .pretrained_distillemb import DistillEmbPreTrainedModel as DistillEmbPreTrainedModel
    from .tokenization_distillemb import DistillEmbTokenizer as DistillEmbTokenizer
    from .tokenization_distillemb import build_tokenizer as build_tokenizer


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require("torch", "hf")
    require("transformers", "hf")
    return getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)


def _register() -> None:
    import transformers

    from .configuration_distillemb import AUTO_MAP, DistillEmbConfig
    from .tokenization_distillemb import DistillEmbTokenizer

    transformers.AutoConfig.register(DistillEmbConfig.model_type, DistillEmbConfig, exist_ok=True)
    for auto, place in AUTO_MAP.items():
        if auto != "AutoConfig":
            model = __getattr__(place.partition(".")[2])
            getattr(transformers, auto).register(DistillEmbConfig, model, exist_ok=True)
    transformers.AutoTokenizer.register(DistillEmbConfig, fast_tokenizer_class=DistillEmbTokenizer, exist_ok=True)


if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
    _register()
