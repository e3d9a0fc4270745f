"""The models: an encoder over the words of a sentence, alone and with a head for tagging or classification."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput, TokenClassifierOutput
from transformers.utils import cached_file

from .configuration_distillemb import DistillEmbConfig
from .encoders_distillemb import build_encoder
from .heads_distillemb import DIGIT, IGNORED, LETTER, OTHER, UPPER, Bidirectional, ChainCrf, ShapeFeatures, pool_words

SCALE_SUFFIX = "_scale"
SHAPE_SIZE = 16
_HUB = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")
_MIX = 0x9E3779B97F4A7C15  # an odd number near 2^64 divided by the golden ratio
_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "none": nn.Identity,
}


def dequantise(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
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


def character_classes(characters: Sequence[str]) -> list[int]:
    """The class of each character id, for `ShapeFeatures`: pad and unknown 0, then as the Unicode category says."""
    kinds = {"Lu": UPPER, "Lt": UPPER, "L": LETTER, "M": LETTER, "N": DIGIT}
    categories = [unicodedata.category(character[0]) for character in characters]
    return [0, 0, *(kinds.get(category, kinds.get(category[0], OTHER)) for category in categories)]


class DistillEmbPreTrainedModel(PreTrainedModel):
    """Loading, saving and checks for all models; opens encoders stored as float32, float16 or int8."""

    config: DistillEmbConfig
    config_class = DistillEmbConfig
    base_model_prefix = "distillemb"
    main_input_name = "char_ids"

    def _init_weights(self, module: nn.Module) -> None:
        reset = getattr(module, "reset_parameters", None)  # each layer's own start, not transformers' N(0, 0.02)
        if callable(reset):
            reset()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *model_args: Any, **kwargs: Any) -> Any:
        """Load a model as transformers does; attributes of the configuration may be given as keywords.

        Raises ValueError when the directory holds another architecture or lacks encoder weights.
        """
        hub = {name: kwargs[name] for name in _HUB if name in kwargs}
        config = kwargs.pop("config", None)
        if not isinstance(config, PretrainedConfig):  # remote code may bring a class of ours under another name
            config, kwargs = DistillEmbConfig.from_pretrained(
                config or pretrained_model_name_or_path, return_unused_kwargs=True, **kwargs
            )
            kwargs = {**hub, **kwargs}
        if config.shape_features and not config.character_classes:
            config.character_classes = _read_classes(pretrained_model_name_or_path, hub)
        with_info = kwargs.pop("output_loading_info", False)
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
        _check_loaded(info["missing_keys"], pretrained_model_name_or_path)
        model.freeze()  # again: loading has put new parameters in
        return (model, info) if with_info else model

    def freeze(self) -> None:
        """Stop training the encoder if ``config.freeze_encoder`` says so."""
        if self.config.freeze_encoder:
            self.base_model.requires_grad_(False)

    def parameter_groups(
        self, lr: float = 1e-3, encoder_lr: float = 1e-4, weight_decay: float = 0.01
    ) -> list[dict[str, Any]]:
        """Parameter groups for an optimiser: the encoder and the head with learning rates of their own.

        Biases and norms (one dimension) do not decay. Use: ``Trainer(..., optimizers=(torch.optim.AdamW(
        model.parameter_groups()), None))``.
        """
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                of_encoder = name.startswith(("encoder.", f"{self.base_model_prefix}.encoder."))
                groups.setdefault((of_encoder, parameter.dim() > 1), []).append(parameter)
        return [
            {
                "params": parameters,
                "lr": encoder_lr if of_encoder else lr,
                "weight_decay": weight_decay if decays else 0.0,
            }
            for (of_encoder, decays), parameters in groups.items()
        ]


def _fetch(source: Any, name: str, hub: dict[str, Any]) -> Path:
    return Path(str(cached_file(source, name, **hub)))  # raises OSError where there is no such file


def _read_int8(source: Any, hub: dict[str, Any]) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return dequantise(load_file(_fetch(source, "model.safetensors", hub)))


def _read_classes(source: Any, hub: dict[str, Any]) -> list[int]:
    file = _fetch(source, "tokenizer_config.json", hub)
    table = json.loads(file.read_text(encoding="utf-8")).get("char_table")
    if not isinstance(table, dict):
        raise ValueError(f"{file} holds no char_table: shape_features need an encoder directory with its tokenizer.")
    return character_classes(table["characters"])


def _check_loaded(missing: Any, source: Any) -> None:
    lost = sorted(name for name in missing if name.startswith(("encoder.", "distillemb.encoder.")))
    if lost:
        raise ValueError(
            f"{source} holds no weights for {lost[0]} (and {len(lost) - 1} more): its model.safetensors is of another "
            "model than its config.json."
        )


class DistillEmbModel(DistillEmbPreTrainedModel):
    """The bare encoder: character ids ``[batch, words, max_chars]`` to vectors ``[batch, words, dim]``.

    Distinct words of a batch are encoded once and padding words not at all (they give zero vectors); in a compiled
    or exported program, where shapes must not depend on values, every place is encoded.
    """

    def __init__(self, config: DistillEmbConfig) -> None:
        super().__init__(config)
        config.check()
        self.encoder = build_encoder(config)
        for module in self.encoder.modules():
            # its own constructor has done it; _init_weights is for heads
            module._is_hf_initialized = True  # type: ignore[assignment]
        self.post_init()

    def forward(
        self,
        char_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        input_ids: Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput | tuple[Tensor]:
        """Word vectors as `last_hidden_state`.

        char_ids: int64 ``[batch, words, max_chars]``. attention_mask: ``[batch, words]``, 1 for words; without it
        rows of padding only are no words. input_ids is what the tokenizer also gives, and is not read.
        Raises ValueError for inputs of the wrong shape or range, or a sentence longer than ``config.max_words``.
        """
        char_ids, mask = self.read_inputs(char_ids, attention_mask)
        vectors = self.encode_words(char_ids, mask)
        if not _as_dict(self.config, return_dict):
            return (vectors,)
        return BaseModelOutput(last_hidden_state=vectors)

    def encode_words(self, char_ids: Tensor, mask: Tensor) -> Tensor:
        """Vectors ``[batch, words, dim]`` of checked inputs; zero where `mask` (bool) is false."""
        if torch.compiler.is_compiling():
            vectors = self.encoder(char_ids.flatten(0, 1)).unflatten(0, char_ids.shape[:2])
            return vectors * mask[:, :, None].to(vectors.dtype)
        rows = char_ids[mask]
        if not len(rows):
            return next(self.encoder.parameters()).new_zeros(*mask.shape, self.config.dim)
        distinct, places = distinct_rows(rows)
        encoded = self.encoder(distinct)
        vectors = encoded.new_zeros(*mask.shape, self.config.dim)
        return vectors.masked_scatter(mask[:, :, None], encoded[places])

    def read_inputs(self, char_ids: Tensor | None, attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The character ids and the mask as bool ``[batch, words]``, checked."""
        width = self.config.max_chars
        if char_ids is None:
            raise ValueError("char_ids is missing: pass all that the tokenizer returns, model(**tokenizer(...)).")
        if char_ids.dim() != 3 or char_ids.shape[2] != width:
            raise ValueError(
                f"char_ids has the shape {list(char_ids.shape)}: it must be [batch, words, {width}], as this encoder's "
                "tokenizer gives it."
            )
        if char_ids.shape[1] > self.config.max_words:
            raise ValueError(
                f"A sentence has {char_ids.shape[1]} words, and max_words is {self.config.max_words}: split it, "
                "tokenize with truncation=True, or raise config.max_words."
            )
        if attention_mask is not None and attention_mask.shape != char_ids.shape[:2]:
            raise ValueError(
                f"attention_mask has the shape {list(attention_mask.shape)}, char_ids {list(char_ids.shape)}: they "
                "must agree in sentences and words."
            )
        if not torch.compiler.is_compiling():
            self._check_range(char_ids)
        mask = (char_ids != 0).any(2) if attention_mask is None else attention_mask.bool()
        return char_ids.long(), mask

    def _check_range(self, char_ids: Tensor) -> None:
        if not char_ids.numel():
            return
        if char_ids.is_floating_point():
            raise ValueError(f"char_ids is {char_ids.dtype}: give whole numbers, as the tokenizer does.")
        lowest, highest = (int(value) for value in torch.aminmax(char_ids))
        if lowest < 0 or highest >= self.config.vocab_size:
            raise ValueError(
                f"char_ids holds {lowest if lowest < 0 else highest}, and the encoder knows ids 0 to "
                f"{self.config.vocab_size - 1}: use the tokenizer of this encoder."
            )


def distinct_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct rows of an int64 ``[n, width]``, and for each row its place among them.

    Sorts one 64-bit hash of each row instead of the rows themselves, ten times as fast, and checks the outcome.
    """
    factors = [pow(_MIX, place + 1, 2**64) - 2**63 for place in range(rows.shape[1])]
    hashes = (rows * torch.tensor(factors, device=rows.device)).sum(1)
    found, places = torch.unique(hashes, return_inverse=True)
    numbers = torch.arange(len(rows), device=rows.device)
    distinct = rows[numbers.new_zeros(len(found)).scatter_(0, places, numbers)]
    if torch.equal(distinct[places], rows):
        return distinct, places
    return torch.unique(rows, dim=0, return_inverse=True)


class _DistillEmbWithHead(DistillEmbPreTrainedModel):
    """Encoder, activation, dropout, LayerNorm and recurrent layers: what both heads have in common.

    The order is that of Mersha & Wu 2022, section 4.
    """

    def __init__(self, config: DistillEmbConfig) -> None:
        super().__init__(config)
        config.check()
        self.num_labels: int = config.num_labels or 2
        self.distillemb = DistillEmbModel(config)
        self.encoder_dropout = nn.Dropout(config.encoder_dropout)
        self.activation = _ACTIVATIONS[config.head_activation]()
        self.dropout = nn.Dropout(config.head_dropout)
        size = config.dim
        if config.shape_features:
            self.shapes = ShapeFeatures(_classes_of(config), SHAPE_SIZE)
            size += SHAPE_SIZE
        self.norm = nn.LayerNorm(size)
        self.has_context = config.head != "linear"
        if self.has_context:
            self.context = Bidirectional(
                size, config.head_hidden_size, config.head_layers, config.head_cell, config.head_dropout
            )
            size = 2 * config.head_hidden_size
        self.classifier_size = size
        self.freeze()

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        if self.config.freeze_encoder:
            self.distillemb.eval()  # no dropout, and running statistics stay
        return self

    def words_in_context(self, char_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Word vectors ``[batch, words, dim]`` and what the head makes of them ``[batch, words, size]``."""
        vectors = self.distillemb.encode_words(char_ids, mask)
        x = self.dropout(self.activation(self.encoder_dropout(vectors)))
        if self.config.shape_features:
            x = torch.cat([x, self.shapes(char_ids).to(x.dtype)], 2)
        x = self.norm(x)
        if self.has_context and x.shape[1]:
            x = self.dropout(self.context(x, mask))
        elif self.has_context:
            x = x.new_zeros(*mask.shape, self.classifier_size)
        return vectors, x


def _classes_of(config: DistillEmbConfig) -> list[int]:
    classes = config.character_classes or []
    if len(classes) != config.vocab_size:
        raise ValueError(
            f"shape_features need character_classes of {config.vocab_size} values, and there are {len(classes)}: load "
            "with from_pretrained from an encoder directory, or set them by character_classes(table.characters)."
        )
    return classes


class DistillEmbForTokenClassification(_DistillEmbWithHead):
    """A tagger: ``head = "linear"``, ``"bilstm"`` or ``"bilstm-crf"`` over the word vectors.

    With a CRF, the logits are `ChainCrf.scores` in evaluation (their argmax is the Viterbi path, their softmax the
    labels' probabilities) and the emissions in training.
    """

    def __init__(self, config: DistillEmbConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(self.classifier_size, self.num_labels)
        self.crf = ChainCrf(self.num_labels) if config.head == "bilstm-crf" else None
        self.post_init()

    def forward(
        self,
        char_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        input_ids: Tensor | None = None,
        return_dict: bool | None = None,
        output_hidden_states: bool | None = None,
        num_items_in_batch: Any = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput | tuple[Any, ...]:
        """Logits ``[batch, words, labels]``, and the loss when labels are given.

        labels: int64 ``[batch, words]``, -100 for words that do not count. The loss is the mean over the words that
        do: cross-entropy, or the negative log-likelihood of the CRF. num_items_in_batch replaces that count, for
        accumulated gradients. Other arguments as for `DistillEmbModel`. Raises ValueError for labels that do not fit.
        """
        char_ids, mask = self.distillemb.read_inputs(char_ids, attention_mask)
        if labels is not None:
            _check_labels(labels, mask.shape, self.num_labels, "one for each word, as word_ids() aligns them")
        vectors, x = self.words_in_context(char_ids, mask)
        logits = self.classifier(x)
        loss = None
        if labels is not None:
            loss = self._loss(logits, mask, labels.masked_fill(~mask, IGNORED), num_items_in_batch)
        if self.crf is not None and not self.training and logits.shape[1]:
            logits = self.crf.scores(logits, mask)
        states = (vectors, x) if output_hidden_states else None
        if not _as_dict(self.config, return_dict):
            return tuple(value for value in (loss, logits, states) if value is not None)
        return TokenClassifierOutput(loss=loss, logits=logits, hidden_states=states)

    def _loss(self, logits: Tensor, mask: Tensor, labels: Tensor, items: Any) -> Tensor:
        if self.crf is not None and logits.shape[1]:
            total = self.crf.loss(logits, mask, labels)
        else:
            total = _cross_entropy(logits, labels)
        return total / ((labels != IGNORED).sum().clamp(min=1) if items is None else items)


class DistillEmbForSequenceClassification(_DistillEmbWithHead):
    """A classifier of texts: mean and maximum over the words (in context, with ``head = "bilstm"``), then linear.

    The loss is cross-entropy; mean squared error with one label, or where ``config.problem_type`` is "regression";
    binary cross-entropy where it is "multi_label_classification".
    """

    def __init__(self, config: DistillEmbConfig) -> None:
        if config.head == "bilstm-crf":
            raise ValueError('head is "bilstm-crf", which labels words: choose "linear" or "bilstm" to classify texts.')
        super().__init__(config)
        self.classifier = nn.Linear(2 * self.classifier_size, self.num_labels)
        self.post_init()

    def forward(
        self,
        char_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        input_ids: Tensor | None = None,
        return_dict: bool | None = None,
        output_hidden_states: bool | None = None,
        num_items_in_batch: Any = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput | tuple[Any, ...]:
        """Logits ``[batch, labels]``, and the loss when labels are given.

        labels: int64 ``[batch]``; float ``[batch, labels]`` for several labels; float ``[batch]`` for regression.
        Other arguments as for `DistillEmbForTokenClassification`.
        """
        char_ids, mask = self.distillemb.read_inputs(char_ids, attention_mask)
        vectors, x = self.words_in_context(char_ids, mask)
        pooled = pool_words(x, mask) if x.shape[1] else x.new_zeros(x.shape[0], 2 * x.shape[2])
        logits = self.classifier(pooled)
        loss = None if labels is None else self._loss(logits, labels, num_items_in_batch)
        states = (vectors, x) if output_hidden_states else None
        if not _as_dict(self.config, return_dict):
            return tuple(value for value in (loss, logits, states) if value is not None)
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=states)

    def _loss(self, logits: Tensor, labels: Tensor, items: Any) -> Tensor:
        kind = self.config.problem_type or ("regression" if self.num_labels == 1 else "single_label_classification")
        if len(labels) != len(logits):
            raise ValueError(f"There are {len(labels)} labels for {len(logits)} texts: give one for each.")
        count: Any = len(labels) if items is None else items
        if kind == "regression":
            flat = logits.float().squeeze(-1)
            return functional.mse_loss(flat, labels.float().view_as(flat), reduction="sum") / count
        if kind == "multi_label_classification":
            total = functional.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="sum")
            return total / (count * self.num_labels)
        _check_labels(labels, logits.shape[:1], self.num_labels, "one for each text")
        if items is None:
            count = (labels != IGNORED).sum().clamp(min=1)
        return _cross_entropy(logits, labels) / count


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    flat = logits.float().flatten(0, -2)
    return functional.cross_entropy(flat, labels.flatten(), ignore_index=IGNORED, reduction="sum")


def _check_labels(labels: Tensor, shape: Any, num_labels: int, rule: str) -> None:
    if labels.shape != shape:
        raise ValueError(f"labels has the shape {list(labels.shape)}, not {list(shape)}: give {rule}.")
    if torch.compiler.is_compiling() or not labels.numel():
        return
    wrong = labels[(labels != IGNORED) & ((labels < 0) | (labels >= num_labels))]
    if len(wrong):
        raise ValueError(
            f"labels holds {int(wrong[0])}, and the model has {num_labels} labels (0 to {num_labels - 1}, -100 for "
            "none): set num_labels or id2label when loading it."
        )


def _as_dict(config: DistillEmbConfig, return_dict: bool | None) -> bool:
    return bool(getattr(config, "return_dict", True) if return_dict is None else return_dict)
