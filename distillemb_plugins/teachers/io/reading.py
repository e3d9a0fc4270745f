"""Opening any teacher. The content tells the format, not the name; the user may."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from ...errors import DistillEmbError, brief, require
from ...files import DAMAGE, PACKED, is_directory, is_file, open_bytes
from ..table import Teacher
from .arrays import read_npz, read_safetensors
from .fasttext import MAGIC, read_fasttext
from .floret import is_floret_text, read_floret_text
from .objects import read_spacy, spacy_directory
from .word2vec import looks_binary, read_word2vec_binary, read_word2vec_text

Format = Literal["text", "glove", "binary", "fasttext", "floret", "npz", "safetensors"]
FORMATS: tuple[Format, ...] = get_args(Format)
_READERS: dict[str, Callable[[Path, int | None], Teacher]] = {
    "text": read_word2vec_text,
    "glove": partial(read_word2vec_text, header=False),
    "binary": read_word2vec_binary,
    "fasttext": read_fasttext,
    "floret": read_floret_text,
    "npz": read_npz,
    "safetensors": read_safetensors,
}
_STREAMED = ("text", "glove", "binary", "floret")  # the others are read from where their rows lie in the file
_PICKLE_MAGIC = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_PICKLED = (".kv", ".model", ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")
_UNKNOWN_MAGIC = (b"\x89HDF", b"PAR1", b"GGUF", b"SQLite", b"ARROW", b"%PDF")


def load_teacher(path: str | Path, limit: int | None = None, format: str | None = None) -> Teacher:
    """Read a teacher table.

    Args:
        path: word2vec text or binary, also .gz/.xz/.bz2 or a .zip that holds nothing else (GloVe's text too); fastText
            or floret ``.bin`` with its n-grams; floret text; ``.npz``; ``.safetensors``; the directory or the installed
            name of a spaCy pipeline; or ``hf://owner/repository/file`` on the Hugging Face hub.
        limit: Most words to keep, the first ones. What comes after them is not read.
        format: What a file is, where its content deceives: ``"text"``, ``"glove"`` (text without a header),
            ``"binary"``, ``"fasttext"``, ``"floret"`` (text), ``"npz"`` or ``"safetensors"``. None finds out.

    Raises:
        DistillEmbError: It cannot be read, or it is a pickle.
    """
    if format is not None and format not in FORMATS:
        raise DistillEmbError(f"format is {format!r}: choose one of {', '.join(FORMATS)}, or leave it out.")
    if str(path).startswith("hf://"):
        path = _from_hub(str(path))
    path = Path(path)
    if is_directory(path) or (not is_file(path) and spacy_directory(path) is not None):
        return read_spacy(path, limit)
    try:
        return _read_file(path, limit, format)
    except MemoryError as error:
        raise DistillEmbError(f"{path} does not fit into memory: give a limit of words.") from error
    except DAMAGE as error:
        raise DistillEmbError(f"{path} cannot be read ({brief(error)}): is it damaged, or its suffix wrong?") from error


def _read_file(path: Path, limit: int | None, format: str | None) -> Teacher:
    if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path) and _is_npz(path):
        return read_npz(path, limit)
    with open_bytes(path) as stream:
        head = stream.read(200)
    if not head:
        raise DistillEmbError(f"{path} is empty: give a table with one word and its numbers a line.")
    is_torch = head.startswith(b"PK") and zipfile.is_zipfile(path) and _holds(path, "data.pkl")
    if head.startswith(_PICKLE_MAGIC) or is_torch or (format is None and path.suffix.lower() in _PICKLED):
        raise DistillEmbError(
            f"{path} is a pickle, which could run code when read: open it with gensim if you trust it and write "
            "it with KeyedVectors.save_word2vec_format, or give the object to teacher_from_keyed_vectors."
        )
    if head.startswith(b"\x93NUMPY"):
        raise DistillEmbError(f"{path} holds vectors without words: save both with numpy.savez(words=, vectors=).")
    kind = format or _format(path, head)
    if kind not in _STREAMED and path.suffix.lower() in PACKED:
        raise DistillEmbError(f"{path} must be unpacked first: its rows are read from where they lie in it.")
    try:
        return _READERS[kind](path, limit)
    except DistillEmbError as error:
        # The suffix says otherwise: perhaps the content deceived.
        named_binary = any(suffix.lower() in (".bin", ".w2v") for suffix in path.suffixes)
        if format is None and kind in ("text", "binary") and named_binary != (kind == "binary"):
            other = "text" if kind == "binary" else "binary"
            raise DistillEmbError(
                f"{str(error).rstrip('.')} (read as {kind}: say --format {other}, format='{other}', if it is)."
            ) from error
        raise


def _format(path: Path, head: bytes) -> str:
    if head.startswith(MAGIC):
        return "fasttext"
    if head.startswith(b"PK"):
        return "npz"
    if head[8:9] == b"{" and head[4:8] == bytes(4):  # the length of the header, then JSON
        return "safetensors"
    if is_floret_text(head):
        return "floret"
    if head.startswith(_UNKNOWN_MAGIC):
        raise DistillEmbError(f"{path} is in a format that is not read here: write it as text (.vec) or .npz.")
    return "binary" if looks_binary(path) else "text"


def _holds(path: Path, ending: str) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(ending) for name in archive.namelist())


def _is_npz(path: Path) -> bool:
    """Whether an archive holds arrays, or nothing that is a table at all (which the reader of arrays tells)."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    return any(name.endswith(".npy") for name in names) or all(name.lower().startswith("readme") for name in names)


def _from_hub(address: str) -> Path:
    """Fetch ``hf://owner/repository/path/in/it`` into huggingface_hub's cache."""
    parts = address.removeprefix("hf://").split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise DistillEmbError(f"{address} does not name a file on the hub: write hf://owner/repository/file.")
    hub = require("huggingface_hub", "hf")
    try:
        return Path(hub.hf_hub_download(f"{parts[0]}/{parts[1]}", parts[2]))
    except Exception as error:  # a dozen kinds: no such repository, gated, no network
        raise DistillEmbError(f"{address} could not be fetched ({error}): check the name and the network.") from error
