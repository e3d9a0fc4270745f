"""The encoder directory: the one contract between distillation and everything that reads an encoder.

    config.json            a Hugging Face configuration (model_type "distillemb")
    model.safetensors      the weights: float32, float16, or int8 with scales
    tokenizer.json         the Hugging Face tokenizer's backend; tokenizer_config.json holds the character table
    README.md              the model card
    *_distillemb.py        the code that `trust_remote_code=True` runs when this package is not installed

There is no pickle in it, and nothing here runs code from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .characters import CharTable
from .errors import DistillEmbError, brief
from .files import atomic_directory, is_directory, is_file
from .hf_files import AUTO_MAP, remote_code_files, tokenizer_files
from .quantization import Storage, Tensors, dequantize, quantize

FORMAT_VERSION = 1
MODEL_TYPE = "distillemb"
CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE, CARD_FILE = (
    "config.json",
    "model.safetensors",
    "tokenizer_config.json",
    "README.md",
)
ENCODER_PREFIX = "encoder."
HEAD_PREFIX = "distillemb.encoder."  # in a directory that a Hugging Face head wrote
BUNDLED = Path(__file__).parent / "bundled"
_LARGEST_TEXT = 1 << 26  # bytes of a JSON file or a card; what is larger is something else, and could fill the memory


@dataclass
class EncoderFiles:
    """What an encoder directory says.

    config: the configuration as plain JSON values. tensors: the encoder's weights without the ``encoder.`` prefix,
    float32 (tables of codes keep their integer type). characters: the character table. card: the README's text.
    path: where it was read from, if it was.
    """

    config: dict[str, Any]
    tensors: Tensors
    characters: CharTable
    card: str = ""
    path: Path | None = field(default=None, compare=False)


def resolve(name_or_path: str | Path) -> Path:
    """The directory that a path, the name of a bundled encoder, or a Hugging Face hub id stands for.

    A hub id (``user/name``) is fetched through huggingface_hub, which keeps a local copy.
    Raises `DistillEmbError` when there is nothing under that name.
    """
    path = Path(name_or_path)
    if is_directory(path):
        return path
    name = str(name_or_path)
    bundled = BUNDLED / name
    if name and "/" not in name and "\\" not in name and is_file(bundled / CONFIG_FILE):
        return bundled
    if is_file(path):
        raise DistillEmbError(f"{path} is a file: an encoder is a directory with {CONFIG_FILE} in it.")
    known = sorted(p.parent.name for p in BUNDLED.glob(f"*/{CONFIG_FILE}"))
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _fetch(name, known)
    raise DistillEmbError(f"There is no encoder directory {brief(name)}: give a path, a hub id, or one of {known}.")


def _fetch(hub_id: str, known: list[str]) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise DistillEmbError(
            f"There is no directory {hub_id}; to fetch it from the Hugging Face hub: "
            'pip install "distillemb-plugins[hf]".'
        ) from error
    try:
        return Path(snapshot_download(hub_id, allow_patterns=["*.json", "*.safetensors", "*.md"]))
    except Exception as error:  # the hub's many errors all mean: not to be had
        raise DistillEmbError(
            f"{hub_id} is no directory here and could not be fetched from the hub ({type(error).__name__}): check "
            f"the path or the connection; these are bundled: {known}."
        ) from error


def read_encoder(name_or_path: str | Path) -> EncoderFiles:
    """Read and verify an encoder directory (or a tagger's: its encoder is taken out).

    Raises `DistillEmbError` for a missing or damaged file, a newer format, or tables that do not fit together.
    """
    path = resolve(name_or_path)
    config = _read_json(path / CONFIG_FILE)
    _check_config(config, path)
    table = _read_json(path / TOKENIZER_FILE).get("char_table")
    if not isinstance(table, dict):
        raise DistillEmbError(f"{path / TOKENIZER_FILE} has no char_table: it was not written for an encoder.")
    weights = path / WEIGHTS_FILE
    stored = _own_tensors(_read_tensors(weights), weights)
    return _assemble(config, stored, table, _read_card(path / CARD_FILE), path)


def _assemble(
    config: dict[str, Any], stored: Tensors, table: dict[str, Any], card: str, path: Path | None
) -> EncoderFiles:
    where = path or "The stored encoder"
    try:
        characters = CharTable.from_dict(table)
    except (ValueError, TypeError) as error:
        raise DistillEmbError(f"{where}: the character table is damaged ({brief(error)})") from error
    if len(characters) != config["vocab_size"] or characters.max_chars != config["max_chars"]:
        raise DistillEmbError(
            f"{where}: the character table has {len(characters)} ids of {characters.max_chars} positions, but "
            f"{CONFIG_FILE} says {config['vocab_size']} of {config['max_chars']}: files are of two different encoders."
        )
    try:
        tensors = dequantize(stored)
    except (ValueError, MemoryError) as error:
        raise DistillEmbError(f"{where}: weights and scales do not fit ({brief(error)}): copy it again.") from error
    _check_sizes(config["encoder_args"], sum(tensor.size for tensor in tensors.values()), where)
    broken = [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]
    if broken:
        raise DistillEmbError(f"{where}: the weights {broken[0]} hold NaN or infinity: distil the encoder again.")
    return EncoderFiles(config, tensors, characters, card, path)


def _check_sizes(args: Any, weights: int, where: object) -> None:
    """No size of a network is above the number of its weights: what is, is damaged, and could fill the memory."""
    for value in args.values() if isinstance(args, dict) else args:
        if isinstance(value, dict | list):
            _check_sizes(value, weights, where)
        elif isinstance(value, int | float) and not abs(value) <= weights:
            raise DistillEmbError(
                f"{where}: encoder_args holds {brief(value)}, but there are {weights} weights: copy the encoder again."
            )


def _read_card(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return stream.read(min(file.stat().st_size, _LARGEST_TEXT)).decode("utf-8", errors="replace")


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise DistillEmbError(f"{file.parent} is no encoder directory: {file.name} is missing.")
    if file.stat().st_size > _LARGEST_TEXT:
        raise DistillEmbError(f"{file} is larger than {_LARGEST_TEXT >> 20} MB: copy the encoder again.")
    try:
        values = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DistillEmbError(f"{file} is damaged ({brief(error)}): copy the encoder again.") from error
    if not isinstance(values, dict):
        raise DistillEmbError(f"{file} holds no JSON object: copy the encoder again.")
    return values


def _check_config(config: dict[str, Any], path: Path) -> None:
    if config.get("model_type") != MODEL_TYPE:
        raise DistillEmbError(
            f"{path} holds a model of type {brief(repr(config.get('model_type')))}, not {MODEL_TYPE!r}: "
            "give an encoder directory."
        )
    version = config.get("format_version")
    if not isinstance(version, int):
        raise DistillEmbError(f"{path / CONFIG_FILE} has no format_version: copy the encoder again.")
    if version > FORMAT_VERSION:
        raise DistillEmbError(
            f"{path} was written in format {version}, this version reads up to {FORMAT_VERSION}: "
            "pip install --upgrade distillemb-plugins."
        )
    kinds = {"encoder_type": str, "encoder_args": dict, "dim": int, "vocab_size": int, "max_chars": int}
    for name, kind in kinds.items():
        if type(config.get(name)) is not kind:  # true is no number
            raise DistillEmbError(
                f"{path / CONFIG_FILE}: {name} is missing or no {kind.__name__}: copy the encoder again."
            )


def _read_tensors(file: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not file.is_file():
        raise DistillEmbError(f"{file.parent} is no encoder directory: {file.name} is missing.")
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError, KeyError, MemoryError) as error:
        raise DistillEmbError(f"{file} is damaged or cut short ({brief(error)}): copy the encoder again.") from error


def _own_tensors(stored: Tensors, file: Path) -> Tensors:
    for prefix in (ENCODER_PREFIX, HEAD_PREFIX):
        own = {name.removeprefix(prefix): tensor for name, tensor in stored.items() if name.startswith(prefix)}
        if own:
            return own
    raise DistillEmbError(f"{file} holds no encoder weights (no name begins with {ENCODER_PREFIX!r}).")


def write_encoder(
    path: str | Path,
    config: dict[str, Any],
    tensors: Tensors,
    characters: CharTable,
    *,
    storage: Storage = "float32",
    card: str = "",
    overwrite: bool = False,
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Write an encoder directory, complete or not at all.

    config: encoder_type, encoder_args (all sizes), dim, and what else the configuration should keep.
    tensors: names without the ``encoder.`` prefix, float32. extra: further files by name, such as a log: they arrive
    together with the rest. Returns the path.
    Raises `DistillEmbError` when `path` exists and `overwrite` is false.
    """
    from safetensors.numpy import save

    path = Path(path)
    stored = quantize(tensors, storage)
    with atomic_directory(path, overwrite=overwrite) as work:
        complete = _complete_config(config, characters, storage)
        (work / CONFIG_FILE).write_text(_json(complete), "utf-8")
        named = {ENCODER_PREFIX + name: tensor for name, tensor in stored.items()}
        (work / WEIGHTS_FILE).write_bytes(save(named, metadata={"format": "pt"}))  # save_file makes it private
        for name, text in (tokenizer_files(characters.to_dict()) | remote_code_files()).items():
            (work / name).write_text(text, "utf-8")
        (work / CARD_FILE).write_text(card, "utf-8")
        for name, content in (extra or {}).items():
            (work / name).write_bytes(content)
    return path


def _complete_config(config: dict[str, Any], characters: CharTable, storage: Storage) -> dict[str, Any]:
    return {
        **config,
        "model_type": MODEL_TYPE,
        "architectures": ["DistillEmbModel"],
        "auto_map": AUTO_MAP,
        "format_version": FORMAT_VERSION,
        "vocab_size": len(characters),
        "max_chars": characters.max_chars,
        "storage": storage,
        "dtype": "float32",  # whatever the storage, the weights are computed with in float32
    }


def _json(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def encoder_to_bytes(files: EncoderFiles) -> bytes:
    """One safetensors blob with the whole encoder, stored as ``files.config["storage"]`` says.

    Equal encoders give equal bytes: the metadata is one key, for safetensors writes several in a random order.
    """
    from safetensors.numpy import save

    storage = files.config.get("storage", "float32")
    described = {
        "config": _complete_config(files.config, files.characters, storage),
        "char_table": files.characters.to_dict(),
        "card": files.card,
    }
    return save(quantize(files.tensors, storage), metadata={MODEL_TYPE: _json(described)})


def encoder_from_bytes(blob: bytes) -> EncoderFiles:
    """The inverse of `encoder_to_bytes`. Raises `DistillEmbError` when the bytes are damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        stored = load(blob)
        size = int.from_bytes(blob[:8], "little")
        described = json.loads(json.loads(blob[8 : 8 + size])["__metadata__"][MODEL_TYPE])
        config, table, card = described["config"], described["char_table"], described["card"]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
        raise DistillEmbError(f"The stored encoder is damaged ({brief(error)}): save the pipeline again.") from error
    if not isinstance(config, dict) or not isinstance(table, dict):
        raise DistillEmbError("The stored encoder is damaged (no configuration): save the pipeline again.")
    _check_config(config, Path("The stored encoder"))
    return _assemble(config, stored, table, card, None)
