"""The authors' published PyTorch Lightning checkpoints as encoder directories."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..characters import CharTable
from ..errors import DistillEmbError
from ..facts import EncoderFacts
from ..persistence import write_encoder

_PREFIXES = ("model.", "encoder.", "embedding_model.", "")
_POSITIONS_NORM = "norm0.weight"
# Revisions of the published code that differ in the names of the last layers: ours from theirs.
_TWO_LINEAR_OLD = {"fc2": "output_layer", "norm5": "output_norm"}
_ONE_LINEAR_OLD = {"fc1": "output_layer", "norm4": "output_norm"}
_CHANNELS = {(192, 256): "small", (256, 384): "large"}


def convert_lightning_checkpoint(
    path: str | Path,
    characters: str | Path | Sequence[str],
    out: str | Path,
    *,
    activation: str | None = None,
    overwrite: bool = False,
    facts: EncoderFacts | None = None,
) -> Path:
    """Turn a checkpoint of github.com/leobitz/DistillEmb into an encoder directory.

    Words are cut and padded as the authors do it. The row for unknown characters, which the authors do not have, is
    the mean of the others.

    Args:
        path: A Lightning ``.ckpt`` (or a plain torch file with ``model_state_dict``). It is opened with
            ``torch.load(weights_only=True)``, which runs no code from it.
        characters: The character set it was trained with: the file (``am-charset.txt``, all characters in one text)
            or the characters. As in the authors' code they are sorted, and a space, their padding, is put before them.
        out: The directory to write.
        activation: relu, leaky_relu or mish. None takes what the revision of the code used that the layer names point
            to (leaky_relu for today's small, mish for mid and large, relu for the older ones).
        overwrite: Replace what stands at `out`.
        facts: What is known about the encoder.

    Returns:
        `out`.

    Raises:
        DistillEmbError: The file is not such a checkpoint, or does not fit the characters.
    """
    weights = _strip_prefix(_state_dict(Path(path)), Path(path))
    tensors, revision = _rename(weights)
    table = _character_table(characters, tensors[_POSITIONS_NORM].shape[0])
    tensors["embedding.weight"] = _with_unknown(tensors["embedding.weight"], table, Path(path))
    config = _config(tensors, activation or revision)
    arrays = {name: np.ascontiguousarray(tensor.float().numpy()) for name, tensor in tensors.items()}
    _check_loads(config, arrays, table, Path(path))
    facts = facts or EncoderFacts(notes="Converted from the authors' published checkpoint.")
    facts = replace(facts, teachers=facts.teachers or ("word2vec", "fastText"))
    return write_encoder(out, config, arrays, table, facts=facts, overwrite=overwrite)


def _state_dict(path: Path) -> dict[str, Tensor]:
    """The weights of a torch file, by name."""
    if not path.is_file():
        raise DistillEmbError(f"There is no checkpoint {path}: check the path.")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # Lightning's hyper-parameters: plain values
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DistillEmbError(
            f"{path} holds Python objects besides tensors, and those are not loaded, because they could run code "
            f"({_first_line(error)}): save torch.load(...)['state_dict'] alone, on a machine that trusts the file."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise DistillEmbError(f"{path} is not a torch file, or it is damaged ({_first_line(error)}).") from error
    for key in ("state_dict", "model_state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise DistillEmbError(f"{path} has no state_dict: give a Lightning checkpoint.")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _strip_prefix(weights: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if f"{prefix}conv1.weight" in weights:
            found = {name.removeprefix(prefix): t for name, t in weights.items() if name.startswith(prefix)}
            wanted = {"embedding.weight", _POSITIONS_NORM, *(f"conv{n}.weight" for n in range(1, 5))}
            missing = sorted(wanted - set(found))
            if not missing:
                return found
            raise DistillEmbError(f"{path} lacks {', '.join(missing)}: it is not a checkpoint of a DistillEmb network.")
    raise DistillEmbError(f"{path} holds no conv1.weight: it is not a checkpoint of a DistillEmb network.")


def _rename(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Our names for the last layers, and the activation of that revision of the published code."""
    if "output_layer.weight" in weights:
        return dict(weights), "mish" if "fc1.weight" in weights else "leaky_relu"
    names = _TWO_LINEAR_OLD if "fc2.weight" in weights else _ONE_LINEAR_OLD
    renamed = {}
    for name, tensor in weights.items():
        layer, _, rest = name.partition(".")
        renamed[f"{names.get(layer, layer)}.{rest}"] = tensor
    if "output_layer.weight" not in renamed:
        raise DistillEmbError("The checkpoint has no last linear layer (output_layer, fc2 or fc1).")
    return renamed, "relu"


def _character_table(characters: str | Path | Sequence[str], positions: int) -> CharTable:
    """The authors' order: sorted by code point; their padding is ours."""
    if isinstance(characters, str | Path):
        file = Path(characters)
        if not file.is_file():
            raise DistillEmbError(f"There is no character set file {file}: check the path.")
        listed: Sequence[str] = file.read_text("utf-8").strip()
    else:
        listed = characters
    ordered = sorted(c for c in listed if c != "")
    try:
        return CharTable(ordered, max_chars=positions, align="centre")
    except ValueError as error:
        raise DistillEmbError(f"The character set cannot be used: {error}") from error


def _with_unknown(rows: Tensor, table: CharTable, path: Path) -> Tensor:
    """The embedding with our row 1 (unknown) put in after the padding row."""
    known = len(table.characters)
    if len(rows) != known + 1:
        raise DistillEmbError(
            f"{path} knows {len(rows) - 1} characters besides the padding, the character set has {known}: "
            "give the file that the checkpoint was trained with."
        )
    return torch.cat([rows[:1], rows[1:].mean(0, keepdim=True), rows[1:]])


def _config(tensors: dict[str, Tensor], activation: str) -> dict[str, Any]:
    channels = [tensors[f"conv{place}.weight"].shape[0] for place in range(1, 5)]
    hidden = tensors["fc1.weight"].shape[0] if "fc1.weight" in tensors else 0
    size = _CHANNELS.get((channels[2], channels[3]), "small")
    kind = "mid" if size == "small" and hidden else size
    return {
        "encoder_type": f"distillemb-{kind}",
        "encoder_args": {
            "char_dim": tensors["embedding.weight"].shape[1],
            "channels": channels,
            "hidden": hidden,
            "activation": activation,
        },
        "dim": tensors["output_layer.weight"].shape[0],
    }


def _check_loads(config: dict[str, Any], arrays: dict[str, Any], table: CharTable, path: Path) -> None:
    """Build the network and let it take the weights, so that a mismatch is found now."""
    from ..hf.configuration_distillemb import DistillEmbConfig
    from ..hf.encoders_distillemb import build_encoder

    try:
        full = DistillEmbConfig(**config, vocab_size=len(table), max_chars=table.max_chars)
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        build_encoder(full).load_state_dict(tensors)
    except (RuntimeError, ValueError, KeyError) as error:
        lines = " ".join(str(error).split())[:300]
        raise DistillEmbError(f"{path} does not fit the network {config['encoder_type']}: {lines}") from error
