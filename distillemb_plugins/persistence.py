"""The encoder directory: the one contract between distillation and everything that reads an encoder.

    config.json            a Hugging Face configuration (model_type "distillemb")
    model.safetensors      the weights: float32, float16, or int8 with scales
    tokenizer.json         the Hugging Face tokenizer's backend; tokenizer_config.json holds the character table
    distillemb.json        what is known about the encoder (see `facts`)
    README.md              the model card, rendered from it
    *_distillemb.py        the code that `trust_remote_code=True` runs when this package is not installed

There is no pickle in it, and nothing here runs code from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from .card import encoder_card
from .characters import CharTable
from .errors import DistillEmbError, brief
from .facts import FACTS_FILE, WORD_LISTS, EncoderFacts, facts_of, read_old_card, word_lists_among
from .files import atomic_directory, atomic_file, is_file, read_json_object
from .hf_files import AUTO_MAP, TOKENIZER_FILE, remote_code_files, tokenizer_files
from .locations import BUNDLED, CONFIG_FILE, SHARDS_FILE, WEIGHTS_FILE, no_encoder, resolve
from .quantization import Storage, Tensors, dequantize, quantize
from .tensor_files import load_safetensors, read_safetensors, read_shards

__all__ = ["BUNDLED", "CONFIG_FILE", "WEIGHTS_FILE", "EncoderFiles", "encoder_from_bytes", "encoder_to_bytes",
           "find_word_list", "read_encoder", "resolve", "write_encoder", "write_facts"]  # fmt: skip

FORMAT_VERSION = 1
MODEL_TYPE = "distillemb"
CARD_FILE = "README.md"
ENCODER_PREFIX = "encoder."
CONTEXT_PREFIX = "context_layers."
HEAD_PREFIX = "distillemb."  # in a directory that a Hugging Face head wrote
CODEBOOK_PREFIX = "memory."  # of the tables of a residual codebook
_COPY = "copy the encoder again"
_LARGEST_TEXT = 1 << 26  # bytes of a JSON file or a card; what is larger is something else, and could fill the memory


@dataclass
class EncoderFiles:
    """What an encoder directory says.

    Args:
        config: The configuration as plain JSON values.
        tensors: The encoder's weights without the ``encoder.`` prefix, float32. Tables of codes keep their integer
            type.
        characters: The character table.
        card: The text of the model card.
        facts: What is known about the encoder.
        path: Where it was read from, if it was.
        context: The weights of the context layers over it, float32; empty where there are none.
    """

    config: dict[str, Any]
    tensors: Tensors
    characters: CharTable
    card: str = ""
    facts: EncoderFacts = field(default_factory=EncoderFacts)
    path: Path | None = field(default=None, compare=False)
    context: Tensors = field(default_factory=dict)

    @property
    def num_parameters(self) -> int:
        """Number of weights that the network learned."""
        return count_parameters(self.tensors)


def count_parameters(tensors: Tensors) -> int:
    """Count the weights of a network, not the tables of a residual codebook, which are fitted to what it misses."""
    return sum(tensor.size for name, tensor in tensors.items() if not name.startswith(CODEBOOK_PREFIX))


def read_encoder(name_or_path: str | Path) -> EncoderFiles:
    """Read and verify an encoder directory.

    Args:
        name_or_path: As for `resolve`. The directory may be a tagger's: its encoder is taken out.

    Raises:
        DistillEmbError: A file is missing or damaged, the format is newer, or tables do not fit together.
    """
    path = resolve(name_or_path)
    config = _read_json(path / CONFIG_FILE)
    _check_config(config, path)
    table = _read_json(path / TOKENIZER_FILE).get("char_table")
    if not isinstance(table, dict):
        raise DistillEmbError(f"{path / TOKENIZER_FILE} has no char_table: it was not written for an encoder.")
    stored, context = _own_tensors(_read_tensors(path), path)
    card = _read_card(path / CARD_FILE)
    return _assemble(config, stored, context, table, card, _read_facts(path, card), path)


def find_word_list(name_or_path: str | Path, kind: str) -> Path | None:
    """Find a word list that is stored with an encoder.

    Args:
        name_or_path: As for `resolve`.
        kind: ``"held_out"`` or ``"vocabulary"``.

    Returns:
        The file, or None when there is none.

    Raises:
        DistillEmbError: There is no such encoder, or its facts are damaged.
    """
    path = resolve(name_or_path)
    named = _read_facts(path, "").word_lists.get(kind)
    files = [path / file for file in ([named] if named else WORD_LISTS[kind])]  # version 0.1.0 named none
    return next((file for file in files if file.is_file()), None)


def _read_facts(path: Path, card: str) -> EncoderFacts:
    file = path / FACTS_FILE
    return facts_of(_read_json(file), file) if is_file(file) else read_old_card(card)


def _assemble(
    config: dict[str, Any],
    stored: Tensors,
    context: Tensors,
    table: dict[str, Any],
    card: str,
    facts: EncoderFacts,
    path: Path | None,
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
    tensors = _weights(stored, where)
    _check_sizes(config["encoder_args"], sum(tensor.size for tensor in tensors.values()), where)
    return EncoderFiles(config, tensors, characters, card, facts, path, _weights(context, where))


def _weights(stored: Tensors, where: object) -> Tensors:
    """Stored tensors as float32, all of them finite."""
    try:
        tensors = dequantize(stored)
    except (ValueError, MemoryError) as error:
        raise DistillEmbError(f"{where}: weights and scales do not fit ({brief(error)}): copy it again.") from error
    broken = [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]
    if broken:
        raise DistillEmbError(f"{where}: the weights {broken[0]} hold NaN or infinity: distill the encoder again.")
    return tensors


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
        raise no_encoder(file.parent, file.name)
    if file.stat().st_size > _LARGEST_TEXT:
        raise DistillEmbError(f"{file} is larger than {_LARGEST_TEXT >> 20} MB: copy the encoder again.")
    return read_json_object(file, _COPY)


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


def _read_tensors(path: Path) -> Tensors:
    if is_file(path / WEIGHTS_FILE):
        return read_safetensors(path / WEIGHTS_FILE, _COPY)[0]
    if is_file(path / SHARDS_FILE):
        return read_shards(path / SHARDS_FILE, _COPY)
    raise no_encoder(path, WEIGHTS_FILE)


def _own_tensors(stored: Tensors, path: Path) -> tuple[Tensors, Tensors]:
    """The tensors of the encoder, and those of the context layers over it."""
    for prefix in ("", HEAD_PREFIX):
        own = _below(prefix + ENCODER_PREFIX, stored)
        if own:
            return own, _below(prefix + CONTEXT_PREFIX, stored)
    raise DistillEmbError(f"{path} holds no encoder weights (no name begins with {ENCODER_PREFIX!r}): {_COPY}.")


def _below(prefix: str, stored: Tensors) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in stored.items() if name.startswith(prefix)}


def _named(prefix: str, tensors: Tensors, storage: Storage) -> Tensors:
    return {prefix + name: tensor for name, tensor in quantize(tensors, storage).items()}


def write_encoder(
    path: str | Path,
    config: dict[str, Any],
    tensors: Tensors,
    characters: CharTable,
    *,
    storage: Storage = "float32",
    context: Tensors | None = None,
    facts: EncoderFacts | None = None,
    card: str | None = None,
    overwrite: bool = False,
    extra_files: Mapping[str, bytes] | None = None,
) -> Path:
    """Write an encoder directory, complete or not at all.

    Args:
        path: The directory.
        config: ``encoder_type``, ``encoder_args`` (all sizes), ``dim``, and what else the configuration should keep.
        tensors: float32 weights by names without the ``encoder.`` prefix.
        characters: The character table.
        storage: ``float32``, ``float16`` or ``int8``.
        context: The weights of context layers over the encoder, float32. `config` then has their sizes.
        facts: What is known about the encoder.
        card: The text of the model card. It is rendered from the facts when not given.
        overwrite: Replace what stands at `path`.
        extra_files: Further files by name, such as a log. They arrive together with the rest. Word lists among them
            (see `facts.WORD_LISTS`) are entered into the facts.

    Returns:
        `path`.

    Raises:
        DistillEmbError: `path` exists and `overwrite` is false.
    """
    from safetensors.numpy import save

    path, extra_files, facts = Path(path), extra_files or {}, facts or EncoderFacts()
    facts = replace(facts, word_lists={**facts.word_lists, **word_lists_among(extra_files)})
    complete = _complete_config(config, characters, storage)
    if card is None:
        card = encoder_card(facts, name=path.name, config=complete, parameters=count_parameters(tensors))
    stored = _named(ENCODER_PREFIX, tensors, storage) | _named(CONTEXT_PREFIX, context or {}, storage)
    with atomic_directory(path, overwrite=overwrite) as work:
        (work / WEIGHTS_FILE).write_bytes(save(stored, metadata={"format": "pt"}))  # save_file makes it private
        texts = {CONFIG_FILE: _json(complete), CARD_FILE: card, FACTS_FILE: facts.to_json() if facts else ""}
        texts |= tokenizer_files(characters.to_dict()) | remote_code_files()
        for name, text in filter(itemgetter(1), texts.items()):
            (work / name).write_bytes(text.encode())  # bytes: the same on every system
        for name, content in extra_files.items():
            (work / name).write_bytes(content)
    return path


def write_facts(path: str | Path, facts: EncoderFacts, name: str = "") -> None:
    """Replace the facts of an encoder directory, and the model card that is rendered from them.

    Args:
        path: The directory.
        facts: The new facts.
        name: What the card calls the encoder, the name of the directory when not given.

    Raises:
        DistillEmbError: It is no encoder directory, or a damaged one.
    """
    path = Path(path)
    files = read_encoder(path)
    card = encoder_card(facts, name=name or path.name, config=files.config, parameters=files.num_parameters)
    for file, text in ((FACTS_FILE, facts.to_json()), (CARD_FILE, card)):
        with atomic_file(path / file, "w") as stream:
            stream.write(text)


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
    """Write an encoder into one safetensors blob, stored as ``files.config["storage"]`` says.

    Equal encoders give equal bytes: the metadata is one key, because safetensors writes several in a random order.
    """
    from safetensors.numpy import save

    storage = files.config.get("storage", "float32")
    described = {
        "config": _complete_config(files.config, files.characters, storage),
        "char_table": files.characters.to_dict(),
        "card": files.card,
        "facts": replace(files.facts, word_lists={}).to_dict(),  # the lists do not come along
    }
    stored = quantize(files.tensors, storage) | _named(CONTEXT_PREFIX, files.context, storage)
    return save(stored, metadata={MODEL_TYPE: _json(described)})


def encoder_from_bytes(blob: bytes) -> EncoderFiles:
    """Read what `encoder_to_bytes` wrote.

    Raises:
        DistillEmbError: The bytes are damaged.
    """
    stored, metadata = load_safetensors(blob, "The stored encoder", "save the pipeline again")
    try:
        described = json.loads(metadata[MODEL_TYPE])
        config, table, card = described["config"], described["char_table"], described["card"]
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
        raise DistillEmbError(f"The stored encoder is damaged ({brief(error)}): save the pipeline again.") from error
    if not isinstance(config, dict) or not isinstance(table, dict) or not isinstance(card, str):
        raise DistillEmbError("The stored encoder is damaged (no configuration): save the pipeline again.")
    _check_config(config, Path("The stored encoder"))
    facts = facts_of(described["facts"], "The stored encoder") if "facts" in described else read_old_card(card)
    own = {name: tensor for name, tensor in stored.items() if not name.startswith(CONTEXT_PREFIX)}
    return _assemble(config, own, _below(CONTEXT_PREFIX, stored), table, card, facts, None)
