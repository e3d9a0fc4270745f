"""Opening any teacher. The content tells the format, not the name."""

from __future__ import annotations

from pathlib import Path

from ...errors import DistillEmbError, brief, require
from ...files import DAMAGE, is_directory, is_file, open_bytes
from ..table import Teacher
from .arrays import read_npz, read_safetensors
from .fasttext import MAGIC, read_fasttext
from .objects import read_spacy, spacy_directory
from .word2vec import looks_binary, read_word2vec_binary, read_word2vec_text

_COMPRESSED = (".gz", ".xz", ".bz2")
_PICKLE_MAGIC = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_PICKLED = (".kv", ".model", ".pkl", ".pickle")


def load_teacher(path: str | Path, limit: int | None = None) -> Teacher:
    """Read a teacher table.

    Args:
        path: word2vec text or binary, also .gz/.xz/.bz2 (GloVe's text too); fastText ``.bin`` with its n-grams;
            ``.npz``; ``.safetensors``; the directory or the installed name of a spaCy pipeline; or
            ``hf://owner/repository/file`` on the Hugging Face hub.
        limit: Most words to keep, the first ones. What comes after them is not read.

    Raises:
        DistillEmbError: It cannot be read, or it is a pickle.
    """
    if str(path).startswith("hf://"):
        path = _from_hub(str(path))
    path = Path(path)
    if is_directory(path) or (not is_file(path) and spacy_directory(path) is not None):
        return read_spacy(path, limit)
    try:
        return _read_file(path, limit)
    except MemoryError as error:
        raise DistillEmbError(f"{path} does not fit into memory: give a limit of words.") from error
    except DAMAGE as error:
        raise DistillEmbError(f"{path} cannot be read ({brief(error)}): is it damaged, or its suffix wrong?") from error


def _read_file(path: Path, limit: int | None) -> Teacher:
    with open_bytes(path) as stream:
        head = stream.read(16)
    if not head:
        raise DistillEmbError(f"{path} is empty: give a table with one word and its numbers a line.")
    if head.startswith(_PICKLE_MAGIC) or path.suffix.lower() in _PICKLED:  # gensim's own .kv and .model files
        raise DistillEmbError(
            f"{path} is a pickle, which could run code when read: open it with gensim if you trust it and write "
            "it with KeyedVectors.save_word2vec_format, or give the object to teacher_from_keyed_vectors."
        )
    if head.startswith(b"\x93NUMPY"):
        raise DistillEmbError(f"{path} holds vectors without words: save both with numpy.savez(words=, vectors=).")
    is_safetensors = head[8:9] == b"{" and head[4:8] == bytes(4)  # the length of the header, then JSON
    for is_this, read in (
        (head.startswith(MAGIC), read_fasttext),
        (head.startswith(b"PK"), read_npz),
        (is_safetensors, read_safetensors),
    ):
        if is_this:
            if path.suffix.lower() in _COMPRESSED:
                raise DistillEmbError(f"{path} must be unpacked first: its rows are read from where they lie in it.")
            return read(path, limit)
    return (read_word2vec_binary if looks_binary(path) else read_word2vec_text)(path, limit)


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
