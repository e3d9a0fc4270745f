"""Tiny encoders, teachers and words, made in memory; no network, no data from outside."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# One thread a process, also of those that tests start: several would wait for each other over tiny matrices.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from distillemb_plugins.characters import CharTable
from distillemb_plugins.persistence import write_encoder
from distillemb_plugins.teachers import Teacher

DIM = 24
# Sizes that keep every student under a few ten thousand weights.
TINY_ARGS = {
    "distillemb-small": {"channels": [8, 8, 8, 8]},
    "distillemb-mid": {"channels": [8, 8, 8, 8], "hidden": 16},
    "distillemb-large": {"channels": [8, 8, 12, 16], "hidden": 16},
    "char-cnn": {"char_dim": 6, "widths": [1, 2, 3], "filters": [4, 6, 8], "highways": 2},
    "char-rnn": {"char_dim": 6, "hidden": 8},
    "ngram-bag": {"min_n": 2, "max_n": 4, "buckets": 200},
    "ngram-sam": {"min_n": 2, "max_n": 4, "buckets": 200, "attention_dim": 8},
    "cnn": {"buckets": 200, "ngram_dim": 12, "channels": 8, "hidden": 16},
}
_STEMS = [
    "kita",
    "soma",
    "mji",
    "ndege",
    "rafiki",
    "ọ́kọ̀",
    "ilé",
    "ሰላም",
    "ቤት",
    "ልጅ",
    "gida",
    "nyota",
    "omwana",
    "akwụkwọ",
]
_BEFORE = ["", "m", "wa", "ki", "በ", "ለ", "a", "u"]
_AFTER = ["", "ni", "ው", "ዎች", "s", "ko"]


def pytest_collection_finish() -> None:
    """The libraries are imported: their objects stay, and need not be looked through by every garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _one_torch_thread() -> None:
    """Tiny matrices gain nothing from threads, and lose much of them on a busy machine."""
    import torch

    torch.set_num_threads(1)


# A process that has imported transformers, and runs each block of code in a child of its own.
_SERVER = """
import json, os, sys, traceback

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "distillemb_plugins":
            raise ModuleNotFoundError(name, name=name)

answers, sys.stdout = sys.stdout, sys.stderr
import torch, transformers

for name in ("AutoModelForTokenClassification", "AutoTokenizer", "PreTrainedModel", "PreTrainedTokenizerFast"):
    getattr(transformers, name)  # only now is it imported, which every child would have to do
torch.set_num_threads(1)
for line in sys.stdin:
    if os.fork():
        answer = {"error": "The process died."} if os.wait()[1] else None
    else:
        code, given, blocked = json.loads(line)
        if blocked:
            sys.meta_path.insert(0, Blocker())
        try:
            names = {"given": given}
            exec(code, names)
            answer = {"result": names["result"]}
        except Exception:
            answer = {"error": traceback.format_exc()}
    if answer:
        print(json.dumps(answer), file=answers, flush=True)
        if "names" in globals():
            os._exit(0)
"""


@pytest.fixture(scope="session")
def fresh_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Runs code that reads `given` and sets `result`, in a process that has transformers and has not imported us.

    Unless ``package=True``, it cannot import us either. It has caches of its own and no network. Each call is a fork of
    one process, because transformers takes seconds to import.
    """
    folder = tmp_path_factory.mktemp("fresh-process")
    environment = {**os.environ, "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    for name in ("PYTHONPATH", "HF_MODULES_CACHE", "HF_HUB_CACHE"):
        environment.pop(name, None)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen([sys.executable, "-c", _SERVER], cwd=folder, env=environment, stderr=errors, **pipes)
    assert process.stdin and process.stdout

    def run(code: str, given: Any, package: bool = False) -> Any:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps([code, given, not package]) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline() or '{"error": "It ended."}')
        assert "error" not in answer, answer["error"] + (folder / "stderr").read_text("utf-8")[-3000:]
        return answer["result"]

    yield run
    process.communicate(timeout=60)


_RANKS = """
import os, socket, sys, traceback

script, folder = given
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
sys.argv, children = ["script.py", folder], []
for rank in "01":
    if not (child := os.fork()):
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2")
        status = 1
        try:
            with open(f"{folder}/said-{rank}", "w", encoding="utf-8") as sys.stdout:
                exec(script, {"__name__": "__main__"})
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    children.append(child)
if any([os.waitpid(child, 0)[1] for child in children]):
    raise RuntimeError("One of the two processes failed.")
result = "".join(open(f"{folder}/said-{rank}", encoding="utf-8").read() for rank in "01")
"""


@pytest.fixture(scope="session")
def two_processes(fresh_process: Callable[..., Any]) -> Callable[[str, Path], str]:
    """What `run_two_processes` does, by forks of the process that has imported torch and transformers."""
    return lambda script, folder: str(fresh_process(_RANKS, [script, str(folder)], package=True))


def run_two_processes(script: str, folder: Path) -> str:
    """Run a script, which is given the folder, in two processes that torchrun starts. Returns what they print."""
    (folder / "script.py").write_text(script)
    runner = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    done = subprocess.run(
        [*runner, "--standalone", str(folder / "script.py"), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="session")
def tiny_words() -> list[str]:
    """About 600 distinct words in several scripts, with shared stems and affixes."""
    return list(dict.fromkeys(b + s + a for s in _STEMS for b in _BEFORE for a in _AFTER))


@pytest.fixture(scope="session")
def tiny_teacher(tiny_words: list[str]) -> Teacher:
    """300 words whose vectors are the sum of their parts' vectors and some noise, so that they can be learned."""
    random = np.random.default_rng(0)
    parts = {part: random.normal(size=DIM) for part in [*_STEMS, *_BEFORE, *_AFTER]}  # in a fixed order
    vectors = {
        b + s + a: 2 * parts[s] + parts[b] + parts[a] + 0.1 * random.normal(size=DIM)
        for s in _STEMS
        for b in _BEFORE
        for a in _AFTER
    }
    words = tiny_words[:300]
    return Teacher("tiny", words, np.array([vectors[w] for w in words], dtype=np.float32))


def make_encoder_dir(path: Path, encoder_type: str, words: list[str], dim: int = DIM, seed: int = 0) -> Path:
    """An encoder directory with seeded random weights."""
    import torch

    from distillemb_plugins.hf.configuration_distillemb import ALIGNMENTS, DistillEmbConfig
    from distillemb_plugins.layers.encoders_distillemb import build_encoder

    characters = CharTable.learn(words, max_chars=13, align=ALIGNMENTS[encoder_type])
    config = DistillEmbConfig(
        encoder_type=encoder_type,
        dim=dim,
        vocab_size=len(characters),
        max_chars=characters.max_chars,
        encoder_args=TINY_ARGS[encoder_type],
    )
    torch.manual_seed(seed)
    encoder = build_encoder(SimpleNamespace(**config.to_dict()))
    tensors = {name: tensor.numpy() for name, tensor in encoder.state_dict().items()}
    return write_encoder(path, config.to_dict(), tensors, characters, card="# A tiny encoder for tests\n")


@pytest.fixture(scope="session")
def tiny_encoder_dirs(tmp_path_factory: pytest.TempPathFactory, tiny_words: list[str]) -> dict[str, Path]:
    """One encoder directory for every student."""
    root = tmp_path_factory.mktemp("encoders")
    return {kind: make_encoder_dir(root / kind, kind, tiny_words) for kind in TINY_ARGS}


@pytest.fixture(scope="session")
def tiny_encoder_dir(tiny_encoder_dirs: dict[str, Path]) -> Path:
    """An encoder directory of the default student."""
    return tiny_encoder_dirs["cnn"]


@pytest.fixture(scope="session")
def tiny_context_dir(tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of the default student with two context layers, whose weights are large enough to matter."""
    import torch

    from distillemb_plugins.hf import DistillEmbModel
    from distillemb_plugins.persistence import read_encoder

    torch.manual_seed(0)
    sizes = {"context_size": 16, "context_heads": 2, "context_feed_forward": 32, "context_range": 20}
    model = DistillEmbModel.from_pretrained(tiny_encoder_dir, context_layers=2, **sizes, ignore_mismatched_sizes=True)
    layers = model.context_layers
    for parameter in layers.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    files = read_encoder(tiny_encoder_dir)
    context = {name: tensor.detach().numpy() for name, tensor in layers.state_dict().items()}
    out = tmp_path_factory.mktemp("context") / "tiny"
    config = {**files.config, **sizes, "context_layers": 2}
    return write_encoder(out, config, files.tensors, files.characters, context=context)
