"""Where an encoder lies: a path, a bundled name or a hub id; and what to do where there is something else."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

from .errors import DistillEmbError, brief
from .files import is_directory, is_file

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
SHARDS_FILE = "model.safetensors.index.json"  # names the file of each tensor, where there are several
BUNDLED = Path(__file__).parent / "bundled"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_ADAPTER = "adapter_config.json"  # a few weights to be added to a model's (PEFT)
_PIPELINE = "meta.json"  # spaCy's
_PIPELINE_VECTORS = "vocab/distillemb.safetensors"
_FETCHED = ["*.json", "*.safetensors", "head.onnx", "*.md", "*.txt", "*.txt.gz", "*.txt.xz"]  # word lists too
_SHOWN = 3  # names in a message


def bundled_names() -> list[str]:
    """Return the names of the encoders that come with the package."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG_FILE}"))


def bundled(name: str) -> Path:
    """Return the directory of an encoder that comes with the package.

    It is for libraries that do not know the names, such as ``AutoModel.from_pretrained(bundled("afro11"))``.

    Args:
        name: Such as ``"afro11"``.

    Raises:
        DistillEmbError: No encoder of that name comes with the package.

    Examples:
        >>> import distillemb_plugins.hf
        >>> from transformers import AutoModel
        >>> AutoModel.from_pretrained(bundled("afro11")).config.dim
        200
    """
    known = bundled_names()
    if name not in known:
        raise DistillEmbError(f"No encoder {brief(repr(name))} comes with the package: give one of {known}.")
    return BUNDLED / name


def resolve(name_or_path: str | Path) -> Path:
    """Find the directory that a name stands for.

    Args:
        name_or_path: A path (``~`` is your home directory), the name of a bundled encoder, or a Hugging Face hub id
            (``user/name``), which is fetched through huggingface_hub and kept there.

    Raises:
        DistillEmbError: There is nothing under that name.
    """
    known = bundled_names()
    if not isinstance(name_or_path, str | Path) or not str(name_or_path).strip():
        raise DistillEmbError(f"{name_or_path!r} names no encoder: give a path, a hub id, or one of {known}.")
    path = _expanded(name_or_path)
    if is_directory(path):
        return path
    name = str(name_or_path).rstrip("/")
    if name in known:
        return bundled(name)
    if is_file(path):
        beside = f": give {path.parent}" if is_file(path.parent / CONFIG_FILE) else ""
        raise DistillEmbError(f"{path} is a file; an encoder is a directory with {CONFIG_FILE} in it{beside}.")
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _fetch(name, known)
    raise DistillEmbError(f"There is no encoder directory {brief(name)}: give a path, a hub id, or one of {known}.")


def _expanded(name_or_path: str | Path) -> Path:
    try:
        return Path(name_or_path).expanduser()
    except RuntimeError:  # ~somebody, who is nobody
        return Path(name_or_path)


def _fetch(hub_id: str, known: list[str]) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise DistillEmbError(
            f"There is no directory {hub_id}; to fetch it from the Hugging Face hub: "
            'pip install "distillemb-plugins[hf]".'
        ) from error
    try:
        return Path(snapshot_download(hub_id, allow_patterns=_FETCHED))
    except Exception as error:  # the hub's many errors all mean: not to be had
        raise DistillEmbError(
            f"{hub_id} is no directory here and could not be fetched from the hub ({type(error).__name__}): check "
            f"the path or the connection; these are bundled: {known}."
        ) from error


def no_encoder(path: Path, missing: str) -> DistillEmbError:
    """Say why a directory is no encoder, and what to give instead. missing: the file that an encoder would have."""
    if missing == WEIGHTS_FILE:
        return DistillEmbError(f"{path} {_no_weights(path)}")
    what = _something_else(path) if missing == CONFIG_FILE else None
    return DistillEmbError(f"{path} is {what or f'no encoder directory: {missing} is missing.'}")


def _something_else(path: Path) -> str | None:
    if is_file(path / _PIPELINE):
        return _pipeline(path)
    if is_file(path / _ADAPTER):
        return "an adapter (PEFT), not a model: merge it first, model.merge_and_unload().save_pretrained(DIRECTORY)."
    below = [d for pattern in ("*", "*/*") for d in sorted(path.glob(pattern)) if is_encoder(d)]
    if not below:
        return None
    names = ", ".join(map(str, below[:_SHOWN])) + (", ..." if len(below) > _SHOWN else "")
    return f"no encoder directory, but holds {names}: give {'that' if len(below) == 1 else 'one of them'}."


def is_encoder(directory: Path) -> bool:
    """Whether there is an encoder directory, as far as its configuration says."""
    try:
        return json.loads((directory / CONFIG_FILE).read_text("utf-8")).get("model_type") == "distillemb"
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _pipeline(path: Path) -> str:
    """How to take the encoder out of a spaCy pipeline."""
    load = f'spacy.load("{path}")'
    if is_file(path / _PIPELINE_VECTORS):
        take = f"{load}.vocab.vectors.encoder"
    elif name := _component(path / "config.cfg"):
        take = f'distillemb_plugins.spacy_plugin.layers.pipeline_encoder({load}, "{name}")'
    else:
        return "a spaCy pipeline without an encoder of ours: give an encoder directory."
    return f"a spaCy pipeline: take its encoder out with {take}.save_pretrained(DIRECTORY) and give that."


def _component(file: Path) -> str | None:
    """The component of a pipeline that holds an encoder."""
    config = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=False)
    try:
        config.read_string(file.read_text("utf-8"))
    except (OSError, ValueError, configparser.Error):
        return None
    for section in config.sections():
        if section.startswith("components.") and "distillemb." in config[section].get("@architectures", ""):
            return section.split(".")[1]
    return None


def _no_weights(path: Path) -> str:
    pickle = next((name for name in _PICKLES if is_file(path / name)), None)
    if pickle:
        tensors = f'torch.load("{path / pickle}", weights_only=True)'
        if pickle.endswith(".json"):
            parts = f'pathlib.Path("{path}").glob("pytorch_model*.bin")'
            tensors = f"{{n: t for part in {parts} for n, t in torch.load(part, weights_only=True).items()}}"
        return (
            f"has its weights in {pickle}, a pickle, which could run code and is not read: convert it with "
            f'safetensors.torch.save_file({tensors}, "{path / WEIGHTS_FILE}", {{"format": "pt"}}).'
        )
    others = sorted(file.name for file in path.glob("*.safetensors"))
    if others == ["adapter_model.safetensors"]:
        return "has an adapter's weights only: model.merge_and_unload().save_pretrained(DIRECTORY) writes a model."
    if len(others) == 1:
        return f"is no encoder directory: {WEIGHTS_FILE} is missing; rename {others[0]} if these are the weights."
    if others:
        return (
            f"is no encoder directory: {WEIGHTS_FILE} is missing, and so is {SHARDS_FILE} for its parts: copy it again."
        )
    return f"is no encoder directory: {WEIGHTS_FILE} is missing."
