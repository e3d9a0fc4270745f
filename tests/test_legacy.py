"""What version 0.1.0 wrote still opens and gives the same vectors and tags.

`fixtures/legacy` holds directories, pipelines, taggers, tables and interrupted runs that the code of version 0.1.0
wrote, as archives by room, and what that code computed with them. Weights, tags, words and counts must be equal.
Vectors must be equal to the last bit on the kind of machine that computed them. On others matrix products add in
another order, so that vectors may differ by 1e-6.
"""

from __future__ import annotations

import hashlib
import json
import platform
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distillemb_plugins import DistillEmb
from distillemb_plugins.persistence import encoder_from_bytes, encoder_to_bytes, read_encoder

LEGACY = Path(__file__).parent / "fixtures" / "legacy"
FACTS: dict[str, Any] = json.loads((LEGACY / "expected.json").read_text("utf-8"))
ENCODERS = sorted(name.removeprefix("encoders/") for name in FACTS["tensors"] if name.startswith("encoders/"))
TAGGERS = ["linear", "bilstm", "bilstm-crf"]


@pytest.fixture(scope="session")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("legacy")
    for archive in LEGACY.glob("*.tar.xz"):
        with tarfile.open(archive) as files:
            files.extractall(root, filter="data")
    return root


@pytest.fixture(scope="session")
def expected() -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(LEGACY / "expected.safetensors")


@pytest.fixture(scope="session")
def equal() -> Callable[[np.ndarray, np.ndarray], None]:
    """Compare vectors: to the last bit where this machine is of the kind that computed the expected ones."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    blas = {str(one.get("architecture")) for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"}
    here = {
        "machine": platform.machine(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "blas": sorted(blas),
    }
    if here == FACTS["machine"]:
        return np.testing.assert_array_equal
    return lambda found, wanted: np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def digest(tensors: dict[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_directory_gives_its_vectors(name: str, legacy: Path, expected: Any, equal: Any) -> None:
    encoder = DistillEmb.from_pretrained(legacy / "encoders" / name)
    assert digest(encoder.files.tensors) == FACTS["tensors"][f"encoders/{name}"]
    equal(encoder.encode(FACTS["words"]), expected[f"encoders/{name}"])
    encoder.cache_clear()
    equal(encoder.encode("wasomani"), expected[f"encoders/{name}/one"])


@pytest.mark.parametrize("name", ENCODERS)
def test_saving_an_encoder_again_keeps_its_weights(name: str, legacy: Path, tmp_path: Path) -> None:
    path = DistillEmb.from_pretrained(legacy / "encoders" / name).save_pretrained(tmp_path / "again")
    old, new = legacy / "encoders" / name, path
    assert (new / "model.safetensors").read_bytes() == (old / "model.safetensors").read_bytes()
    assert json.loads((new / "tokenizer_config.json").read_text("utf-8")) == json.loads(
        (old / "tokenizer_config.json").read_text("utf-8")
    )


def test_a_stored_encoder_gives_its_vectors(legacy: Path, expected: Any, equal: Any) -> None:
    files = encoder_from_bytes((legacy / "encoders" / "distilled.bytes").read_bytes())
    assert digest(files.tensors) == FACTS["tensors"]["encoders/distilled"]
    equal(DistillEmb.from_files(files).encode(FACTS["words"]), expected["encoders/distilled"])
    again = encoder_from_bytes(encoder_to_bytes(files))
    assert digest(again.tensors) == FACTS["tensors"]["encoders/distilled"]


@pytest.mark.parametrize(
    "name", sorted({"float32.npz", "int8.npz", "float16.safetensors", "int8.safetensors", "text.vec.gz"})
)
def test_a_table_gives_its_vectors(name: str, legacy: Path, expected: dict[str, np.ndarray]) -> None:
    from distillemb_plugins.teachers import load_teacher

    teacher = load_teacher(legacy / "tables" / name)
    assert teacher.words == FACTS["table_words"]
    np.testing.assert_array_equal(teacher.vectors, expected[f"tables/{name}"])
    if f"tables/{name}/counts" in expected:
        np.testing.assert_array_equal(teacher.counts, expected[f"tables/{name}/counts"])


@pytest.mark.filterwarnings("ignore:The training comes to:UserWarning")
def test_an_interrupted_distillation_ends_as_it_would_have(
    legacy: Path, expected: Any, equal: Any, tmp_path: Path
) -> None:
    from distillemb_plugins.distill import DistillSettings, distill
    from distillemb_plugins.teachers import load_teacher

    settings = DistillSettings(**json.loads((legacy / "distill" / "settings.json").read_text("utf-8")))
    steps: list[int] = []
    out = distill(
        [load_teacher(legacy / "tables" / "whole.npz")],
        legacy / "distill" / "encoder",
        settings,
        resume=True,
        progress=False,
        callback=lambda progress: steps.append(progress.total_steps),
    )
    assert steps[0] > 1  # it went on, it did not start anew
    encoder = DistillEmb.from_pretrained(out)
    if equal is np.testing.assert_array_equal:
        assert digest(encoder.files.tensors) == FACTS["tensors"]["distill/encoder"]
        equal(encoder.encode(FACTS["words"]), expected["distill/encoder"])
    else:  # three optimizer steps on another machine
        np.testing.assert_allclose(encoder.encode(FACTS["words"]), expected["distill/encoder"], atol=1e-4)


def test_an_interrupted_teacher_ends_as_it_would_have(legacy: Path, expected: Any, equal: Any) -> None:
    from distillemb_plugins.teachers import load_teacher, train_teacher

    folder = legacy / "teach"
    text, record = (folder / "text.txt").resolve(), folder / "teacher.npz.work" / "settings.json"
    settings = json.loads(record.read_text("utf-8"))
    settings["texts"] = [[str(text), text.stat().st_size, text.stat().st_mtime_ns]]  # where it was extracted
    record.write_text(json.dumps(settings), "utf-8")
    (folder / "teacher.npz.work" / "shard-00000.txt").stat()  # the tokens are there, and are not made again
    out = train_teacher([text], folder / "teacher.npz", resume=True, **FACTS["teach"]["options"])
    teacher = load_teacher(out)
    assert teacher.words == FACTS["teach"]["words"]
    np.testing.assert_array_equal(teacher.counts, expected["teach/counts"])
    equal(teacher.vectors, expected["teach"])


def logits_of(model: Any, tokenizer: Any) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = model(**tokenizer(FACTS["sentences"], padding=True, return_tensors="pt")).logits.numpy()
    return result


@pytest.mark.parametrize("name", [*TAGGERS, "text"])
def test_a_hugging_face_model_gives_its_tags(name: str, legacy: Path, expected: Any, equal: Any) -> None:
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

    import distillemb_plugins.hf  # noqa: F401

    path = legacy / "hf" / name
    kind: Any = AutoModelForSequenceClassification if name == "text" else AutoModelForTokenClassification
    model = kind.from_pretrained(path).eval()
    state = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
    assert digest(state) == FACTS["tensors"][f"hf/{name}"]
    found = logits_of(model, AutoTokenizer.from_pretrained(path))
    assert (found.argmax(-1) == expected[f"hf/{name}"].argmax(-1)).all()
    equal(found, expected[f"hf/{name}"])
    files = read_encoder(path)  # the encoder inside a tagger
    assert np.isfinite(DistillEmb.from_files(files).encode(FACTS["words"])).all()


_REMOTE = """
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer
directory, sentences = given
model = AutoModelForTokenClassification.from_pretrained(directory, trust_remote_code=True).eval()
tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=True)
with torch.no_grad():
    logits = model(**tokenizer(sentences, padding=True, return_tensors="pt")).logits
result = logits.argmax(-1).tolist()
"""


def test_the_code_that_a_tagger_carries_still_runs(
    legacy: Path, expected: Any, fresh_process: Callable[..., Any]
) -> None:
    found = fresh_process(_REMOTE, [str(legacy / "hf" / "bilstm-crf"), FACTS["sentences"]])
    assert found == expected["hf/bilstm-crf"].argmax(-1).tolist()


@pytest.mark.parametrize("name", sorted(FACTS["spacy"]))
def test_a_spacy_pipeline_gives_its_tags(name: str, legacy: Path, expected: Any, equal: Any, tmp_path: Path) -> None:
    import spacy
    from spacy.tokens import Doc

    for path in (legacy / "spacy" / name, tmp_path / "again"):  # as it was written, and saved by today's code
        nlp = spacy.load(path)
        docs = [nlp(Doc(nlp.vocab, words=sentence.split())) for sentence in FACTS["spacy_sentences"]]
        assert [[token.tag_ for token in doc] for doc in docs] == FACTS["spacy"][name]["tags"]
        entities = [[[entity.start, entity.end, entity.label_] for entity in doc.ents] for doc in docs]
        assert entities == FACTS["spacy"][name]["ents"]
        equal(np.concatenate([doc.tensor for doc in docs]), expected[f"spacy/{name}/tensor"])
        if name == "vectors":
            equal(np.stack([token.vector for doc in docs for token in doc]), expected["spacy/vectors/vectors"])
        nlp.to_disk(tmp_path / "again")
