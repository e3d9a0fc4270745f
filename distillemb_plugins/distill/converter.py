"""The authors' published PyTorch Lightning checkpoints as encoder directories."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..characters import CharTable
from ..errors import DistillEmbError, brief
from ..facts import EncoderFacts
from ..hf.configuration_distillemb import DistillEmbConfig
from ..layers.encoders_distillemb import build_encoder
from ..persistence import write_encoder

_CONVOLUTIONS = [f"conv{number}.weight" for number in range(1, 5)]
_NEEDED = {"embedding.weight", "norm0.weight", "output_layer.weight", *_CONVOLUTIONS}
# Revisions of the published code that differ in the names of the last layers: ours from theirs.
_OLD_LAYERS = ({"fc2.": "output_layer.", "norm5.": "output_norm."}, {"fc1.": "output_layer.", "norm4.": "output_norm."})


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
    path = Path(path)
    tensors, revision = _network(_state_dict(path), path)
    table = _character_table(characters, tensors["norm0.weight"].shape[0])
    rows, known = tensors["embedding.weight"], len(table.characters)
    if len(rows) != known + 1:
        raise DistillEmbError(
            f"{path} knows {len(rows) - 1} characters besides the padding, the character set has {known}: "
            "give the file that the checkpoint was trained with."
        )
    tensors["embedding.weight"] = torch.cat([rows[:1], rows[1:].mean(0, keepdim=True), rows[1:]])
    tensors = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    config = _config(tensors, activation or revision)
    try:
        full = DistillEmbConfig(**config, vocab_size=len(table), max_chars=table.max_chars)
        build_encoder(full).load_state_dict(tensors)
    except (RuntimeError, ValueError, KeyError) as error:
        raise DistillEmbError(f"{path} does not fit the network {config['encoder_type']}: {brief(error)}") from error
    facts = facts or EncoderFacts(notes="Converted from the authors' published checkpoint.")
    facts = replace(facts, teachers=facts.teachers or ("word2vec", "fastText"))
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return write_encoder(out, config, arrays, table, facts=facts, overwrite=overwrite)


def _state_dict(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise DistillEmbError(f"There is no checkpoint {path}: check the path.")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # Lightning's hyper-parameters: plain values
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DistillEmbError(
            f"{path} holds Python objects besides tensors, and those are not loaded, because they could run code "
            f"({brief(error)}): save torch.load(...)['state_dict'] alone, on a machine that trusts the file."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise DistillEmbError(f"{path} is not a torch file, or it is damaged ({brief(error)}).") from error
    for key in ("state_dict", "model_state_dict"):
        content = content.get(key, content) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise DistillEmbError(f"{path} has no state_dict: give a Lightning checkpoint.")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _network(weights: dict[str, Tensor], path: Path) -> tuple[dict[str, Tensor], str]:
    """The weights under our names, and the activation of that revision of the published code."""
    for prefix in ("model.", "encoder.", "embedding_model.", ""):
        found = {name.removeprefix(prefix): t for name, t in weights.items() if name.startswith(prefix)}
        if "conv1.weight" in found:
            break
    activation = "mish" if "fc1.weight" in found else "leaky_relu"
    if "output_layer.weight" not in found:
        activation = "relu"
        for theirs, ours in _OLD_LAYERS["fc2.weight" not in found].items():
            found = {name.replace(theirs, ours): tensor for name, tensor in found.items()}
    if missing := sorted(_NEEDED - found.keys()):
        problem = f"lacks {', '.join(missing)}" if "conv1.weight" in found else "holds no conv1.weight"
        raise DistillEmbError(f"{path} {problem}: it is not a checkpoint of a DistillEmb network.")
    return found, activation


def _character_table(characters: str | Path | Sequence[str], positions: int) -> CharTable:
    """The authors' order: sorted by code point; their padding is ours."""
    if isinstance(characters, str | Path):
        if not Path(characters).is_file():
            raise DistillEmbError(f"There is no character set file {characters}: check the path.")
        characters = Path(characters).read_text("utf-8").strip()
    try:
        return CharTable(sorted(c for c in characters if c), max_chars=positions, align="center")
    except ValueError as error:
        raise DistillEmbError(f"The character set cannot be used: {error}") from error


def _config(tensors: dict[str, Tensor], activation: str) -> dict[str, Any]:
    channels = [tensors[name].shape[0] for name in _CONVOLUTIONS]
    hidden = tensors["fc1.weight"].shape[0] if "fc1.weight" in tensors else 0
    size = "large" if channels[2:] == [256, 384] else "mid" if hidden else "small"
    char_dim = tensors["embedding.weight"].shape[1]
    return {
        "encoder_type": f"distillemb-{size}",
        "encoder_args": {"char_dim": char_dim, "channels": channels, "hidden": hidden, "activation": activation},
        "dim": tensors["output_layer.weight"].shape[0],
    }
