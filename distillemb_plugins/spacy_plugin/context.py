"""A BiLSTM context encoder whose sentences score the same alone and in a batch.

spaCy's TorchBiLSTMEncoder lets the backward pass run over the padding of shorter sentences first; here the
sentences are packed, so padding never enters the states.
"""

# No `from __future__ import annotations` here: confection reads the signatures' types to validate the config.

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from thinc.api import Model
from thinc.layers.pytorchwrapper import forward as pytorch_forward
from thinc.shims.pytorch import PyTorchShim
from thinc.types import ArgsKwargs, Floats2d
from thinc.util import torch2xp, xp2torch

from ..errors import DistillEmbError, require
from .fork_safety import make_torch_fork_safe

if TYPE_CHECKING:
    import torch


def build_bilstm_encoder_v1(width: int, depth: int = 1, dropout: float = 0.0) -> Model[list[Floats2d], list[Floats2d]]:
    """Build `distillemb.BiLSTMEncoder.v1`: a bidirectional LSTM with a residual connection and LayerNorm.

    Args:
        width: Width of input and output. It is even: half for each direction.
        depth: Number of LSTM layers.
        dropout: Share dropped of the LSTM's output, between its layers and at the end.

    Returns:
        A model that takes and gives float32 ``[tokens, width]`` for each document.

    Raises:
        DistillEmbError: A size is impossible.
    """
    if width < 2 or width % 2:
        raise DistillEmbError(f"distillemb.BiLSTMEncoder.v1: width is {width}: give an even number such as 96.")
    if depth < 1 or not 0 <= dropout < 1:
        raise DistillEmbError(
            f"distillemb.BiLSTMEncoder.v1: depth = {depth}, dropout = {dropout}: give at least 1 layer and a share "
            "from 0 up to, not with, 1."
        )
    require("torch", "spacy")
    from .bilstm import BiLSTM
    from .shims import TorchShim

    make_torch_fork_safe()
    return Model(
        "distillemb_bilstm",
        pytorch_forward,
        attrs={"convert_inputs": _to_torch, "convert_outputs": _from_torch},
        shims=[TorchShim(BiLSTM(width, depth, dropout))],
        dims={"nI": width, "nO": width},
    )


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
