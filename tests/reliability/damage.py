"""Ways to damage a file, and the one judge of what came of it."""

from __future__ import annotations

import random
import re
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from distillemb_plugins.errors import DistillEmbError

from .samples import Sample

SECONDS = 10  # an answer that takes longer counts as a hang
LONGEST_MESSAGE = 1000  # characters
_NUMBER = re.compile(rb"\d+")
_NUMBERS = [
    b"0", b"-1", b"1", b"7", b"65536", b"2147483648", b"1000000000000", b"1e400", b"9" * 40,
    b"true", b'"x"', b"null", b"1.5", b"[]", b"{}",
]  # fmt: skip


class FaultError(AssertionError):
    """Neither success nor one clear sentence."""


def judge(use: Callable[[Any], Any], given: Any) -> str:
    """``"opened"`` or ``"refused"``; raises `FaultError` for any other end."""
    try:
        with _alarm(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            use(given)
    except DistillEmbError as error:
        message = str(error)
        if not message.strip() or "\n" in message or len(message) > LONGEST_MESSAGE:
            raise FaultError(f"no single sentence: {message[:2000]!r}") from error
        return "refused"
    except Exception as error:
        raise FaultError(f"{type(error).__name__}: {error}"[:2000]) from error
    return "opened"


@contextmanager
def _alarm() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise FaultError(f"no answer in {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def random_bytes(data: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([0, 1, 7, 8, 16, 100, 1000, 5000]))


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    """One to eight bits, half of the time near the beginning, where headers stand."""
    flipped = bytearray(data)
    reach = len(data) if rng.random() < 0.5 else min(len(data), 200)
    for _ in range(rng.choice([1, 1, 2, 8])):
        flipped[rng.randrange(reach)] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def splice(data: bytes, rng: random.Random) -> bytes:
    """Take a piece out, double it, or put random bytes there."""
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice([1, 4, 8, 64]))
    return data[:start] + rng.choice([b"", data[start:end] * 2, rng.randbytes(8)]) + data[end:]


def change_number(data: bytes, rng: random.Random) -> bytes:
    """Put another value for a number written in digits: sizes in text and JSON headers."""
    places = list(_NUMBER.finditer(data, 0, 20_000))
    if not places:
        return flip_bits(data, rng)
    place = rng.choice(places)
    return data[: place.start()] + rng.choice(_NUMBERS) + data[place.end() :]


def change_field(data: bytes, rng: random.Random) -> bytes:
    """Put an extreme value for a binary int32 or int64 near the beginning."""
    size = rng.choice([4, 8])
    at = rng.randrange(min(len(data), 200))
    bits = 8 * size
    value = rng.choice([0, 1, 1 << 20, 10**12, (1 << (bits - 1)) - 1, (1 << bits) - 1, 1 << (bits - 1)]) % (1 << bits)
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


DAMAGES = [random_bytes, cut, flip_bits, splice, change_number, change_field]


def damaged(sample: Sample, rng: random.Random, ways: list[Any] | None = None) -> dict[str, bytes]:
    """The files of a sample with one of them damaged in one way."""
    name = rng.choice(sorted(sample.files))
    content = rng.choice(ways or DAMAGES)(sample.files[name], rng)
    return sample.files | {name: content}


def open_damaged(sample: Sample, folder: Path, rng: random.Random, ways: list[Any] | None = None) -> str:
    """Damage, write, open and judge; the files stay in `folder` for whoever looks into a fault."""
    return judge(sample.use, sample.write(folder, damaged(sample, rng, ways)))
