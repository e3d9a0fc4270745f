"""Public sources from a server on this machine: cuts, redirects, wrong and missing files, and what is written."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from distillemb_plugins import DistillEmbError
from distillemb_plugins.cli import app
from distillemb_plugins.data import fetch as fetching
from distillemb_plugins.data import public_sources
from distillemb_plugins.data.downloads import Downloads
from distillemb_plugins.data.extract import EXTRACTORS
from distillemb_plugins.data.fetch import IncompleteError, fetch
from distillemb_plugins.data.public_sources import LICENSE_CLASSES, Source, public_corpora, public_tasks
from distillemb_plugins.data.record import read_record, recorded_corpora, stated_corpora, write_record

COMMIT = "c" * 40
STORY = "Habari za asubuhi\nJuma yupo Nairobi leo na kesho\nMaji ni uhai\n"
OTHER = "Maji ni uhai\nSamaki wengi baharini\n"
TEST = "Juma B-PER\nyupo O\nNairobi B-LOC\nleo O\nna O\nkesho O\n\n"


def sha(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def packed(files: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(f"name-{COMMIT}/{path}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return archive.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `files`, cuts the first answers short, and keeps what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut: list[int] = []  # bytes after which the next answers end
        self.errors: list[int] = []  # status of the next answers
        self.asked: list[tuple[str, str]] = []
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.asked.append((self.path, asked))
        data = self.server.files.get(self.path)
        if self.server.errors or data is None:
            self.send_error(self.server.errors.pop(0) if self.server.errors else 404)
            return
        if data.startswith(b"-> "):
            self.send_response(302)
            self.send_header("Location", data[3:].decode())
            self.end_headers()
            return
        begin = int(asked[6:-1]) if asked and self.server.ranges else 0
        if begin >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        end = begin + self.server.cut.pop(0) if self.server.cut else len(data)
        self.wfile.write(data[begin:end])

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from, or left in, the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own-cache"))


@pytest.fixture
def downloads(server: Server, tmp_path: Path) -> Downloads:
    return Downloads(server.url, server.url, tmp_path / "cache", pause=0.0)


# -- downloads -----------------------------------------------------------------------------------------------


def read(downloads: Downloads, data: bytes) -> bytes:
    return downloads.read_file("owner/name", COMMIT, "a b.txt", sha(data))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_or_begins_anew(server: Server, downloads: Downloads, ranges: bool) -> None:
    data = bytes(range(256)) * 40
    server.files[f"/owner/name/{COMMIT}/a%20b.txt"], server.cut, server.ranges = data, [3000, 2000], ranges
    assert read(downloads, data) == data
    assert [asked for _, asked in server.asked] == ["", "bytes=3000-", f"bytes={5000 if ranges else 2000}-"]
    assert read(downloads, data) == data and len(server.asked) == 3  # it is kept
    assert not list(downloads.folder.rglob("*.part"))


def test_what_a_stopped_run_left_is_gone_on_with(server: Server, downloads: Downloads) -> None:
    data = b"abc" * 1000
    server.files[f"/owner/name/{COMMIT}/a%20b.txt"], server.cut = data, [100] * 5
    with pytest.raises(DistillEmbError, match=r"cut after 500 of 3,000 bytes\): run the same command again to go on"):
        read(downloads, data)
    assert read(downloads, data) == data and server.asked[-1][1] == "bytes=500-"


def test_a_part_of_another_file_is_found_out(server: Server, downloads: Downloads) -> None:
    data = b"abc" * 1000
    server.files[f"/owner/name/{COMMIT}/a%20b.txt"] = data
    for wrong in (b"x" * 50, b"x" * 5000):
        part = downloads.folder / "owner/name" / COMMIT / "a b.txt.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(wrong)
        assert read(downloads, data) == data
        (part.parent / "a b.txt").unlink()


def test_a_wrong_file_is_refused_and_not_kept(server: Server, downloads: Downloads) -> None:
    server.files[f"/owner/name/{COMMIT}/a%20b.txt"] = b"other"
    with pytest.raises(DistillEmbError, match=f"its checksum is {sha('other')}, not {sha('this')}"):
        read(downloads, b"this")
    assert len(server.asked) == 2 and not [file for file in downloads.folder.rglob("*") if file.is_file()]


def test_git_ids_are_checksums_too(server: Server, downloads: Downloads) -> None:
    server.files[f"/owner/name/{COMMIT}/a"] = b"hello\n"
    hello = "ce013625030ba8dba906f756967f9e9ca394464a"  # echo hello | git hash-object --stdin
    assert downloads.read_file("owner/name", COMMIT, "a", hello) == b"hello\n"


def test_a_missing_file_is_asked_for_once(server: Server, downloads: Downloads) -> None:
    with pytest.raises(DistillEmbError, match=r"is not there \(404\): the source has moved or is gone"):
        read(downloads, b"")
    assert len(server.asked) == 1


def test_errors_that_pass_are_tried_again(server: Server, downloads: Downloads) -> None:
    server.files[f"/owner/name/{COMMIT}/a%20b.txt"], server.errors = b"data", [503, 429]
    assert read(downloads, b"data") == b"data" and len(server.asked) == 3


def test_redirects_are_followed(server: Server, downloads: Downloads) -> None:
    server.files |= {f"/owner/name/{COMMIT}/a%20b.txt": f"-> {server.url}/new".encode(), "/new": b"data"}
    assert read(downloads, b"data") == b"data"


def test_an_archive_is_checked_by_its_members(server: Server, downloads: Downloads) -> None:
    files = {"x/b.txt": "two", "x/a.txt": "one", "y.txt": "no"}
    listing = "".join(f"{sha(files[path])}  {path}\n" for path in ("x/a.txt", "x/b.txt"))
    place = f"/owner/name/tar.gz/{COMMIT}"
    server.files[place], server.cut = packed(files), [50]
    found = downloads.read_archive("owner/name", COMMIT, "x/*.txt", sha(listing))
    assert list(found.items()) == [("x/a.txt", b"one"), ("x/b.txt", b"two")]
    with pytest.raises(DistillEmbError, match="its checksum is"):
        downloads.read_archive("owner/name", COMMIT, "*.txt", sha(listing))
    server.files[place] = packed(files)[:60]
    with pytest.raises(DistillEmbError, match="cannot be unpacked"):
        downloads.read_archive("owner/name", COMMIT, "x/*.txt", sha(listing))


# -- fetch ---------------------------------------------------------------------------------------------------


@pytest.fixture
def listed(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Source, ...]]:
    """Two corpora and one task of one language, on the server and in the list."""
    files = {"story.txt": STORY, "other.txt": OTHER, "swa/test.txt": TEST, "swa/train.txt": "Samaki O\n"}
    server.files |= {f"/owner/name/{COMMIT}/{path}": text.encode() for path, text in files.items()}

    def source(name: str, *paths: str, **more: Any) -> Source:
        named = {"swa": {path: sha(files[path]) for path in paths}}
        return Source(name, named, "owner/name", COMMIT, "CC0 1.0", name.partition(".")[0], **more)

    lists = {
        "corpora": (
            source("OPEN.story", "story.txt", format="lines"),
            source("OPEN.other", "other.txt", format="lines"),
            Source("OPEN.lost", {"swa": {}}, license_class="OPEN"),
        ),
        "tasks": (source("ner/masakhaner1/{language}", "swa/train.txt", "swa/test.txt"),),
    }
    monkeypatch.setattr(public_sources, "_read", lambda: lists)
    return lists


def text_of(data: Path, name: str) -> list[str]:
    return lzma.decompress((data / "corpora" / "swa" / f"{name}.txt.xz").read_bytes()).decode().splitlines()


def test_texts_and_tasks_are_made_without_test_sentences(
    listed: object, server: Server, downloads: Downloads, tmp_path: Path
) -> None:
    made = fetch(tmp_path / "data", downloads=downloads)
    assert text_of(tmp_path / "data", "OPEN.story") == ["Habari za asubuhi", "Maji ni uhai"]
    assert text_of(tmp_path / "data", "OPEN.other") == ["Samaki wengi baharini"]  # the rest stands in the first file
    assert (tmp_path / "data" / "tasks" / "ner" / "masakhaner1" / "swa" / "test.txt").read_text("utf-8") == TEST
    entry = made["swa/OPEN.story"]
    assert (entry["lines"], entry["words"], entry["like_task_sentences"]) == (2, 6, 1)
    assert entry["sources"] == [f"https://github.com/owner/name/tree/{COMMIT}"]
    assert json.loads((tmp_path / "data" / "sources.json").read_text("utf-8")) == made
    assert {file.name for file in (tmp_path / "data" / "corpora").rglob("*.*")} == {
        "OPEN.story.txt.xz",
        "OPEN.other.txt.xz",
    }


def test_what_is_made_stays_until_its_source_changes(
    listed: dict[str, Any], server: Server, downloads: Downloads, tmp_path: Path
) -> None:
    first = fetch(tmp_path, downloads=downloads)
    story = tmp_path / "corpora" / "swa" / "OPEN.story.txt.xz"
    times = story.stat().st_mtime_ns
    (tmp_path / "corpora" / "swa" / "OPEN.other.txt.xz").unlink()
    assert fetch(tmp_path, downloads=downloads) == first and story.stat().st_mtime_ns == times
    assert text_of(tmp_path, "OPEN.other") == ["Samaki wengi baharini"]
    listed["corpora"] = (replace(listed["corpora"][0], format="markdown-story"), listed["corpora"][1])
    assert fetch(tmp_path, downloads=downloads)["swa/OPEN.other"]["digest"] != first["swa/OPEN.other"]["digest"]
    assert story.stat().st_mtime_ns != times


def test_an_interrupted_run_leaves_nothing_half_written(
    listed: object, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(path: str, data: bytes, form: str, **options: Any) -> Iterator[str]:
        yield from data.decode().splitlines()
        if path == "other.txt":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fetching, "extract", stops)
        fetch(tmp_path, downloads=downloads)
    assert {file.name for file in (tmp_path / "corpora").rglob("*.*")} == {"OPEN.story.txt.xz"}
    record = json.loads((tmp_path / "sources.json").read_text("utf-8"))
    assert record["swa/OPEN.story"]["lines"] and record["swa/OPEN.other"] == {}
    (tmp_path / "corpora" / "swa" / "OPEN.other.txt.xz").write_bytes(b"written, and then the machine went off")
    assert len(recorded_corpora([tmp_path])) == 1 and len(fetch(tmp_path, downloads=downloads)) == 2
    assert text_of(tmp_path, "OPEN.other") == ["Samaki wengi baharini"]


def test_texts_of_someone_else_are_not_replaced(listed: object, downloads: Downloads, tmp_path: Path) -> None:
    own = tmp_path / "corpora" / "swa" / "OPEN.story.txt.xz"
    own.parent.mkdir(parents=True)
    own.write_bytes(lzma.compress(b"mine\n"))
    with pytest.raises(DistillEmbError, match=r"OPEN\.story\.txt\.xz was not made here: choose another folder"):
        fetch(tmp_path, downloads=downloads)
    assert lzma.decompress(own.read_bytes()) == b"mine\n"


def test_what_is_missing_does_not_stop_the_rest_and_comes_later(
    listed: object, server: Server, downloads: Downloads, tmp_path: Path
) -> None:
    """A task file is gone, and a text is another one than listed."""
    task, story = (f"/owner/name/{COMMIT}/{path}" for path in ("swa/test.txt", "story.txt"))
    kept = {path: server.files.pop(path) for path in (task, story)}
    server.files[story] = b"another text\n"
    with pytest.raises(IncompleteError, match=r"and 1 more\) is missing: .*not compared with the task files") as caught:
        fetch(tmp_path, downloads=downloads)
    assert list(caught.value.missing) == ["tasks/ner/masakhaner1/swa/test.txt", "corpora/swa/OPEN.story.txt.xz"]
    assert caught.value.made == read_record(tmp_path) and list(caught.value.made) == ["swa/OPEN.other"]
    assert text_of(tmp_path, "OPEN.other") == ["Maji ni uhai", "Samaki wengi baharini"]
    assert (tmp_path / "tasks" / "ner" / "masakhaner1" / "swa" / "train.txt").is_file()
    server.files |= kept
    assert list(fetch(tmp_path, downloads=downloads)) == ["swa/OPEN.story", "swa/OPEN.other"]
    assert text_of(tmp_path, "OPEN.story") == ["Habari za asubuhi", "Maji ni uhai"]
    assert text_of(tmp_path, "OPEN.other") == ["Samaki wengi baharini"], "it was made anew"


def test_what_is_written_stays_when_its_source_is_gone(
    listed: dict[str, Any], server: Server, downloads: Downloads, tmp_path: Path
) -> None:
    first = fetch(tmp_path, downloads=downloads)
    listed["corpora"] = (replace(listed["corpora"][0], revision="d" * 40), listed["corpora"][1])
    with pytest.raises(IncompleteError, match=r"is not there \(404\)"):
        fetch(tmp_path, downloads=downloads)
    assert text_of(tmp_path, "OPEN.story") == ["Habari za asubuhi", "Maji ni uhai"]
    assert read_record(tmp_path)["swa/OPEN.story"] == first["swa/OPEN.story"]


def test_a_damaged_record_is_named(listed: object, downloads: Downloads, tmp_path: Path) -> None:
    (tmp_path / "sources.json").write_text("[1]", "utf-8")
    with pytest.raises(DistillEmbError, match=r"sources\.json is damaged"):
        fetch(tmp_path, downloads=downloads)


def test_the_record_makes_rows_of_a_model_card(listed: object, downloads: Downloads, tmp_path: Path) -> None:
    fetched = fetch(tmp_path, downloads=downloads)
    rows = recorded_corpora([tmp_path / "corpora", tmp_path / "nothing"])
    assert [row.name for row in rows] == ["other (swa)", "story (swa)"]
    assert rows[1].license == "CC0 1.0" and COMMIT in rows[1].source
    assert "2 lines, 6 words, without 1 lines that are like dev or test sentences" in rows[1].source
    assert stated_corpora(["Mine|CC0|here", str(tmp_path)])[1:] == rows
    write_record(tmp_path, read_record(tmp_path) | {"amh/OPEN.story": {**fetched["swa/OPEN.story"], "license": ""}})
    (tmp_path / "corpora" / "amh").mkdir()
    (tmp_path / "corpora" / "amh" / "OPEN.story.txt.xz").touch()
    assert recorded_corpora([tmp_path])[1].license == "not stated, CC0 1.0"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DistillEmbError, match=r"write NAME\|LICENSE\|URL instead"):
        stated_corpora([str(tmp_path / "empty")])


def test_the_verb_lists_and_fetches(listed: object, server: Server, tmp_path: Path) -> None:
    def run(*words: object) -> Any:
        return CliRunner().invoke(app, ["data", *map(str, words)])

    shown = run("list").stdout
    assert f"OPEN.story  owner/name@{COMMIT[:7]}; CC0 1.0; swa" in shown and "OPEN.lost   not found" in shown
    assert json.loads(run("list", "story", "--json").stdout)[0]["name"] == "OPEN.story"
    given = ("--out", tmp_path, "--cache", tmp_path / "cache", "--mirror", server.url)
    result = run("fetch", "story", "--language", "swa", *given)
    assert "swa/OPEN.story: 2 lines, 6 words; 1 lines like dev or test sentences left out" in result.stdout
    del server.files[f"/owner/name/{COMMIT}/swa/test.txt"]
    (tmp_path / "tasks" / "ner" / "masakhaner1" / "swa" / "test.txt").unlink()
    given = ("--out", tmp_path, "--cache", tmp_path / "new-cache", "--mirror", server.url)
    result = run("fetch", "story", *given)
    assert result.exit_code == 2 and "swa/OPEN.story: 3 lines" in result.stdout and "Next" not in result.stdout
    assert f"missing: {tmp_path / 'tasks/ner/masakhaner1/swa/test.txt'}: {server.url}/" in result.stderr
    assert "Run the same command again later" in result.stderr
    for wrong, message in (("--license=MIT", "is no class of licenses"), ("--language=xx", "No corpus has this")):
        failed = run("fetch", wrong, *given)
        assert failed.exit_code and message in failed.stderr


def test_the_list_is_whole() -> None:
    sources = [*public_corpora(), *public_tasks()]
    for source in sources:
        for files in source.files.values():
            checksums = [*files.values(), *source.without.values()]
            assert all(len(checksum) in (40, 64) and int(checksum, 16) for checksum in checksums)
        assert source.license_class in LICENSE_CLASSES
        assert bool(source.repository) == (len(source.revision) == 40)
    lost = [source for source in sources if not source.repository]
    assert [source.name for source in lost if source.license_class == "OPEN"] == ["OPEN.enwiki2015-first25MB"]
    assert all(source.note and not any(source.files.values()) for source in lost)
    assert {source.format for source in public_corpora() if source.repository} == {*EXTRACTORS}
    for one in LICENSE_CLASSES:
        assert any(source.repository for source in public_corpora([one])), one
