"""The context layers of ``layers/``, under the name that the files of this folder import."""

from ..layers.context_distillemb import SHAPE_SIZE, ContextLayers, MaskedWordHead

__all__ = ["SHAPE_SIZE", "ContextLayers", "MaskedWordHead"]
