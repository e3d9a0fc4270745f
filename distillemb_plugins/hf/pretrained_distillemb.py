"""What all models share: loading, saving and freezing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils.hub import cached_file

from .card_distillemb import read_beside, read_tokenizer, write_beside
from .characters_distillemb import CharTable
from .configuration_distillemb import DistillEmbConfig

SCALE_SUFFIX = "_scale"
HEAD_RATE, ENCODER_RATE = 2e-3, 5e-4  # learning rates of AdamW, chosen on dev (NER)
_ENCODER, _CONTEXT = ("encoder.", "distillemb.encoder."), ("context_layers.", "distillemb.context_layers.")
_HUB = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")


def dequantize(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Turn stored int8 tensors and their scales, and float16 ones, into float32; the rest stays.

    ``name`` (int8) and ``name_scale`` (which broadcasts to it) become ``name``, their product in float32.
    """
    scaled = {name for name, tensor in tensors.items() if tensor.dtype == torch.int8 and name + SCALE_SUFFIX in tensors}
    result = {}
    for name, tensor in tensors.items():
        if name.removesuffix(SCALE_SUFFIX) in scaled and name.endswith(SCALE_SUFFIX):
            continue
        if name in scaled:
            result[name] = tensor.float() * tensors[name + SCALE_SUFFIX].float()
        else:
            result[name] = tensor.float() if tensor.dtype == torch.float16 else tensor
    return result


class DistillEmbPreTrainedModel(PreTrainedModel):
    """Loading, saving and checks for all models; opens encoders stored as float32, float16 or int8."""

    config: DistillEmbConfig
    config_class = DistillEmbConfig
    base_model_prefix = "distillemb"
    main_input_name = "char_ids"
    supports_gradient_checkpointing = True
    encoder_card = ""  # the model card of the encoder that it was loaded from
    tokenizer_files: Mapping[str, str] = MappingProxyType({})  # of the directory that it was loaded from, by name
    encoder_facts: Mapping[str, Any] = MappingProxyType({})  # what is known about that encoder

    def _init_weights(self, module: nn.Module) -> None:
        reset = getattr(module, "reset_parameters", None)  # each layer's own start, not transformers' N(0, 0.02)
        if callable(reset):
            reset()

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoModel") -> None:
        """Do nothing in the package, whose saved directories hold the code anyway; see transformers for remote code."""
        if cls.__module__.startswith("transformers_modules."):
            super().register_for_auto_class(auto_class)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *model_args: Any, **kwargs: Any) -> Any:
        """Load a model as transformers does; attributes of the configuration may be given as keywords.

        Raises:
            ValueError: The directory holds another architecture or lacks encoder weights.
        """
        if kwargs.get("use_safetensors") is False:
            raise ValueError("Weights are read from safetensors alone, never from pickle: leave use_safetensors out.")
        kwargs["use_safetensors"] = True
        hub = {name: kwargs[name] for name in _HUB if name in kwargs}
        config, fresh = kwargs.pop("config", None), "context_layers" in kwargs  # new ones, still to be trained
        if not isinstance(config, PretrainedConfig):  # remote code may bring a class of ours under another name
            config, kwargs = DistillEmbConfig.from_pretrained(
                config or pretrained_model_name_or_path, return_unused_kwargs=True, **kwargs
            )
            kwargs = {**hub, **kwargs}
        if (config.shape_features or config.context_layers) and not config.character_classes:
            config.character_classes = _read_classes(pretrained_model_name_or_path, hub)
        with_info = kwargs.pop("output_loading_info", False)
        of_encoder = config.architectures in (None, ["DistillEmbModel"])  # the card of a head is not kept
        source = pretrained_model_name_or_path
        if config.storage == "int8" and kwargs.get("state_dict") is None:
            source, kwargs["state_dict"] = None, _read_int8(source, hub)
        config.storage = "float32"  # what a later save writes
        try:
            loaded: Any = super().from_pretrained(
                source, *model_args, config=config, output_loading_info=True, **kwargs
            )
        except RuntimeError as error:
            if "ignore_mismatched_sizes" not in str(error):
                raise
            raise ValueError(
                f"{pretrained_model_name_or_path}: the weights do not fit the sizes in config.json (see above): copy "
                "the directory again, or for another set of labels say ignore_mismatched_sizes=True."
            ) from error
        model, info = loaded
        _check_loaded(info["missing_keys"], _ENCODER if fresh else _ENCODER + _CONTEXT, pretrained_model_name_or_path)
        model.freeze()  # again: loading has put new parameters in
        card, model.encoder_facts = read_beside(pretrained_model_name_or_path, hub)
        model.encoder_card = card if of_encoder else ""
        model.tokenizer_files = read_tokenizer(pretrained_model_name_or_path, hub)
        return (model, info) if with_info else model

    def save_pretrained(self, save_directory: Any, is_main_process: bool = True, *args: Any, **kwargs: Any) -> None:
        """Save as transformers does, with a model card where the directory has none."""
        super().save_pretrained(save_directory, is_main_process, *args, **kwargs)
        if is_main_process:
            write_beside(save_directory, self)

    def get_input_embeddings(self) -> nn.Module:
        """Refuse, as transformers does for models without them; so ``resize_token_embeddings`` is refused too."""
        raise NotImplementedError(
            "The encoder computes vectors from characters and has no table of tokens: every word has a vector, and "
            "there are no input embeddings to get, set or resize."
        )

    def freeze(self) -> None:
        """Stop training the encoder if ``config.freeze_encoder`` says so."""
        if self.config.freeze_encoder:
            self.base_model.requires_grad_(False)

    def parameter_groups(
        self,
        lr: float = HEAD_RATE,
        encoder_lr: float = ENCODER_RATE,
        weight_decay: float = 0.01,
        context_lr: float | None = None,
        context_layer_decay: float = 1.0,
    ) -> list[dict[str, Any]]:
        """Group the parameters for an optimizer: encoder, context layers and head with learning rates of their own.

        Use: ``Trainer(..., optimizers=(torch.optim.AdamW(model.parameter_groups()), None))``.

        Args:
            lr: Learning rate of the head.
            encoder_lr: Learning rate of the encoder.
            weight_decay: For all but biases and norms (one dimension).
            context_lr: Learning rate of the context layers; None takes the encoder's.
            context_layer_decay: Factor on it for each context layer that stands over a weight (Howard & Ruder 2018).
        """
        rates = {"encoder": encoder_lr, "context_layers": encoder_lr if context_lr is None else context_lr}
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                part, _, rest = name.removeprefix(f"{self.base_model_prefix}.").partition(".")
                rate = rates.get(part, lr)
                if part == "context_layers":
                    rate *= context_layer_decay ** _layers_above(rest, self.config.context_layers)
                groups.setdefault((rate, parameter.dim() > 1), []).append(parameter)
        return [
            {"params": parameters, "lr": rate, "weight_decay": weight_decay if decays else 0.0}
            for (rate, decays), parameters in groups.items()
        ]


def _layers_above(name: str, layers: int) -> int:
    """How many of the context layers read what a parameter of theirs makes."""
    part, _, rest = name.partition(".")
    if part == "layers":
        return layers - 1 - int(rest.partition(".")[0])
    return 0 if part == "output_norm" else layers


def _fetch(source: Any, name: str, hub: dict[str, Any]) -> Path:
    return Path(str(cached_file(source, name, **hub)))  # raises OSError where there is no such file


def _read_int8(source: Any, hub: dict[str, Any]) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        files = [_fetch(source, "model.safetensors", hub)]
    except OSError:  # in several files
        index = json.loads(_fetch(source, "model.safetensors.index.json", hub).read_text(encoding="utf-8"))
        files = [_fetch(source, name, hub) for name in sorted(set(index["weight_map"].values()))]
    return dequantize({name: tensor for file in files for name, tensor in load_file(file).items()})


def _read_classes(source: Any, hub: dict[str, Any]) -> list[int]:
    file = _fetch(source, "tokenizer_config.json", hub)
    table = json.loads(file.read_text(encoding="utf-8")).get("char_table")
    if not isinstance(table, dict):
        raise ValueError(f"{file} holds no char_table: shape_features need an encoder directory with its tokenizer.")
    return CharTable.from_dict(table).classes


def _check_loaded(missing: Any, needed: tuple[str, ...], source: Any) -> None:
    lost = sorted(name for name in missing if name.startswith(needed))
    if lost:
        raise ValueError(
            f"{source} holds no weights for {lost[0]} (and {len(lost) - 1} more): its model.safetensors is of another "
            "model than its config.json."
        )
