"""Files of public repositories on this machine: downloaded once, resumed after a cut, always verified."""

from __future__ import annotations

import fnmatch
import hashlib
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from tqdm.auto import tqdm

from ..errors import DistillEmbError, brief
from .sources import cache_folder

_ATTEMPTS = 5
_CHUNK = 1 << 16
_GIT_ID = 40  # letters of it
_GONE = (404, 410, 451)
_LONGEST_WAIT = 60.0  # seconds


class UnavailableError(DistillEmbError):
    """A file is gone from where it was, or is another one now. Asking again does not help; other files may be there."""


@dataclass(frozen=True)
class Downloads:
    """Where files come from, and the folder that keeps them.

    Args:
        files: Host of single files, ``HOST/OWNER/NAME/COMMIT/PATH``.
        archives: Host of archives, ``HOST/OWNER/NAME/tar.gz/COMMIT``.
        folder: Where they are kept.
        progress: Show bars on standard error.
        pause: Seconds before the second attempt; each further one waits twice as long.
    """

    files: str = "https://raw.githubusercontent.com"
    archives: str = "https://codeload.github.com"
    folder: Path = field(default_factory=lambda: cache_folder() / "downloads")
    progress: bool = False
    pause: float = 1.0

    def read_file(self, repository: str, revision: str, path: str, checksum: str) -> bytes:
        """Read a file of a commit.

        Raises:
            UnavailableError: It is not there, or is another one than listed.
            DistillEmbError: It could not be downloaded, such as without a connection.
        """
        url = f"{self.files}/{repository}/{revision}/{urllib.parse.quote(path)}"
        place = self.folder / repository / revision / path
        for last in (False, True):
            data = self._fetched(url, place).read_bytes()
            if self._verified(checksum_of(data, checksum), checksum, url, place, last):
                return data
        raise AssertionError

    def read_archive(self, repository: str, revision: str, pattern: str, checksum: str) -> dict[str, bytes]:
        """Read the files of a commit that match a pattern, sorted by path, out of the commit's archive.

        Raises:
            DistillEmbError: As for `read_file`.
        """
        url = f"{self.archives}/{repository}/tar.gz/{revision}"
        place = self.folder / repository / f"{revision}.tar.gz"
        for last in (False, True):
            archive = self._fetched(url, place)
            try:
                files = dict(sorted(_members(archive, pattern)))
            except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
                place.unlink()
                if last:
                    raise UnavailableError(f"{url} cannot be unpacked ({brief(error)}): try again later.") from error
                continue
            listing = "".join(f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in files.items())
            if self._verified(
                hashlib.sha256(listing.encode()).hexdigest(), checksum, f"{url} ({pattern})", place, last
            ):
                return files
        raise AssertionError

    def _verified(self, found: str, checksum: str, what: str, place: Path, last: bool) -> bool:
        """Whether the checksum is right. If not, the file is removed; the second time it is an error."""
        if checksum == found:
            return True
        place.unlink()
        if last:
            raise UnavailableError(f"{what} is not what is listed: its checksum is {found}, not {checksum}.")
        return False

    def _fetched(self, url: str, place: Path) -> Path:
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            self._download(url, place)
        return place

    def _download(self, url: str, place: Path) -> None:
        """Download to ``.part`` beside the place, which stays when the connection is cut, and is gone on with."""
        part = place.with_name(f"{place.name}.part")
        for attempt in range(1, _ATTEMPTS + 1):
            wait = self.pause * 2 ** (attempt - 1)
            try:
                self._receive(url, part)
            except urllib.error.HTTPError as error:
                if error.code in _GONE:
                    raise UnavailableError(
                        f"{url} is not there ({error.code}): the source has moved or is gone."
                    ) from None
                if error.code == 416:  # the part is longer than the file
                    part.unlink(missing_ok=True)
                after = error.headers.get("Retry-After", "")
                wait, failure = (float(after) if after.isdigit() else wait), str(error)
            except (urllib.error.URLError, HTTPException, OSError) as error:
                failure = brief(error)
            else:
                part.replace(place)
                return
            if attempt < _ATTEMPTS:
                time.sleep(min(wait, _LONGEST_WAIT))
        raise DistillEmbError(f"{url} could not be downloaded ({failure}): run the same command again to go on.")

    def _receive(self, url: str, part: Path) -> None:
        """One attempt. What there is of a part is asked for no more; a server that sends all of it starts anew."""
        have = part.stat().st_size if part.is_file() else 0
        headers = {"User-Agent": "distillemb-plugins"} | ({"Range": f"bytes={have}-"} if have else {})
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if answer.status == 206 and not goes_on:
                part.unlink()
                raise OSError("the server sent another part than asked for")
            length = answer.headers.get("Content-Length")
            total = (have if goes_on else 0) + int(length) if length else None
            name = urllib.parse.unquote(url.rpartition("/")[2])
            bar = tqdm(desc=name[-40:], total=total, unit="B", unit_scale=True, leave=False, disable=not self.progress)
            with bar, part.open("ab" if goes_on else "wb") as stream:
                bar.update(have if goes_on else 0)
                while chunk := answer.read(_CHUNK):
                    stream.write(chunk)
                    bar.update(len(chunk))
        if total is not None and part.stat().st_size < total:
            raise OSError(f"cut after {part.stat().st_size:,} of {total:,} bytes")


def checksum_of(data: bytes, listed: str) -> str:
    """The checksum of a file, of the kind that is listed: SHA-256, or what ``git hash-object`` prints."""
    if len(listed) != _GIT_ID:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _members(archive: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            path = member.name.partition("/")[2]  # below the folder that holds all
            if member.isfile() and fnmatch.fnmatchcase(path, pattern):
                stream = tar.extractfile(member)
                assert stream is not None
                yield path, stream.read()
