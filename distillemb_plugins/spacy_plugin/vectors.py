"""`distillemb.Vectors.v1`: computed vectors in the place of spaCy's table.

Every token has a vector and none is out of vocabulary. The encoder is stored inside the pipeline
(``vocab/distillemb.safetensors``), so `spacy.load` needs neither the original directory nor a network.
"""

# No `from __future__ import annotations` here: confection reads the signatures' types to validate the config.

import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import srsly
from spacy.attrs import IDS, ORTH
from spacy.strings import StringStore
from spacy.util import ensure_path
from spacy.vectors import BaseVectors
from spacy.vocab import Vocab
from thinc.api import Ops, get_current_ops

from ..encoder import DistillEmb, Runtime
from ..errors import DistillEmbError
from ..files import atomic_file
from ..inference.students import check_runtime
from ..persistence import EncoderFiles, encoder_from_bytes, encoder_to_bytes
from .pretrained import read_pretrained, warn

WHERE = "distillemb.Vectors.v1 ([nlp.vectors])"
ENCODER_FILE = "distillemb.safetensors"
TABLE_CONFIG = "vectors.cfg"  # the file in which spaCy's own table keeps its settings
NAME = "distillemb"
ANY_KEY = 0  # stands for all words where spaCy asks for a non-empty list of keys
DEFAULT_CACHE = 200_000

# spaCy's own table would come up empty, and silently, when it reads what we wrote. It does read `vectors.cfg` and
# refuses a mode that it does not know, quoting it: so the mode we write says what to mend.
_WRONG_CLASS = (
    "These vectors were written by distillemb.Vectors.v1, but the config's [nlp.vectors] block names another class: "
    'set [nlp.vectors] @vectors = "distillemb.Vectors.v1".'
)


def create_distillemb_vectors(
    pretrained: str | Path | None = None, cache_size: int = DEFAULT_CACHE, attr: str = "ORTH", runtime: str = "numpy"
) -> Callable[[Vocab], BaseVectors]:
    """Build `distillemb.Vectors.v1`.

    Args:
        pretrained: Encoder directory, bundled name or hub id. Only a new pipeline needs it.
        cache_size: The most words whose vectors are kept, ``dim * 4`` bytes each (200,000 words of 300 values are at
            most 240 MB, taken as they come).
        attr: The token attribute that is encoded: ORTH, or LOWER, NORM and so on.
        runtime: What computes the vectors: numpy, onnx, onnx-int8 or auto; see `DistillEmb.from_pretrained`.

    Returns:
        A function from a vocabulary to its vectors.

    Raises:
        DistillEmbError: There is no such attribute or runtime.
    """
    check_runtime(runtime)
    if attribute_id(attr) is None:
        raise DistillEmbError(f"{WHERE}: attr is {attr!r}: name a token attribute such as ORTH, LOWER or NORM.")

    def make(vocab: Vocab) -> BaseVectors:
        # A pipeline that is being loaded brings its encoder: do not go looking for the original one.
        loading = str(getattr(vocab.vectors, "name", None) or "").startswith(NAME)
        source = None if loading or pretrained is None else str(pretrained)
        return DistillEmbVectors(
            strings=vocab.strings, pretrained=source, cache_size=cache_size, attr=attr, runtime=runtime
        )

    return make


def attribute_id(attr: str | int) -> int | None:
    """Return the number of a token attribute, or None when there is no such attribute."""
    if isinstance(attr, int):
        return attr
    name = attr.upper()
    return ORTH if name == "TEXT" else cast(int | None, IDS.get(name))


class DistillEmbVectors(BaseVectors):
    """spaCy's `BaseVectors` over a `DistillEmb`. Vectors are float32 ``[dim]``.

    Vectors cannot be set: `add` (and so ``vocab.set_vector``) warns, leaves everything as it is and returns -1.

    Args:
        strings: The vocabulary's strings.
        encoder: An open encoder.
        pretrained: Where to read the encoder when it is first needed, if it is not given.
        cache_size: The most words whose vectors are kept.
        attr: The token attribute that is encoded.
        name: The name that spaCy shows.
        runtime: What computes the vectors.
    """

    def __init__(
        self,
        *,
        strings: StringStore | None = None,
        encoder: DistillEmb | None = None,
        pretrained: str | None = None,
        cache_size: int = DEFAULT_CACHE,
        attr: str | int = "ORTH",
        name: str | None = NAME,
        runtime: str = "numpy",
    ) -> None:
        self.strings = StringStore() if strings is None else strings
        self._own_strings = self.strings  # kept when a vocabulary replaces `strings`, see `_word`
        self._encoder = encoder
        self._pretrained = pretrained
        self._cache_size, self._runtime = cache_size, cast(Runtime, runtime)
        self._ops: Ops | None = None
        self._digest: bytes | None = None
        self.attr = attribute_id(attr)
        self.name = name

    @property
    def encoder(self) -> DistillEmb:
        """The encoder, read when first needed. Raises `DistillEmbError` naming the block when there is none."""
        if self._encoder is None:
            if self._pretrained is None:
                raise DistillEmbError(
                    f"{WHERE}: pretrained is not set and no trained pipeline was loaded: set [nlp.vectors] pretrained "
                    "to an encoder directory, a bundled name or a hub id."
                )
            if self._pretrained.startswith("${"):
                raise DistillEmbError(
                    f"{WHERE}: pretrained = {self._pretrained} reached us as it stands, because spaCy fills in no "
                    "variables in [nlp]: write the path itself there, or leave [nlp.vectors] out and use "
                    '[initialize.before_init] @callbacks = "distillemb.set_vectors.v1".'
                )
            self._take(read_pretrained(self._pretrained, WHERE))
        return cast(DistillEmb, self._encoder)

    def _take(self, files: EncoderFiles) -> None:
        self._encoder = DistillEmb.from_files(files, self._cache_size, self._runtime)
        self._digest = None

    @property
    def shape(self) -> tuple[int, int]:
        """``(1, dim)``: one set of weights stands for all words.

        spaCy asks for it while it loads a pipeline, before the encoder is there. Then, and when `pretrained` cannot be
        read, the answer is ``(0, 1)``. The error comes with the first use (or in `to_ops`, before training).
        """
        if self._encoder is None and self._pretrained is None:
            return (0, 1)
        try:
            return (1, self.encoder.dim)
        except DistillEmbError:
            return (0, 1)

    @property
    def data(self) -> Any:
        """An empty array ``[0, dim]`` of the kind (NumPy, CuPy) that vectors have: there is no table."""
        return self._array(np.zeros((0, self.shape[1]), dtype=np.float32))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def vectors_length(self) -> int:
        return self.shape[1]

    @property
    def size(self) -> int:
        rows, width = self.shape
        return rows * width

    @property
    def n_keys(self) -> int:
        """-1: any word has a vector, as in spaCy's floret mode."""
        return -1

    @property
    def mode(self) -> str:
        return NAME

    @property
    def key2row(self) -> dict[int, int]:
        return {}

    def keys(self) -> list[int]:
        """Return one key, so that spaCy does not warn of vectors without words (W112)."""
        return [ANY_KEY]

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __contains__(self, key: str | int) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, DistillEmbVectors) and self.digest == other.digest

    def __hash__(self) -> int:
        return id(self)

    @property
    def digest(self) -> bytes:
        """A digest of the encoder, computed once."""
        if self._digest is None:
            from hashlib import blake2b

            self._digest = blake2b(encoder_to_bytes(self.encoder.files) + bytes([cast(int, self.attr)])).digest()
        return self._digest

    def __getitem__(self, key: str | int) -> Any:
        """Return the vector of a word or of its hash, float32 ``[dim]``."""
        return self._array(self.encoder.encode(self._word(key)))

    def get_batch(self, keys: Iterable[str | int]) -> Any:
        """Return vectors of words or hashes, float32 ``[n, dim]``. Each is computed once and cached by its string."""
        keys = get_current_ops().to_numpy(keys) if hasattr(keys, "ndim") else list(keys)
        if isinstance(keys, np.ndarray):
            distinct, indices = np.unique(keys, return_inverse=True)
            words = [self._word(key) for key in distinct.tolist()]
            return self._array(self.encoder.encode(words)[indices.reshape(-1)])
        return self._array(self.encoder.encode([self._word(key) for key in keys]))

    def _word(self, key: str | int) -> str:
        """Return the string of a hash.

        A vocabulary that is unpickled takes its vectors before its strings and gives them a store that learns
        nothing afterwards (spaCy's floret mode fails there with E018): the store that came with us is the real one.
        """
        if isinstance(key, str):
            return key
        for strings in (self.strings, self._own_strings):
            if key in strings:  # type: ignore[operator]
                return strings[key]
        raise DistillEmbError(
            f"{WHERE}: a document holds a word that the pipeline's vocabulary does not know, since it was made with "
            "another one: make documents by nlp.make_doc or Doc(nlp.vocab, ...), or read them by get_docs(nlp.vocab)."
        )

    def _array(self, vectors: Any) -> Any:
        return vectors if self._ops is None else self._ops.asarray(vectors)

    # What a table can do and computed vectors cannot: changes are skipped with a warning, as in spaCy's floret mode

    def add(self, key: str | int, *, vector: Any = None, row: int | None = None) -> int:
        """Warn, add nothing and return -1: the word has a computed vector already."""
        return _skip("add (and vocab.set_vector)")

    def __setitem__(self, key: str | int, vector: Any) -> None:
        _skip("__setitem__")

    def resize(self, shape: tuple[int, int], inplace: bool = False) -> int:
        return _skip("resize")

    def clear(self) -> None:
        _skip("clear")

    def find(self, **options: Any) -> int:
        """Raise `DistillEmbError`: there are no rows to find."""
        raise DistillEmbError(f"{WHERE}: computed vectors have no rows to find: look up vectors[word].")

    def most_similar(self, queries: Any, **options: Any) -> Any:
        """Raise `DistillEmbError`: there is no table to search."""
        raise DistillEmbError(
            f"{WHERE}: there is no table of words to search: give the words to compare with, "
            'nlp.vocab.vectors.encoder.most_similar("word", candidates).'
        )

    def to_ops(self, ops: Ops) -> None:
        """Give vectors as arrays of `ops`. spaCy calls this before training, so a missing encoder is told here."""
        _ = self.encoder
        self._ops = None if ops.xp is np else ops

    def to_bytes(self, *, exclude: Iterable[str] = (), **kwargs: Any) -> bytes:
        blob = encoder_to_bytes(self.encoder.files)
        return srsly.msgpack_dumps({TABLE_CONFIG: self._table_config(), "encoder": blob})

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = (), **kwargs: Any) -> "DistillEmbVectors":
        try:
            message = srsly.msgpack_loads(data)
            blob = message["encoder"]
        except (ValueError, KeyError, TypeError) as error:
            raise _no_encoder("These bytes were") from error
        self._take(encoder_from_bytes(blob))
        self._set_table_config(message.get(TABLE_CONFIG, b"{}"))
        self._follow_ops()
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = (), **kwargs: Any) -> None:
        """Write the encoder into the pipeline's ``vocab`` directory, in the place of a table."""
        folder = cast(Path, ensure_path(path))
        files = {ENCODER_FILE: encoder_to_bytes(self.encoder.files), TABLE_CONFIG: self._table_config()}
        for stale in ("vectors", "key2row"):
            (folder / stale).unlink(missing_ok=True)
        for name, content in files.items():
            with atomic_file(folder / name) as stream:
                stream.write(content)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = (), **kwargs: Any) -> "DistillEmbVectors":
        """Read the encoder that `to_disk` wrote. Where there is none, `pretrained` holds."""
        folder = cast(Path, ensure_path(path))
        file = folder / ENCODER_FILE
        if not file.is_file():
            if self._pretrained is None and self._encoder is None:
                raise _no_encoder(f"{folder} was")
            if (folder / "key2row").is_file() and srsly.read_msgpack(folder / "key2row"):
                warn(
                    f"{WHERE}: the table of vectors in {folder} is not used, since vectors are computed: leave "
                    '[initialize] vectors out, or set [nlp.vectors] @vectors = "spacy.Vectors.v1" and no '
                    "distillemb.set_vectors.v1."
                )
            return self
        try:
            self._take(encoder_from_bytes(file.read_bytes()))
        except DistillEmbError as error:
            raise DistillEmbError(f"{file}: {error}") from error
        table_config = folder / TABLE_CONFIG
        if table_config.is_file():
            self._set_table_config(table_config.read_bytes())
        self._follow_ops()
        return self

    def _table_config(self) -> bytes:
        return json.dumps({"mode": _WRONG_CLASS, "attr": self.attr}).encode()

    def _set_table_config(self, content: bytes) -> None:
        self.attr = json.loads(content).get("attr", self.attr)

    def _follow_ops(self) -> None:
        ops = get_current_ops()
        self._ops = None if ops.xp is np else ops

    def __reduce__(self) -> tuple[Any, ...]:
        files = None if self._encoder is None else encoder_to_bytes(self._encoder.files)
        rest = {"pretrained": self._pretrained, "cache_size": self._cache_size, "attr": self.attr, "name": self.name}
        rest["runtime"] = self._runtime
        return (unpickle_vectors, (files, self._real_strings(), rest))

    def _real_strings(self) -> StringStore:
        """Return the store that knows every string: after unpickling our own, else the vocabulary's."""
        return self._own_strings if len(self._own_strings) > len(self.strings) else self.strings


def unpickle_vectors(files: bytes | None, strings: StringStore, rest: dict[str, Any]) -> DistillEmbVectors:
    """Undo `DistillEmbVectors.__reduce__`."""
    vectors = DistillEmbVectors(strings=strings, **rest)
    if files is not None:
        vectors._take(encoder_from_bytes(files))
    return vectors


def _skip(method: str) -> int:
    warnings.warn(
        f"Skipping Vectors.{method}: distillemb.Vectors.v1 computes vectors from characters; none can be set.",
        stacklevel=3,
    )
    return -1


def _no_encoder(what: str) -> DistillEmbError:
    return DistillEmbError(
        f"{WHERE}: {what} saved with another kind of vectors and holds no encoder: set [nlp.vectors] @vectors to what "
        'the pipeline was saved with ("spacy.Vectors.v1" is the default), or set [nlp.vectors] pretrained.'
    )
