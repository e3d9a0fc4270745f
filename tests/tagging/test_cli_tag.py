"""`distillemb tag`: its forms, its order, its pipes and its errors."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("spacy")

from distillemb_plugins.cli import app
from distillemb_plugins.cli.tag import TextFormat, _batches, _sentences
from distillemb_plugins.files import ArrivingLines, text_lines

TEXT = "Leo Rais Samia .\n\nRais Samia , Rais Samia\r\nhapana"


def run(*arguments: object, given: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["tag", *map(str, arguments)], input=given)


def test_the_three_forms(pipeline_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.gz"
    file.write_bytes(gzip.compress(TEXT.encode()))
    plain, lines, conll = (run(pipeline_dir, file, "--to", to, "--batch-size", 2) for to in ("plain", "jsonl", "conll"))
    assert plain.exit_code == 0, plain.stderr
    assert plain.stdout == (
        "Leo/NOUN [Rais/NOUN Samia/NOUN PER] ./NOUN\n\n[Rais/NOUN Samia/NOUN PER] ,/NOUN [Rais/NOUN Samia/NOUN PER]\n"
        "hapana/NOUN\n"
    )
    found = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [len(one["entities"]) for one in found] == [1, 0, 2, 0] and found[2]["entities"][1]["start"] == 13
    assert conll.stdout.startswith("Leo\tO\tNOUN\nRais\tB-PER\tNOUN\n") and conll.stdout.count("\n\n") == 3


def test_words_that_are_cut(pipeline_dir: Path) -> None:
    given = "-DOCSTART- O\n\nRais O\nSamia.x O\n\n# O\n\n\n# text = du\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n" + "".join(
        f"{n}\t{word}\t_\t_\t_\t_\t_\t_\t_\t_\n" for n, word in ((1, "de"), (2, "Rais"), (3, "Samia"))
    )
    found = run(pipeline_dir, "--format", "conll", "--to", "conll", given=given.encode()).stdout
    assert [block.split() for block in found.replace("\tNOUN", "").strip().split("\n\n")] == [
        ["Rais", "O", "Samia.x", "O"],
        ["#", "O"],
        ["de", "O", "Rais", "B-PER", "Samia", "I-PER"],
    ]


def test_a_file_is_written_whole_or_not_at_all(pipeline_dir: Path, tmp_path: Path) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "out.txt"
    text.write_bytes(b"Rais Samia\n\xff\n")
    broken = run(pipeline_dir, text, "-o", out, "--batch-size", 1)
    assert broken.exit_code == 2 and "text.txt, line 2 is not UTF-8" in broken.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.txt"]
    text.write_bytes(b"Rais Samia\n")
    done = run(pipeline_dir, text, "-o", out)
    assert done.exit_code == 0 and done.stdout == "" and "1 sentences" in done.stderr
    assert out.read_text("utf-8") == "[Rais/NOUN Samia/NOUN PER]\n"


def test_a_wrong_directory_is_one_sentence(tiny_encoder_dir: Path) -> None:
    result = run(tiny_encoder_dir, given=b"")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1 and "is an encoder" in result.stderr


@pytest.mark.parametrize(
    ("format", "chunks", "batches"),
    [
        ("text", ["a\nb\nc", "d\r\n", "e\n"], [["a", "b"], ["cd"], ["e"]]),
        ("text", ["a\nb\nc\nd\n", "e"], [["a", "b", "c"], ["d"], ["e"]]),
        ("conll", ["a\n\n", "b\nc\n", "\n", "d\n"], [[["a"]], [["b", "c"]], [["d"]]]),
    ],
)
def test_what_has_come_is_tagged_before_more_is_waited_for(
    format: TextFormat, chunks: list[str], batches: list[list[Any]]
) -> None:
    done: list[list[Any]] = []
    waits = []

    class Pipe:
        def __init__(self) -> None:
            self.chunks: Iterator[str] = iter(chunks)

        def read1(self, size: int) -> bytes:
            waits.append(sum(map(len, done)))
            return next(self.chunks, "").encode()

    arriving = ArrivingLines(Pipe())
    for batch in _batches(_sentences(text_lines(arriving), format), 3, arriving):
        done.append(batch)
    assert done == batches and waits[1] > 0


def test_arriving_lines_are_those_of_a_file() -> None:
    text = "\ufeffa\r\nb\rc\n\n" + "d" * 200_000 + "\nlast"
    lines = text_lines(ArrivingLines(io.BufferedReader(io.BytesIO(text.encode()))))
    assert list(lines) == list(text_lines(io.BytesIO(text.encode())))


def test_several_processes_give_the_same(pipeline_dir: Path, tiny_encoder_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT * 20, "utf-8")
    alone, together = (run(pipeline_dir, tmp_path / "text.txt", "--batch-size", 3, "--processes", n) for n in (1, 2))
    assert together.exit_code == 0 and together.stdout == alone.stdout and together.stdout.count("\n") == 61
    wrong = run(tiny_encoder_dir, tmp_path / "text.txt", "--processes", 2)
    assert wrong.exit_code == 2 and "is an encoder" in wrong.stderr
