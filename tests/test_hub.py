"""Sharing on the Hugging Face hub: a server of our own stands in for it."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import distillemb_plugins.hub
from distillemb_plugins import DistillEmb
from distillemb_plugins.cli import app
from distillemb_plugins.errors import DistillEmbError, MissingExtraError
from distillemb_plugins.facts import EncoderFacts
from distillemb_plugins.hub import push_directory
from distillemb_plugins.persistence import read_encoder, write_encoder

pytest.importorskip("huggingface_hub")


class FakeHub(ThreadingHTTPServer):
    """What the hub answers to an upload; keeps what it got."""

    address: str
    token = "hf_right"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.created: list[dict[str, Any]] = []
        self.commits: list[tuple[str, str, dict[str, bytes]]] = []  # path, message, files


class _Answers(BaseHTTPRequestHandler):
    server: FakeHub

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._answer({"error": "Invalid credentials"}, 401)
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            self.server.created.append(asked)
            repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self._answer({"url": f"{self.server.address}/{repo}", "id": repo, "name": repo})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            asked = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files]
            self._answer({"files": asked})
        elif "/commit/" in self.path:
            lines = [json.loads(line) for line in body.splitlines()]
            found = {line["key"]: line["value"] for line in lines if line["key"] == "header"}
            files = [line["value"] for line in lines if line["key"] == "file"]
            contents = {one["path"]: base64.b64decode(one["content"]) for one in files}
            self.server.commits.append((self.path, found["header"]["summary"], contents))
            answer = {"commitUrl": f"{self.server.address}/me/x/commit/abc", "commitOid": "abc"}
            opened = (
                {"pullRequestUrl": f"{self.server.address}/me/x/discussions/1"} if "create_pr=1" in self.path else {}
            )
            self._answer(answer | opened)
        else:  # the card's front matter is verified before the upload
            self._answer({"warnings": [], "errors": []})

    def _answer(self, values: Any, status: int = 200) -> None:
        body = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def encoder_dir(tiny_encoder_dir: Path, tmp_path: Path) -> Path:
    """An encoder with a card and a word list, beside what a training leaves."""
    files = read_encoder(tiny_encoder_dir)
    facts = EncoderFacts(languages=("sw",), license="cc0-1.0", scores={"On held-out words": {"cosine": 0.5}})
    lists = {"vocabulary.txt": b"soma\n"}
    path = write_encoder(
        tmp_path / "tiny", files.config, files.tensors, files.characters, facts=facts, extra_files=lists
    )
    for name in ("training_args.bin", ".hidden", "optimizer.pt", "checkpoint-5/config.json"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(b"x")
    return path


def in_a_process(hub: FakeHub, code: str, *arguments: object) -> str:
    """huggingface_hub reads the address of the hub once, when it is imported."""
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": hub.token, "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*", "no_proxy": "*"}
    command = [sys.executable, "-c", f"import sys\n{code}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


CLI = "from distillemb_plugins.cli import main\nmain()"


def test_a_directory_is_pushed_without_what_a_training_leaves(hub: FakeHub, encoder_dir: Path) -> None:
    printed = in_a_process(hub, CLI, "push", encoder_dir, "me/words", "--private", "-m", "First")
    assert printed == f"{hub.address}/me/words"
    assert hub.created[0]["name"] == "words" and hub.created[0]["organization"] == "me"
    assert hub.created[0].get("private") or hub.created[0].get("visibility") == "private"
    [(path, message, files)] = hub.commits
    assert path.startswith("/api/models/me/words/commit/main") and message == "First"
    expected = {file.name for file in encoder_dir.iterdir() if file.is_file()}
    assert files.keys() == expected - {"training_args.bin", ".hidden", "optimizer.pt"}
    card = files["README.md"].decode()
    assert 'from_pretrained("me/words")' in card and '"tiny"' not in card
    assert '"tiny"' in (encoder_dir / "README.md").read_text("utf-8")  # what lies here is as it was
    same = [name for name in files if name != "README.md"]
    assert all(files[name] == (encoder_dir / name).read_bytes() for name in same)


def test_an_encoder_in_memory_is_pushed_and_opens_as_it_arrived(
    hub: FakeHub, encoder_dir: Path, tmp_path: Path
) -> None:
    code = (
        "from distillemb_plugins import DistillEmb\n"
        "encoder = DistillEmb.from_pretrained(sys.argv[1])\n"
        "print(encoder.push_to_hub('words', storage='float16', create_pr=True))"
    )
    assert in_a_process(hub, code, encoder_dir) == f"{hub.address}/me/x/discussions/1"
    [(path, _, files)] = hub.commits
    assert path.startswith("/api/models/me/words/commit/main") and "create_pr=1" in path
    arrived = tmp_path / "arrived"
    arrived.mkdir()
    for name, content in files.items():
        (arrived / name).write_bytes(content)
    there, here = (DistillEmb.from_pretrained(one) for one in (arrived, encoder_dir))
    assert there.config["storage"] == "float16" and there.facts.license == "cc0-1.0"
    assert abs(there.encode("soma") - here.encode("soma")).max() < 1e-2
    assert 'from_pretrained("me/words")' in there.files.card


def test_a_refusal_is_one_sentence(hub: FakeHub, encoder_dir: Path) -> None:
    hub.token = "hf_other"
    code = (
        "import os; os.environ['HF_TOKEN'] = 'hf_wrong'\n"
        "from distillemb_plugins.errors import DistillEmbError\n"
        "from distillemb_plugins.hub import push_directory\n"
        "try: push_directory(sys.argv[1], 'me/words')\n"
        "except DistillEmbError as error: print(error)"
    )
    said = in_a_process(hub, code, encoder_dir)
    assert said.startswith("me/words could not be written on the hub (") and said.endswith("with hf auth login.")
    assert not hub.commits


def test_nothing_is_sent_of_what_is_no_encoder(tmp_path: Path, encoder_dir: Path) -> None:
    (tmp_path / "texts").mkdir()
    for path, said in ((tmp_path / "texts", "config.json is missing"), (tmp_path / "absent", "no encoder directory")):
        result = CliRunner().invoke(app, ["push", str(path), "me/words"])
        assert result.exit_code == 2 and said in result.stderr
    (encoder_dir / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(DistillEmbError, match="damaged"):
        push_directory(encoder_dir, "me/words")
    with pytest.raises(DistillEmbError, match="leave out create_pr or revision"):
        push_directory(encoder_dir, "me/words", revision="next", create_pr=True)


def test_without_the_extra_it_is_named(encoder_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=re.escape('pip install "distillemb-plugins[hf]"')):
        push_directory(encoder_dir, "me/words")
    with pytest.raises(MissingExtraError):
        DistillEmb.from_pretrained(encoder_dir).push_to_hub("me/words")


def test_the_cards_calls_name_the_repository(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text('A("tiny") from_pretrained("tiny") model="out/tiny" model="tiny2" “ẹ”\n', "utf-8")
    distillemb_plugins.hub._name_repository(card, "tiny", "me/words")
    assert card.read_text("utf-8") == 'A("tiny") from_pretrained("me/words") model="me/words" model="tiny2" “ẹ”\n'
    shutil.rmtree(tmp_path)
    distillemb_plugins.hub._name_repository(card, "tiny", "me/words")  # a directory without a card
