"""A BiLSTM context encoder whose sentences score the same alone and in a batch.

spaCy's TorchBiLSTMEncoder lets the backward pass run over the padding of shorter sentences first; here the
sentences are packed, so padding never enters the states.
"""

# No `from __future__ import annotations` here: confection reads the signatures' types to validate the config.

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from thinc.api import Model
from thinc.layers.pytorchwrapper import forward as pytorch_forward
from thinc.shims.pytorch import PyTorchShim
from thinc.shims.shim import Shim
from thinc.types import ArgsKwargs, Floats2d
from thinc.util import torch2xp, xp2torch

from ..errors import DistillEmbError, require
from .forks import torch_survives_fork

if TYPE_CHECKING:
    import torch


def build_bilstm_encoder_v1(width: int, depth: int = 1, dropout: float = 0.0) -> Model[list[Floats2d], list[Floats2d]]:
    """`distillemb.BiLSTMEncoder.v1`: bidirectional LSTM with a residual connection and LayerNorm.

    width: width of input and output, even (half for each direction). depth: LSTM layers. dropout: on the LSTM's
    output, between its layers and at the end. Takes and gives float32 ``[tokens, width]`` for each document.
    Raises `DistillEmbError` for sizes that cannot be.
    """
    if width < 2 or width % 2:
        raise DistillEmbError(f"distillemb.BiLSTMEncoder.v1: width is {width}: give an even number such as 96.")
    if depth < 1 or not 0 <= dropout < 1:
        raise DistillEmbError(
            f"distillemb.BiLSTMEncoder.v1: depth = {depth}, dropout = {dropout}: give at least 1 layer and a share "
            "from 0 up to, not with, 1."
        )
    require("torch", "spacy")
    from .context_torch import ContextLSTM

    torch_survives_fork()
    shim = ContextShim(
        ContextLSTM(width, depth, dropout), serialize_model=weights_to_bytes, deserialize_model=weights_from_bytes
    )
    return Model(
        "distillemb_bilstm",
        pytorch_forward,
        attrs={"convert_inputs": _to_torch, "convert_outputs": _from_torch},
        shims=[shim],
        dims={"nI": width, "nO": width},
    )


class ContextShim(PyTorchShim):
    """thinc's shim that also obeys ``use_averages`` and whose copies have an optimiser state of their own."""

    def copy(self) -> "ContextShim":
        copied = cast(ContextShim, super().copy())
        with Shim.global_id_lock:
            Shim.global_id += 1
            copied.id = Shim.global_id
        return copied

    @contextmanager
    def use_params(self, params: dict[Any, Any]) -> Iterator[None]:
        """Swap in the optimiser's averages while the block runs."""
        named = dict(self._model.named_parameters())
        kept = {name: weights.data for name, weights in named.items() if (self.id, name) in params}
        for name, weights in kept.items():
            named[name].data = xp2torch(params[(self.id, name)], device=weights.device).clone()
        try:
            yield
        finally:
            for name, weights in kept.items():
                named[name].data = weights


def _to_torch(model: Model, documents: list[Floats2d], is_train: bool) -> tuple[ArgsKwargs, Callable]:
    lengths = [len(rows) for rows in documents]
    shim = cast(PyTorchShim, model.shims[0])
    flat = xp2torch(model.ops.flatten(documents), requires_grad=is_train, device=shim.device)

    def gradients(inputs: ArgsKwargs) -> list[Floats2d]:
        return cast(list[Floats2d], model.ops.unflatten(torch2xp(inputs.args[0]), model.ops.asarray1i(lengths)))

    return ArgsKwargs(args=(flat, lengths), kwargs={}), gradients


def _from_torch(
    model: Model, inputs_outputs: tuple[list[Floats2d], "torch.Tensor"], is_train: bool
) -> tuple[list[Floats2d], Callable]:
    documents, flat = inputs_outputs
    lengths = model.ops.asarray1i([len(rows) for rows in documents])

    def gradients(outputs: list[Floats2d]) -> ArgsKwargs:
        joined = xp2torch(model.ops.flatten(outputs), device=flat.device)
        return ArgsKwargs(args=((flat,),), kwargs={"grad_tensors": (joined,)})

    return cast(list[Floats2d], model.ops.unflatten(torch2xp(flat), lengths)), gradients


def weights_to_bytes(module: "torch.nn.Module") -> bytes:
    """The weights as safetensors."""
    from safetensors.torch import save

    return save({name: tensor.contiguous() for name, tensor in module.state_dict().items()})


def weights_from_bytes(module: "torch.nn.Module", data: bytes, device: "torch.device") -> "torch.nn.Module":
    """The module with the weights that `weights_to_bytes` wrote."""
    from safetensors.torch import load

    module.load_state_dict(load(data))
    return module.to(device)
