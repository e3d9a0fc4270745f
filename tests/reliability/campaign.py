"""The long version of these tests:  python -m tests.reliability.campaign [PART] [-n NUMBER] [--write]

Prints what it measured as JSON lines; ``--write`` keeps them and writes the tables of docs/reliability.md. A fault (any
end but success or one clear sentence) is printed with the seed that makes it again, and ends the program with 1.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distillemb_plugins import DistillEmb
from distillemb_plugins.characters import CharTable, split_characters
from distillemb_plugins.distill import DistillSettings, distill
from distillemb_plugins.teachers import Teacher, save_teacher, train_teacher

from ..conftest import TINY_ARGS, make_encoder_dir
from .damage import DAMAGES, FaultError, damaged, judge
from .dying import die_at, forked
from .figures import keep
from .samples import Sample, conll_samples, encoder_samples, teacher_samples
from .test_fuzz import reference

MEMORY = 3 << 30  # bytes of address space above what is taken at the start: more counts as a fault
WORDS = [
    a + b + c for a in ("", "ki", "wa", "በ") for b in ("soma", "tabu", "ሰላም", "ọ̀rọ̀", "ndege") for c in ("", "ni", "ዎች")
]


class Figures:
    """Print a line for each measurement, and count the faults."""

    def __init__(self) -> None:
        self.faults = 0
        self.lines: list[dict[str, Any]] = []

    def line(self, **values: Any) -> None:
        self.lines.append(values)
        print(json.dumps(values, ensure_ascii=False), flush=True)

    def fault(self, what: str, error: object) -> None:
        self.faults += 1
        print(json.dumps({"fault": what, "error": str(error)[:300]}, ensure_ascii=False), flush=True)


def strings(figures: Figures, n: int, folder: Path) -> None:
    """Random words through random character tables, against the slow reference."""
    rng = random.Random(1)
    pools = ["abẹọñm", "ሰላምቤት", "́̀̂̈", "".join(map(chr, range(0x20))), "가힣ßİﬁ🙂\u200d"]
    wrong = 0
    for _ in range(n // 20):
        words = ["".join(_character(rng, pools) for _ in range(rng.randrange(12))) for _ in range(20)]
        known = sorted({c for word in words[:5] for c in split_characters(word)})
        align: Any = rng.choice(["left", "center"])
        table = CharTable(known, rng.randrange(10, 20), align, rng.random() < 0.5)
        rows = table.encode(words)
        wrong += sum(row.tolist() != reference(table, word) for word, row in zip(words, rows, strict=True))
    if wrong:
        figures.fault("strings", wrong)
    figures.line(strings=n, wrong=wrong)


def _character(rng: random.Random, pools: list[str]) -> str:
    return chr(rng.randrange(sys.maxunicode + 1)) if rng.random() < 0.2 else rng.choice(rng.choice(pools))


def files(figures: Figures, n: int, folder: Path) -> None:
    """Each kind of file, `n` times each way: opened unchanged, opened with other content, or refused."""
    encoders = {kind: make_encoder_dir(folder / "of" / kind, kind, WORDS) for kind in TINY_ARGS}
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    total: Counter[str] = Counter()
    for sample in [*teacher_samples(), *conll_samples(), *encoder_samples(encoders)]:
        whole = sample.use(sample.write(folder / "whole"))
        counts: Counter[str] = Counter()
        for way in DAMAGES:
            for number in range(n):
                seed = f"{sample.kind}/{way.__name__}/{number}"
                counts[_one(figures, sample, whole, folder / "damaged", seed, way)] += 1
        figures.line(file=sample.kind, tried=sum(counts.values()), **counts)
        total += counts
    figures.line(files="all", tried=sum(total.values()), **total)


def _one(figures: Figures, sample: Sample, whole: bytes, folder: Path, seed: str, way: Any) -> str:
    seen: list[bytes] = []
    path = sample.write(folder, damaged(sample, random.Random(seed), [way]))
    try:
        ended = judge(lambda given: seen.append(sample.use(given)), path)
    except FaultError as error:
        figures.fault(seed, error)
        return "fault"
    if ended == "refused":
        return "refused"
    return "opened_unchanged" if seen[0] == whole else "opened_changed"


TINY: dict[str, Any] = {
    "student": "cnn", "encoder_args": TINY_ARGS["cnn"], "epochs": 3, "batch_size": 16, "held_out": 5,
    "device": "cpu", "checkpoint_seconds": 1e-9,
}  # fmt: skip


def _teacher() -> Teacher:
    return Teacher("t", WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 24)).astype(np.float32))


def _text(folder: Path) -> Path:
    rng = random.Random(0)
    path = folder / "t.txt"
    path.write_text("\n".join(" ".join(rng.choices(WORDS, k=10)) for _ in range(4000)), "utf-8")
    return path


def deaths(figures: Figures, n: int, folder: Path) -> None:
    """Killed right before each single change of the disk, once for every change; then resumed, and compared."""
    torch.set_num_threads(1)  # what is forked must not need threads that it has not got
    text, teacher = _text(folder), _teacher()
    encoder = DistillEmb.from_pretrained(make_encoder_dir(folder / "of", "cnn", WORDS))

    def save(out: Path) -> None:
        encoder.save_pretrained(out, storage="int8", overwrite=True)

    def teach(out: Path) -> None:
        train_teacher([text], out, dim=8, min_count=1, buckets=50, epochs=3, threads=1, resume=True, progress=False)

    def run(out: Path) -> None:
        distill([teacher], out, DistillSettings(**TINY), resume=True, progress=False)

    for name, work, made in (
        ("save_pretrained", save, "encoder"),
        ("teach", teach, "t.npz"),
        ("distill", run, "encoder"),
    ):
        work(folder / name / "whole" / made)
        expected, counts, before = _content(folder / name / "whole" / made), Counter[str](), figures.faults
        for event in range(n):
            out = folder / name / str(event) / made
            ended = forked(lambda to=out, do=work: do(to), die_at(out.parent, event))  # type: ignore[misc]
            counts[ended] += 1
            if out.exists() and _content(out) != expected:
                figures.fault(f"{name} killed at {event}", "half-written or different")
            counts["there_after_the_kill"] += out.exists() and ended == "killed"
            if not out.exists() or out.with_name(made + ".work").exists():
                work(out)
            if _content(out) != expected:
                figures.fault(f"{name} resumed after {event}", "different")
            shutil.rmtree(out.parent)
            if ended != "killed":
                break
        figures.line(deaths=name, faults=figures.faults - before, **counts)


def _content(path: Path) -> dict[str, bytes]:
    """What a run made, but for its log, which holds seconds."""
    found = [path] if path.is_file() else [file for file in path.iterdir() if file.name != "distill_log.jsonl"]
    return {file.name: file.read_bytes() for file in found}


def kills(figures: Figures, n: int, folder: Path) -> None:
    """The command line in processes of its own, killed at random moments of its work, and resumed until it is done."""
    text, table = _text(folder), save_teacher(_teacher(), folder / "table.npz")
    tiny = [
        f"--set=encoder_args={json.dumps(TINY['encoder_args'])}",
        "--set=device=cpu",
        "--set=checkpoint_seconds=0.01",
    ]
    verbs = {
        "teach": (
            ["teach", str(text), "--min-count=1", "--dim=8", "--buckets=50", "--epochs=200", "--threads=1"],
            "t.npz",
        ),
        "distill": (
            ["distill", str(table), "--epochs=300", "--batch-size=16", "--held-out=5", *tiny],
            "encoder",
        ),
    }  # fmt: skip
    for verb, (arguments, made) in verbs.items():
        command = [sys.executable, "-m", "distillemb_plugins.cli", *arguments, "--resume", "--out"]
        _, seconds = _killed(command, folder / verb / "whole" / made, None)
        expected, counts = _weights(folder / verb / "whole" / made), Counter[str]()
        rng = random.Random(2)
        for round_ in range(n):
            if counts["killed"] >= n:
                break
            out = folder / verb / str(round_) / made
            while not out.exists():
                counts[_killed(command, out, rng.uniform(0, seconds / 2))[0]] += 1
            counts["results"] += 1
            if _weights(out) != expected:
                figures.fault(verb, "the result after kills is different")
            else:
                counts["results_of_equal_bytes"] += 1
        figures.line(kills=verb, seconds_of_work=round(seconds, 1), **counts)


def _killed(command: list[str], out: Path, after: float | None) -> tuple[str, float]:
    """Run, and kill so many seconds after the first checkpoint; how it ended, and its seconds since then.

    Counted from there, so that a killed process has done a step at least: on a busy machine, where starting takes
    longer than the work, the resuming would never end.
    """
    silent, work = subprocess.DEVNULL, out.with_name(out.name + ".work")
    before = _newest(work)
    process = subprocess.Popen([*command, str(out)], stdout=silent, stderr=silent)
    while _newest(work) == before and process.poll() is None:
        time.sleep(0.005)
    start = time.monotonic()
    try:
        code = process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "killed", time.monotonic() - start
    return "done" if code == 0 else f"exit {code}", time.monotonic() - start


def _newest(work: Path) -> int:
    """When the last checkpoint of a work directory was begun, in nanoseconds; 0 where there is none."""
    try:
        return max((file.stat().st_mtime_ns for file in work.glob("*.safetensors")), default=0)
    except FileNotFoundError:  # replaced by the next one meanwhile
        return -1


def _weights(path: Path) -> bytes:
    return (path / "model.safetensors").read_bytes() if path.is_dir() else path.read_bytes()


def disk(figures: Figures, n: int, folder: Path) -> None:
    """A real file system that is full (tmpfs of 64 kB to 1 MB); needs root."""
    torch.set_num_threads(1)
    encoder = DistillEmb.from_pretrained(make_encoder_dir(folder / "of", "cnn", WORDS))
    teacher, text = _teacher(), _text(folder)
    works: dict[str, Callable[[Path], Any]] = {
        "encoder": lambda out: encoder.save_pretrained(out, overwrite=True),
        "t.npz": lambda out: save_teacher(teacher, out),
        "t.vec.xz": lambda out: save_teacher(teacher, out),
        "taught.npz": lambda out: train_teacher(
            [text], out, dim=64, min_count=1, buckets=2000, epochs=1, progress=False
        ),
        "distilled": lambda out: distill([teacher], out, DistillSettings(**TINY), progress=False),
    }
    counts: Counter[str] = Counter()
    for size in (4, 16, 64, 128, 256, 512, 1024):
        for name, work in works.items():
            mount = folder / "mount"
            mount.mkdir(exist_ok=True)
            if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", mount], check=False).returncode:
                figures.line(disk="not tried: mounting a tmpfs needs root")
                return
            try:
                ended = forked(lambda do=work, to=mount / name: do(to))  # type: ignore[misc]
                counts[ended] += 1
                there = (mount / name).exists()
                if there != (ended == "done") or ended not in ("done", "OSError", "refused"):
                    figures.fault(f"{name} on {size} kB", f"{ended}, there: {there}")
                if left := [p.name for p in mount.iterdir() if p.name.startswith(".")]:
                    figures.fault(f"{name} on {size} kB", f"left {left}")
            finally:
                subprocess.run(["umount", mount], check=True)
    figures.line(disk="tmpfs", tried=sum(counts.values()), **counts)


_MEMORY = """
import json, resource
from distillemb_plugins import DistillEmb
encoder, resident = DistillEmb.from_pretrained("afro11", cache_size=20_000), []
for block in range(100):
    encoder.encode([f"neno{number}ẹ́" for number in range(block * 10_000, (block + 1) * 10_000)])
    pages = int(open("/proc/self/statm").read().split()[1])
    resident.append(pages * resource.getpagesize() >> 10)
print(json.dumps([encoder.cache_bytes >> 10, *resident[9::10]]))
"""


def memory(figures: Figures, n: int, folder: Path) -> None:
    """A million distinct words through the bundled encoder, in a process of its own: resident memory."""
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", _MEMORY], check=True, capture_output=True, text=True)
    cache, *resident = json.loads(done.stdout)
    if max(resident) - resident[0] > 20_000:
        figures.fault("memory", f"{max(resident) - resident[0]} kB more than after 100,000 words")
    figures.line(
        memory="1,000,000 distinct words",
        cache_words=20_000,
        cache_kb=cache,
        kb_after_each_100k=resident,
        seconds=round(time.monotonic() - start, 1),
    )


PARTS: dict[str, tuple[Callable[[Figures, int, Path], None], int]] = {
    "strings": (strings, 100_000),
    "files": (files, 500),  # for each of the ways, for each kind of file
    "deaths": (deaths, 1000),
    "kills": (kills, 12),
    "disk": (disk, 0),
    "memory": (memory, 0),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="all", choices=["all", *PARTS])
    parser.add_argument("-n", type=int, help="how many of each")
    parser.add_argument("--write", action="store_true", help="write the tables of docs/reliability.md")
    arguments = parser.parse_args()
    figures = Figures()
    for name, (part, n) in PARTS.items():
        if arguments.part == name:
            with tempfile.TemporaryDirectory() as folder:
                part(figures, arguments.n or n, Path(folder))
            if arguments.write:
                keep(name, figures.lines)
        elif arguments.part == "all":  # in a process of its own: one sets limits, another measures memory
            command = [sys.executable, "-m", __spec__.name, name]
            options = [f"-n{arguments.n or n}", *(["--write"] if arguments.write else [])]
            figures.faults += subprocess.run([*command, *options], check=False).returncode
    return 1 if figures.faults else 0


if __name__ == "__main__":
    sys.exit(main())
