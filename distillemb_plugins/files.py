"""Reading text of any compression, and writing so that nothing half-written carries a final name."""

from __future__ import annotations

import bz2
import codecs
import ctypes
import gzip
import json
import lzma
import os
import re
import shutil
import tempfile
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from .errors import DistillEmbError, brief

# What reading a damaged file raises, compressed or not (an xz header may also ask for any amount of memory).
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, MemoryError)
PACKED = (".gz", ".xz", ".bz2", ".zip")  # suffixes of compressed files that are read
_FOREIGN = (".zst", ".zstd", ".lz4", ".7z", ".rar", ".z", ".lzma", ".br", ".tar", ".tgz")
_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
_MAGICS: dict[bytes, Callable[..., Any]] = {
    rb"\x1f\x8b\x08": gzip.open,
    rb"\xfd7zXZ\0": lzma.open,
    rb"BZh[1-9]1AY&SY": bz2.open,
}
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ASIDE = re.compile(r"/$|(^|/)(\.|__MACOSX|readme|licen[cs]e)[^/]*($|/)", re.IGNORECASE)
LONGEST_LINE = 1 << 26  # bytes; without a limit, a few megabytes that unpack to one endless line fill the memory
_ARRIVING = 1 << 16  # bytes, what a pipe holds
# Windows refuses to rename what another program has open (a reader, a virus scanner): seconds to wait before each try.
_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8) if os.name == "nt" else ()
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


def open_bytes(path: str | Path) -> IO[bytes]:
    """Open a plain or compressed (.gz, .xz, .bz2, or .zip of one file) file for reading bytes.

    A compressed file whose name does not say so is known by its first bytes.
    """
    path = Path(path)
    if not is_file(path):
        raise DistillEmbError(f"There is no file {brief(path)}: check the path.")
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as stream:
            head = stream.read(10)
    except PermissionError as error:
        raise DistillEmbError(f"{path} may not be read by this user: change its permissions (chmod).") from error
    except FileNotFoundError as error:
        raise DistillEmbError(f"There is no file {brief(path)} any more: check the path.") from error
    except OSError:
        head = b""  # the reader will meet it too, and name the line
    if suffix in _FOREIGN or head.startswith(_ZSTD_MAGIC):
        raise DistillEmbError(
            f"{path} is packed in a way that is not read here: unpack it, or pack it with gzip or xz."
        )
    if suffix == ".zip":
        return _open_zip(path)
    by_content: Callable[..., Any] = next((opener for magic, opener in _MAGICS.items() if re.match(magic, head)), open)
    opener = _OPENERS.get(suffix, by_content)
    return cast(IO[bytes], opener(path, "rb"))


def _open_zip(path: Path) -> IO[bytes]:
    """The one file that an archive holds. Folders, hidden files, readmes and licenses do not count."""
    try:
        with zipfile.ZipFile(path) as archive:  # the member keeps the file open
            names = [name for name in archive.namelist() if not _ASIDE.search(name)]
            if len(names) != 1:
                listed = brief(", ".join(names)) or "none"
                raise DistillEmbError(
                    f"{path} must hold one file, but holds {len(names)} ({listed}): unpack it and give one of them."
                )
            return archive.open(names[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        if isinstance(error, DistillEmbError):
            raise
        raise DistillEmbError(
            f"{path} cannot be unpacked ({brief(error)}): unpack it yourself, or fetch it again."
        ) from error


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except OSError:  # too long, or below what is no directory
        return False


def read_json_object(file: Path, mend: str) -> dict[str, Any]:
    """Read a JSON object. mend: what the user can do about a damaged file, for the message."""
    try:
        values = json.loads(file.read_text("utf-8"))
        if not isinstance(values, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise DistillEmbError(f"{file} is damaged ({brief(error)}): {mend}.") from error
    return values


def is_data(file: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether a file, perhaps packed, has one of these suffixes, and is no hidden file, readme or license."""
    name = file.name.lower()
    bare = Path(name).stem if name.endswith(PACKED) else name
    return bare.endswith(suffixes) and not name.startswith((".", "readme", "license", "licence")) and file.is_file()


def is_directory(path: Path) -> bool:
    """Whether there is such a directory; a name that none can have is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def numbered_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Stream ``(line number from 1, line without its ending)`` of a UTF-8 file, a byte-order mark removed.

    This is for tables, where any other character may be part of a word; for text see `text_lines`. Other bytes, damage
    and lines longer than `LONGEST_LINE` are errors.
    """
    with open_bytes(path) as stream:
        yield from _decoded_lines(stream, str(path))


def text_lines(source: str | Path | IO[bytes] | ArrivingLines) -> Iterator[tuple[int, str]]:
    """Stream ``(line number from 1, line without its ending)`` of UTF-8 text, from a file or a stream of bytes.

    Lines end in LF, CRLF or CR. A byte-order mark is removed from the start of every line: files that were put together
    have it where the next one begins.
    """
    stream = isinstance(source, str | Path)
    lines = numbered_lines(source) if stream else _decoded_lines(source, "Standard input")  # type: ignore[arg-type]
    parts = (part for _, line in lines for part in line.split("\r"))
    yield from ((number, part.lstrip("\ufeff")) for number, part in enumerate(parts, start=1))


def _decoded_lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        for number, raw in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), start=1):
            if len(raw) == LONGEST_LINE:
                raise DistillEmbError(f"{name}, line {number} has no end in {LONGEST_LINE >> 20} MB: is it text?")
            if number == 1 and _is_wide(raw):
                raise DistillEmbError(
                    f"{name} is UTF-16 or UTF-32, not UTF-8: convert it first, e.g. with iconv -f utf-16 -t utf-8."
                )
            text = raw.decode("utf-8").rstrip("\r\n")
            yield number, text.removeprefix("\ufeff") if number == 1 else text
    except UnicodeDecodeError as error:
        raise DistillEmbError(
            f"{name}, line {number} is not UTF-8: convert the file first, e.g. with iconv -t utf-8."
        ) from error
    except DAMAGE as error:
        raise DistillEmbError(f"{name} cannot be read past line {number} ({brief(error)}): is it damaged?") from error


class ArrivingLines:
    """A buffered stream of lines that says whether reading on would wait: `text_lines` reads it as it reads a file.

    dry: whether nothing more has arrived than what was read.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._lines, self._rest = stream, deque[bytes](), bytearray()

    @property
    def dry(self) -> bool:
        return not self._lines

    def readline(self, limit: int) -> bytes:
        """Return the next line with its ending, or so many bytes of an endless one; nothing at the end."""
        while not self._lines:
            chunk = self._stream.read1(_ARRIVING)
            self._rest += chunk
            if b"\n" in chunk:
                *lines, self._rest = self._rest.split(b"\n")
                self._lines.extend(bytes(line) + b"\n" for line in lines)
            elif not chunk or len(self._rest) >= limit:
                line, self._rest = bytes(self._rest[:limit]), self._rest[limit:]
                return line
        return self._lines.popleft()


def _is_wide(raw: bytes) -> bool:
    """Whether text begins with the byte-order mark of UTF-16 or UTF-32, or every other byte is zero, as in Latin."""
    return raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 3 * raw.count(0) > len(raw) > 2


def iter_lines(paths: Iterable[str | Path]) -> Iterator[str]:
    """Stream the lines of many text files, one after the other; memory does not grow with their size."""
    for path in paths:
        for _, line in text_lines(path):
            yield line


def _temporary_sibling(path: Path) -> str:
    return f".{path.name}.tmp-{os.getpid()}-"


@contextmanager
def atomic_file(path: str | Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Write a file (``"wb"``, or ``"w"``: UTF-8) under a temporary name, and rename it when the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=_temporary_sibling(path), dir=path.parent)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")  # the same bytes on every system
    try:
        with os.fdopen(handle, mode, encoding=encoding, newline=newline) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o666 & ~_umask())  # mkstemp makes private files
        replace(Path(name), path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def atomic_directory(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Fill a temporary directory beside `path`, and rename it when the block succeeds.

    What stands at `path` is replaced once the new directory is complete; without `overwrite`, only an empty directory
    is.
    """
    path = Path(path)
    if path.exists() and not overwrite and not (path.is_dir() and not any(path.iterdir())):
        raise _exists(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=_temporary_sibling(path), dir=path.parent))
    try:
        yield work
        work.chmod(0o777 & ~_umask())
        _place_directory(work, path, overwrite)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def replace(source: Path, target: Path) -> None:
    """Rename a file or directory, over what stands there; see `os.replace`.

    Where the system refuses because another program has one of them open, wait a moment and try again.
    """
    for wait in _WAITS:
        try:
            source.replace(target)
            return
        except PermissionError:
            if target.is_dir():  # Windows replaces no directory, whoever has it open
                break
            time.sleep(wait)
    source.replace(target)


def _exists(path: Path) -> DistillEmbError:
    return DistillEmbError(f"{path} already exists: choose another name, or say overwrite.")


def _place_directory(new: Path, path: Path, overwrite: bool) -> None:
    """Give `new` its final name. Another process may do the same at any moment: the last one stays, whole."""
    while True:
        try:
            replace(new, path)  # in one step, where nothing or an empty directory stands
            return
        except OSError as error:
            if not (path.exists() or path.is_symlink()):
                raise
            with suppress(OSError):  # an empty directory, which Windows does not replace
                path.rmdir()
                continue
            if not overwrite:
                raise _exists(path) from error
        if _exchange(new, path):
            remove_directory(new)  # what stood there
            return
        with suppress(FileNotFoundError):  # another process moved it first
            remove_directory(path)


def _exchange(one: Path, two: Path) -> bool:
    """Swap two names in one step, so that there is no moment without the directory. Only Linux can (renameat2)."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        names = [os.fsencode(path.absolute()) for path in (one, two)]
        swapped = library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    except (AttributeError, OSError, TypeError):
        return False
    return bool(swapped == 0)


def remove_directory(path: Path) -> None:
    """Remove a directory (or file) so that, whenever the process dies, all of it or nothing stands under its name."""
    aside = Path(tempfile.mkdtemp(prefix=_temporary_sibling(path), dir=path.parent))
    try:
        replace(path, aside / "old")
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def locked(directory: Path, wait: bool = False) -> Iterator[None]:
    """Keep other processes from working in a directory, which is made (and removed again if nothing came into it).

    The lock dies with the process. Nothing is locked where the system has no flock (Windows). wait: until another
    process lets it go, which is an error otherwise.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        undo.callback(_remove_empty, directory)
        _lock(directory, wait, undo)
        yield


def _lock(directory: Path, wait: bool, undo: ExitStack) -> None:
    try:
        import fcntl
    except ImportError:
        return
    handle = os.open(directory, os.O_RDONLY)
    undo.callback(os.close, handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DistillEmbError(
            f"{directory} is being written by another process: wait for it, or choose another name."
        ) from error
    except OSError:  # a file system without locks
        pass


def _remove_empty(directory: Path) -> None:
    with suppress(OSError):
        directory.rmdir()


def directory_bytes(path: str | Path) -> int:
    """Count the bytes of all files below a directory (or of one file), without Python's cache of compiled code.

    Of an encoder directory this includes the card, the word lists and the code for ``trust_remote_code``; for the size
    of the encoder itself see `encoder_bytes`.
    """
    path = Path(path)
    if path.is_file():
        return path.stat().st_size
    files = (file for file in path.rglob("*") if file.is_file() and file.parent.name != "__pycache__")
    return sum(file.stat().st_size for file in files)


def encoder_bytes(directory: str | Path) -> int:
    """Count the bytes of weights, configuration and character table: an encoder's size in all tables and reports."""
    patterns = ("*.safetensors", "config.json", "tokenizer*.json")
    return sum(file.stat().st_size for pattern in patterns for file in Path(directory).glob(pattern))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
