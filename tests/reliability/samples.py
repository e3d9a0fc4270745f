"""One small valid file of every kind that the package opens, and how it is opened and used: `use` returns all
that came of it, so that what silently changed can be told.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distillemb_plugins import DistillEmb
from distillemb_plugins.data.conll import Layout, read_sentences
from distillemb_plugins.persistence import encoder_from_bytes, encoder_to_bytes, read_encoder
from distillemb_plugins.teachers import load_teacher

WORDS = ["ya", "watoto", "ሰላም", "ọ̀rọ̀", "ng'ombe", "kitabu"]
VECTORS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
COUNTS = np.array([50, 40, 30, 20, 10, 5])
ASKED = ["watoto", "neverseen", "ሰላም", "ẹ́", ""]  # what is asked of every table and encoder that opens


@dataclass(frozen=True)
class Sample:
    """files: content by path within a folder. name: what of it is opened. use: open and use it."""

    kind: str
    files: dict[str, bytes]
    name: str
    use: Callable[[Path], bytes]

    def write(self, folder: Path, files: dict[str, bytes] | None = None) -> Path:
        """Write the files (or others under the same names) and return the path to open."""
        for name, content in (self.files if files is None else files).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.name


def use_teacher(path: Path) -> bytes:
    teacher = load_teacher(path)
    vectors, _ = teacher.lookup(ASKED)
    assert np.isfinite(vectors).all() and np.isfinite(teacher.vectors).all()
    share = teacher.frequencies()
    assert len(share) == len(teacher) and (share >= 0).all()
    for word in teacher.words:
        word.encode("utf-8")  # what every writer of the package does with it
    return repr(teacher.words).encode() + teacher.vectors.tobytes() + vectors.tobytes()


def use_encoder(path: Path) -> bytes:
    return _use(DistillEmb.from_pretrained(path, cache_size=10))


def use_blob(path: Path) -> bytes:
    return _use(DistillEmb.from_files(encoder_from_bytes(path.read_bytes()), cache_size=10))


def _use(encoder: DistillEmb) -> bytes:
    vectors = encoder.encode(ASKED)
    assert vectors.shape == (len(ASKED), encoder.dim) and vectors.dtype == np.float32
    return vectors.tobytes()


def use_conll(task: str) -> Callable[[Path], bytes]:
    def use(path: Path) -> bytes:
        sentences = list(read_sentences(path, Layout(task=task)))
        for sentence in sentences:
            assert len(sentence.words) == len(sentence.tags) == len(sentence.spaces) > 0
        return repr(sentences).encode()

    return use


def word2vec_text() -> bytes:
    rows = [f"{word} {' '.join(map(repr, row.tolist()))}\n" for word, row in zip(WORDS, VECTORS, strict=True)]
    return f"{len(WORDS)} 4\n{''.join(rows)}".encode()


def word2vec_binary() -> bytes:
    rows = [word.encode() + b" " + row.tobytes() + b"\n" for word, row in zip(WORDS, VECTORS, strict=True)]
    return f"{len(WORDS)} 4\n".encode() + b"".join(rows)


def fasttext(buckets: int = 20, n_rows: int | None = None, dim: int = 4, size: int = len(WORDS)) -> bytes:
    """A fastText model; the arguments let its headers lie."""
    arguments = struct.pack("<iiiiiiiiiiiid", dim, 5, 5, 1, 5, 1, 1, 1, buckets, 2, 3, 100, 1e-4)
    dictionary = struct.pack("<iiiqq", size, size, 0, int(COUNTS.sum()), -1)
    for word, count in zip(WORDS, COUNTS.tolist(), strict=True):
        dictionary += word.encode() + b"\0" + struct.pack("<qb", count, 0)
    rows = len(WORDS) + buckets
    matrix = np.random.default_rng(1).normal(size=(rows, 4)).astype("<f4").tobytes()
    header = struct.pack("<?qq", False, rows if n_rows is None else n_rows, dim)
    return struct.pack("<ii", 793712314, 12) + arguments + dictionary + header + matrix


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def safetensors(tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, metadata=metadata)


def spacy_files() -> dict[str, bytes]:
    """The three files of ``vocab/`` that hold a pipeline's vectors."""
    import srsly
    from spacy.strings import hash_string

    keys = {hash_string(word): row for row, word in enumerate(WORDS)}
    return {
        "pipe/vocab/vectors": npy(VECTORS),
        "pipe/vocab/key2row": srsly.msgpack_dumps(keys),
        "pipe/vocab/strings.json": json.dumps(WORDS).encode(),
        "pipe/vocab/vectors.cfg": b'{"mode":"default"}',
    }


NER = "Rais B-PER\nRuto I-PER\nalienda O\nAddis B-LOC\n\n\nሰላም O\n. O\n".encode()
CONLLU = "".join(
    f"{number}\t{word}\t_\tNOUN\t_\tCase=Nom\t0\troot\t_\tSpaceAfter=No\n" for number, word in enumerate(WORDS, 1)
).encode()


def teacher_samples() -> list[Sample]:
    words = np.frombuffer("\n".join(WORDS).encode(), np.uint8)
    tensors = {"words": words, "vectors": VECTORS, "counts": COUNTS}
    int8 = {"words": np.array(WORDS), "vectors": (VECTORS * 40).astype(np.int8), "scale": np.full(6, 0.025, "f4")}
    files = {
        "text.vec": word2vec_text(),
        "glove.txt": word2vec_text().partition(b"\n")[2],
        "text.vec.gz": gzip.compress(word2vec_text()),
        "text.vec.xz": lzma.compress(word2vec_text()),
        "text.vec.bz2": bz2.compress(word2vec_text()),
        "binary.bin": word2vec_binary(),
        "binary.bin.gz": gzip.compress(word2vec_binary()),
        "fasttext.bin": fasttext(),
        "table.npz": npz(**tensors),
        "int8.npz": npz(**int8),
        "table.safetensors": safetensors(tensors),
        "words.safetensors": safetensors({"vectors": VECTORS}, {"words": json.dumps(WORDS)}),
    }
    samples = [Sample(name, {name: content}, name, use_teacher) for name, content in files.items()]
    return [*samples, Sample("spaCy pipeline", spacy_files(), "pipe", use_teacher)]


def conll_samples() -> list[Sample]:
    return [
        Sample("ner.conll", {"ner.conll": NER}, "ner.conll", use_conll("ner")),
        Sample("ner.conll.gz", {"ner.conll.gz": gzip.compress(NER)}, "ner.conll.gz", use_conll("ner")),
        Sample("pos.conllu", {"pos.conllu": CONLLU}, "pos.conllu", use_conll("pos")),
    ]


def encoder_samples(directories: dict[str, Path]) -> list[Sample]:
    """The directories as samples, and the first as the blob that pipelines keep.

    The model's own code is left out: nothing of ours runs it.
    """
    samples = []
    for kind, path in directories.items():
        files = {f"encoder/{f.name}": f.read_bytes() for f in sorted(path.iterdir()) if f.suffix != ".py"}
        del files["encoder/tokenizer.json"]
        samples.append(Sample(f"encoder directory, {kind}", files, "encoder", use_encoder))
    blob = encoder_to_bytes(read_encoder(next(iter(directories.values()))))
    return [*samples, Sample("encoder blob", {"blob": blob}, "blob", use_blob)]
