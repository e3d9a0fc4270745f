"""Torch modules inside thinc models: an encoder, and any other module (`TorchShim`).

thinc's own PyTorchShim ignores ``use_averages`` and lets copies of a model share their optimizer state. For the encoder
it would also need torch to predict, which is slow for repeated words and hangs after a fork. So in `EncoderShim`

* predicting runs `DistillEmb` (NumPy, each word computed once, then cached), rebuilt after every update;
* learning runs the torch module of ``layers/encoders_distillemb.py``, built at the first update and not before, so a
  trained pipeline runs without torch;
* the optimizer's step is scaled (``lr_scale``), not the gradient: Adam divides by the gradient's own size, so a
  scaled gradient moves the weights as far as before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from thinc.api import Optimizer, get_current_ops
from thinc.shims.pytorch import PyTorchShim
from thinc.shims.shim import Shim
from thinc.types import FloatsXd
from thinc.util import get_torch_default_device, torch2xp, xp2torch

from ..encoder import DistillEmb, Runtime
from ..errors import DistillEmbError, require
from ..persistence import EncoderFiles, encoder_from_bytes, encoder_to_bytes
from .fork_safety import make_torch_fork_safe

if TYPE_CHECKING:
    import torch

Array = Any  # a NumPy or CuPy array
Backprop = Callable[[Array], None]
_UPDATES = count(1)  # of all torch modules in this process
_UPDATES_BETWEEN = 50  # from one return of freed memory, which takes some milliseconds, to the next


@contextmanager
def averaged(module: torch.nn.Module, averages: dict[str, Array]) -> Iterator[None]:
    """Swap averages of parameters into a module while the block runs."""
    named = dict(module.named_parameters())
    kept = {name: named[name].data for name in averages}
    for name, average in averages.items():
        named[name].data = xp2torch(average, device=kept[name].device).clone()
    try:
        yield
    finally:
        for name, weights in kept.items():
            named[name].data = weights


def return_freed_memory() -> None:
    """Count an update. From time to time, give the system back what torch has freed, where the C library is glibc.

    glibc keeps freed memory, and did not use it again here: a training of context layers grew by 4 MB an update,
    to more than 20 GB.
    """
    if next(_UPDATES) % _UPDATES_BETWEEN:
        return
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


class TorchShim(PyTorchShim):
    """Holds a torch module for a thinc node; obeys ``use_averages`` and keeps its weights as safetensors.

    Its copies have an optimizer state of their own.
    """

    def __init__(self, module: Any, **options: Any) -> None:
        options = {"serialize_model": weights_to_bytes, "deserialize_model": weights_from_bytes, **options}
        super().__init__(module, **options)

    def copy(self) -> TorchShim:
        copied = cast(TorchShim, super().copy())
        with Shim.global_id_lock:
            Shim.global_id += 1
            copied.id = Shim.global_id
        return copied

    def finish_update(self, optimizer: Optimizer) -> None:
        super().finish_update(optimizer)
        return_freed_memory()

    @contextmanager
    def use_params(self, params: dict[Any, Any]) -> Iterator[None]:
        """Swap in the optimizer's averages while the block runs."""
        names = [name for name, _ in self._model.named_parameters()]
        with averaged(self._model, {name: params[self.id, name] for name in names if (self.id, name) in params}):
            yield


def weights_to_bytes(module: torch.nn.Module) -> bytes:
    """Return the weights as safetensors."""
    from safetensors.torch import save

    return save({name: tensor.contiguous() for name, tensor in module.state_dict().items()})


def weights_from_bytes(module: torch.nn.Module, data: bytes, device: torch.device) -> torch.nn.Module:
    """Return the module with the weights that `weights_to_bytes` wrote."""
    from safetensors.torch import load

    module.load_state_dict(load(data))
    return module.to(device)


class EncoderShim(Shim):
    """Holds one encoder for a thinc node; see `build_embed_v1` for the arguments (lr_scale is its grad_factor)."""

    def __init__(
        self,
        *,
        freeze: bool = False,
        lr_scale: float = 1.0,
        dropout: float = 0.0,
        cache_size: int = 200_000,
        runtime: str = "numpy",
    ) -> None:
        super().__init__(model=None)
        self.freeze, self.lr_scale, self.dropout, self.cache_size = freeze, lr_scale, dropout, cache_size
        self.runtime = cast(Runtime, runtime)
        self._files: EncoderFiles | None = None
        self._fast: DistillEmb | None = None
        self._ahead = False  # the torch weights have moved since _files was taken
        self._device: str | None = None

    @property
    def is_loaded(self) -> bool:
        return self._files is not None

    def load(self, files: EncoderFiles) -> None:
        """Take over an encoder. What was there before is forgotten."""
        self._files, self._model, self._fast, self._ahead = files, None, None, False

    def forget(self) -> None:
        """Forget what was made of weights that have changed."""
        self._fast = None

    def build(self, files: EncoderFiles) -> torch.nn.Module:
        """Build the torch module with the weights of `files`."""
        import torch

        from ..layers.encoders_distillemb import build_encoder

        module = build_encoder(SimpleNamespace(**files.config))
        module.load_state_dict({name: torch.from_numpy(t.copy()) for name, t in files.tensors.items()})
        return module

    def with_weights(self, files: EncoderFiles, weights: dict[str, Any]) -> EncoderFiles:
        """Put the weights of the torch module into `files`. They are kept to the last bit."""
        return replace(files, tensors=weights, config={**files.config, "storage": "float32"})

    @property
    def files(self) -> EncoderFiles:
        """The encoder with its present weights. Raises `DistillEmbError` before initialization."""
        if self._files is None:
            raise DistillEmbError(
                "distillemb.Embed.v1 has no encoder yet: call nlp.initialize() (spacy train does), or load a trained "
                "pipeline."
            )
        if self._ahead:
            weights = {name: tensor.cpu().numpy().copy() for name, tensor in self._model.state_dict().items()}
            self._files, self._ahead = self.with_weights(self._files, weights), False
        return self._files

    def encoder(self) -> DistillEmb:
        """Return the NumPy encoder with the present weights."""
        if self._fast is None:
            self._fast = DistillEmb.from_files(self.files, self.cache_size, self.runtime)
        return self._fast

    def module(self) -> torch.nn.Module:
        """Return the torch encoder, built when first asked for."""
        if self._model is None:
            require("torch", "spacy")
            make_torch_fork_safe()
            self._model = self.build(self.files).to(self._device or get_torch_default_device())
        return self._model

    def __call__(self, inputs: list[str], is_train: bool) -> tuple[Array, Backprop]:
        """Return vectors of words ``[n, dim]`` and the callback that takes their gradient."""
        if is_train and not self.freeze:
            return self._learn(inputs)
        return self._predict(inputs), _no_gradient

    def _predict(self, words: list[str]) -> Array:
        ops = get_current_ops()
        if ops.xp is np:
            return self.encoder().encode(words)
        import torch

        with torch.no_grad():
            return torch2xp(self.module().eval()(self._rows(words)))

    def _learn(self, words: list[str]) -> tuple[Array, Backprop]:
        module = self.module().train()
        vectors = module(self._rows(words))

        def backprop(gradient: Array) -> None:
            vectors.backward(xp2torch(gradient, device=vectors.device))

        return torch2xp(vectors), backprop

    def _rows(self, words: list[str]) -> torch.Tensor:
        import torch

        assert self._files is not None
        rows = self._files.characters.encode(words)
        return torch.from_numpy(rows).long().to(next(self.module().parameters()).device)

    def finish_update(self, optimizer: Optimizer) -> None:
        """Step the weights that have a gradient, by ``lr_scale`` of the optimizer's learning rate."""
        if self._model is None or self.freeze:
            return
        for name, weights in self._model.named_parameters():
            if weights.grad is not None:
                data, gradient = cast(FloatsXd, torch2xp(weights.data)), cast(FloatsXd, torch2xp(weights.grad))
                stepped, _ = optimizer(self._key(name), data, gradient, lr_scale=self.lr_scale)
                weights.data = xp2torch(stepped, device=weights.device)
                weights.grad = None  # a batch without words must not step by momentum
                self._ahead = True
        if self._ahead:
            self.forget()
        return_freed_memory()

    def _key(self, name: str) -> tuple[int, str]:
        return (self.id, f"distillemb.{name}")

    @contextmanager
    def use_params(self, params: dict[Any, Any]) -> Iterator[None]:
        """Swap in the optimizer's averages while the block runs."""
        names = [name for name, _ in self._model.named_parameters()] if self._model is not None else []
        averages = {name: params[self._key(name)] for name in names if self._key(name) in params}
        if not averages:
            yield
            return
        before = self.files
        with averaged(self._model, averages):
            self._ahead = True
            self.forget()
            try:
                yield
            finally:
                self._files, self._ahead = before, False
                self.forget()

    def copy(self) -> EncoderShim:
        """Return an independent encoder with equal weights, and an identity of its own for the optimizer."""
        copied = type(self)(
            freeze=self.freeze,
            lr_scale=self.lr_scale,
            dropout=self.dropout,
            cache_size=self.cache_size,
            runtime=self.runtime,
        )
        copied._device = self._device
        if self._files is not None:
            copied.load(self.files)  # weights are never changed in place there: `module` copies them
        return copied

    def to_device(self, device_type: str, device_id: int) -> None:
        self._device = f"cuda:{device_id}" if device_type == "gpu" else "cpu"
        if self._model is not None:
            self._model.to(self._device)

    def to_bytes(self) -> bytes:
        """Return the whole encoder as safetensors; empty before initialization."""
        return encoder_to_bytes(self.files) if self.is_loaded else b""

    def from_bytes(self, data: bytes) -> EncoderShim:
        if data:
            self.load(encoder_from_bytes(data))
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Give worker processes the weights as arrays, without torch and without the cache."""
        if self.is_loaded:
            _ = self.files  # take the present weights
        return {**self.__dict__, "_model": None, "_fast": None, "_forward": None, "_ahead": False}


def _no_gradient(gradient: Array) -> None:
    """A frozen encoder takes no gradient."""
