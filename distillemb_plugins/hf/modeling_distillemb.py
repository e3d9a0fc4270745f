"""The models: an encoder over the words of a sentence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import cached_file

from .configuration_distillemb import DistillEmbConfig
from .encoders_distillemb import build_encoder

SCALE_SUFFIX = "_scale"


def dequantise(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Turn stored int8 tensors and their row scales, and float16 ones, into float32; the rest stays.

    ``name`` (int8 ``[rows, ...]``) and ``name_scale`` (``[rows]``) become ``name`` float32.
    """
    scaled = {name for name, tensor in tensors.items() if tensor.dtype == torch.int8 and name + SCALE_SUFFIX in tensors}
    result = {}
    for name, tensor in tensors.items():
        if name.removesuffix(SCALE_SUFFIX) in scaled and name.endswith(SCALE_SUFFIX):
            continue
        if name in scaled:
            scale = tensors[name + SCALE_SUFFIX].float()
            result[name] = tensor.float() * scale.reshape(-1, *[1] * (tensor.dim() - 1))
        else:
            result[name] = tensor.float() if tensor.dtype == torch.float16 else tensor
    return result


class DistillEmbPreTrainedModel(PreTrainedModel):
    """Loading and saving for all models; opens encoders stored as float32, float16 or int8."""

    config_class = DistillEmbConfig
    base_model_prefix = "distillemb"
    main_input_name = "char_ids"

    def _init_weights(self, module: nn.Module) -> None:
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *model_args: Any, **kwargs: Any) -> Any:
        hub = {k: kwargs[k] for k in ("cache_dir", "revision", "token", "local_files_only", "subfolder") if k in kwargs}
        config = kwargs.get("config")
        if not isinstance(config, DistillEmbConfig):
            config = DistillEmbConfig.from_pretrained(config or pretrained_model_name_or_path, **hub)
        if config.storage != "int8" or kwargs.get("state_dict") is not None:
            return super().from_pretrained(pretrained_model_name_or_path, *model_args, **kwargs)
        from safetensors.torch import load_file

        weights = cached_file(pretrained_model_name_or_path, "model.safetensors", **hub)
        config.storage = "float32"  # what a later save writes
        kwargs.update(config=config, state_dict=dequantise(load_file(weights)))
        return super().from_pretrained(None, *model_args, **kwargs)


class DistillEmbModel(DistillEmbPreTrainedModel):
    """The bare encoder: character ids ``[batch, words, max_chars]`` to vectors ``[batch, words, dim]``.

    Distinct words of a batch are encoded once; padding words (attention mask 0) give zero vectors.
    """

    def __init__(self, config: DistillEmbConfig) -> None:
        super().__init__(config)
        self.encoder = build_encoder(config)
        self.post_init()

    def forward(
        self,
        char_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        input_ids: Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput | tuple[Tensor]:
        if char_ids is None:
            raise ValueError("char_ids is missing: pass what DistillEmbTokenizer returns.")
        rows, places = torch.unique(char_ids.flatten(0, 1), dim=0, return_inverse=True)
        vectors = self.encoder(rows)[places].view(*char_ids.shape[:2], -1)
        if attention_mask is not None:
            vectors = vectors * attention_mask[..., None].to(vectors.dtype)
        return BaseModelOutput(last_hidden_state=vectors)


class DistillEmbForTokenClassification(DistillEmbPreTrainedModel):
    """STUB, replaced by the heads."""


class DistillEmbForSequenceClassification(DistillEmbPreTrainedModel):
    """STUB, replaced by the heads."""
