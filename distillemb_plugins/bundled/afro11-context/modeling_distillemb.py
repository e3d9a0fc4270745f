"""What `auto_map` names. This directory comes with the package, so the code is the package's own."""

from distillemb_plugins.hf.modeling_distillemb import (
    DistillEmbForMaskedLM,
    DistillEmbForSequenceClassification,
    DistillEmbForTokenClassification,
    DistillEmbModel,
)

__all__ = [
    "DistillEmbForMaskedLM",
    "DistillEmbForSequenceClassification",
    "DistillEmbForTokenClassification",
    "DistillEmbModel",
]
