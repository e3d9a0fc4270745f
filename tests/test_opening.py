"""Every way to open an encoder, with damaged, foreign and unusual directories: it opens, or one sentence says why."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.cli import app
from distillemb_plugins.persistence import encoder_from_bytes, encoder_to_bytes, resolve

torch = pytest.importorskip("torch")
spacy = pytest.importorskip("spacy")
transformers = pytest.importorskip("transformers")
WORDS = ["soma", "ọ́kọ̀", "ሰላም"]
WEIGHTS = "model.safetensors"


def by_distillemb(path: Any) -> np.ndarray:
    return DistillEmb.from_pretrained(path).encode(WORDS)


def by_spacy_vectors(path: Any) -> np.ndarray:
    from distillemb_plugins.spacy_plugin import set_vectors

    nlp = set_vectors(spacy.blank("xx"), str(path))
    return np.stack([nlp.vocab[word].vector for word in WORDS])


def by_spacy_layer(path: Any) -> np.ndarray:
    from distillemb_plugins.spacy_plugin.layers import pipeline_encoder

    return pipeline_encoder(pipeline(str(path))).encode(WORDS)


def pipeline(path: str) -> Any:
    nlp = spacy.blank("xx")
    model = {"@architectures": "distillemb.Tok2Vec.v1", "width": 8, "depth": 1, "pretrained": path}
    nlp.add_pipe("tok2vec", config={"model": model})
    nlp.initialize()
    return nlp


def by_info(path: Any) -> np.ndarray:
    result = CliRunner().invoke(app, ["info", str(path), "--json"])
    if result.exit_code:
        assert result.exit_code == 2, result.output
        raise DistillEmbError(result.stderr.removeprefix("distillemb: ").strip())
    return DistillEmb.from_pretrained(json.loads(result.stdout)["path"]).encode(WORDS)


def by_hugging_face(path: Any) -> np.ndarray:
    from distillemb_plugins.hf import DistillEmbModel, DistillEmbTokenizer

    batch = DistillEmbTokenizer.from_pretrained(path)([WORDS], is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        return DistillEmbModel.from_pretrained(path).eval()(**batch).last_hidden_state[0].float().numpy()


OURS = [by_distillemb, by_spacy_vectors, by_spacy_layer, by_info]
EVERY = [*OURS, by_hugging_face]


@pytest.fixture
def copy(tiny_encoder_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_encoder_dir, tmp_path / "copy"))


def saved_by_hugging_face(source: Path, target: Path, dtype: Any = torch.float32, **options: Any) -> Path:
    from distillemb_plugins.hf import DistillEmbModel, DistillEmbTokenizer

    DistillEmbModel.from_pretrained(source, dtype=dtype).save_pretrained(target, **options)
    DistillEmbTokenizer.from_pretrained(source).save_pretrained(target)
    return target


@pytest.mark.parametrize("open_", EVERY)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_every_float_type_that_hugging_face_saves_is_read(
    open_: Callable[[Any], np.ndarray], dtype: str, tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    saved = saved_by_hugging_face(tiny_encoder_dir, tmp_path / "saved", getattr(torch, dtype))
    from safetensors import safe_open

    with safe_open(saved / WEIGHTS, "pt") as tensors:
        assert {tensors.get_tensor(name).dtype for name in tensors.keys()} >= {getattr(torch, dtype)}  # noqa: SIM118
    np.testing.assert_allclose(open_(saved), by_distillemb(tiny_encoder_dir), atol=3e-2)


def test_a_head_saved_as_bfloat16_is_an_encoder_and_travels_as_bytes(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    from distillemb_plugins.hf import DistillEmbForTokenClassification, DistillEmbTokenizer

    model = DistillEmbForTokenClassification.from_pretrained(
        tiny_encoder_dir, num_labels=3, head_hidden_size=8, dtype=torch.bfloat16
    )
    model.save_pretrained(tmp_path / "head")
    DistillEmbTokenizer.from_pretrained(tiny_encoder_dir).save_pretrained(tmp_path / "head")
    encoder = DistillEmb.from_pretrained(tmp_path / "head")
    np.testing.assert_allclose(encoder.encode(WORDS), by_distillemb(tiny_encoder_dir), atol=3e-2)
    again = encoder_from_bytes(encoder_to_bytes(encoder.files))
    np.testing.assert_array_equal(DistillEmb.from_files(again).encode(WORDS), encoder.encode(WORDS))
    written = encoder.save_pretrained(tmp_path / "written")
    np.testing.assert_array_equal(by_distillemb(written), encoder.encode(WORDS))


@pytest.mark.parametrize("open_", EVERY)
def test_a_save_in_several_files_is_opened(
    open_: Callable[[Any], np.ndarray], tiny_encoder_dir: Path, tmp_path: Path
) -> None:
    saved = saved_by_hugging_face(tiny_encoder_dir, tmp_path / "saved", max_shard_size="8KB")
    assert not (saved / WEIGHTS).exists() and len(list(saved.glob("model-*.safetensors"))) > 1
    np.testing.assert_allclose(open_(saved), by_distillemb(tiny_encoder_dir), atol=1e-5)


@pytest.mark.parametrize("open_", OURS)
def test_a_trailing_slash_and_the_home_directory(
    open_: Callable[[Any], np.ndarray], copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = by_distillemb(copy)
    np.testing.assert_allclose(open_(f"{copy}/"), expected, atol=1e-6)
    monkeypatch.setenv("HOME", str(copy.parent))
    np.testing.assert_allclose(open_("~/copy"), expected, atol=1e-6)
    assert resolve("afro11/") == resolve("afro11")


def edit_json(name: str, **changes: Any) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        values = json.loads((path / name).read_text("utf-8"))
        (path / name).write_text(json.dumps(values | changes), "utf-8")

    return edit


def shard(change: Callable[[Path, dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Two parts with an index, then damaged."""

    def damage(path: Path) -> None:
        from safetensors.numpy import load_file, save_file

        tensors = load_file(path / WEIGHTS)
        (path / WEIGHTS).unlink()
        names = sorted(tensors)
        parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
        for file, own in parts.items():
            save_file({name: tensors[name] for name in own}, path / file)
        index = {"metadata": {}, "weight_map": {name: file for file, own in parts.items() for name in own}}
        change(path, index)
        (path / f"{WEIGHTS}.index.json").write_text(json.dumps(index), "utf-8")

    return damage


def pickled(path: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(path / WEIGHTS), path / "pytorch_model.bin")
    (path / WEIGHTS).unlink()


def emptied(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()


def adapter(path: Path) -> None:
    emptied(path)
    (path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (path / "adapter_model.safetensors").write_bytes(b"")


def sentence_pipeline(path: Path) -> None:
    emptied(path)
    spacy.blank("xx").to_disk(path)


def deeper(levels: int, copies: int = 1) -> Callable[[Path], None]:
    def move(path: Path) -> None:
        content = path.rename(path.parent / "moved")
        for number in range(copies):
            shutil.copytree(content, path.joinpath(*["in"] * (levels - 1), f"step-{number}"))

    return move


DAMAGED = {
    "no config": (lambda p: (p / "config.json").unlink(), "no encoder directory: config.json is missing"),
    "no weights": (lambda p: (p / WEIGHTS).unlink(), "no encoder directory: model.safetensors is missing"),
    "no tokenizer": (lambda p: (p / "tokenizer_config.json").unlink(), "tokenizer_config.json is missing"),
    "empty": (emptied, "config.json is missing"),
    "config cut": (lambda p: (p / "config.json").write_text("{"), "config.json is damaged"),
    "weights cut": (lambda p: (p / WEIGHTS).write_bytes((p / WEIGHTS).read_bytes()[:-9]), "damaged or cut short"),
    "weights empty": (lambda p: (p / WEIGHTS).write_bytes(b""), "damaged or cut short"),
    "weights a web page": (lambda p: (p / WEIGHTS).write_bytes(b"<!DOCTYPE html>" * 9), "damaged or cut short"),
    "weights an LFS pointer": (
        lambda p: (p / WEIGHTS).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "git lfs pull",
    ),
    "another model": (edit_json("config.json", model_type="bert"), "a model of type 'bert'"),
    "no type": (lambda p: (p / "config.json").write_text("{}"), "a model of type None"),
    "newer": (edit_json("config.json", format_version=99), "upgrade distillemb-plugins"),
    "a pickle": (pickled, r"pytorch_model\.bin, a pickle, which could run code and is not read"),
    "another name": (lambda p: (p / WEIGHTS).rename(p / "model.fp16.safetensors"), r"rename model\.fp16\.safetensors"),
    "an adapter": (adapter, "an adapter"),
    "a pipeline": (sentence_pipeline, "a spaCy pipeline without an encoder of ours"),
    "one level too high": (deeper(1), r"holds \S*step-0: give that\."),
    "two levels too high": (deeper(2), r"holds \S*in/step-0: give that\."),
    "several encoders": (deeper(1, 2), r"holds \S*step-0, \S*step-1: give one of them\."),
    "index damaged": (shard(lambda p, i: i.clear()), r"index\.json is damaged"),
    "a part missing": (shard(lambda p, i: (p / "b.safetensors").unlink()), r"b\.safetensors, a part .* is missing"),
    "a part elsewhere": (
        shard(lambda p, i: i["weight_map"].update(dict.fromkeys(i["weight_map"], "../x.safetensors"))),
        "a part lies elsewhere",
    ),
    "a part of another": (
        shard(lambda p, i: i["weight_map"].popitem()),
        r"holds other weights than model\.safetensors\.index\.json says",
    ),
}


@pytest.mark.parametrize("open_", OURS)
@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_no_encoder_is_refused_in_one_sentence(
    kind: str, open_: Callable[[Any], np.ndarray], copy: Path
) -> None:
    damage, message = DAMAGED[kind]
    damage(copy)
    with pytest.raises(DistillEmbError, match=message) as caught:
        open_(copy)
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)


@pytest.mark.parametrize("open_", OURS)
def test_a_file_or_nothing_is_refused_in_one_sentence(open_: Callable[[Any], np.ndarray], copy: Path) -> None:
    for name, message in {
        str(copy / "config.json"): rf"is a file; .*: give {re.escape(str(copy))}\.",
        str(copy / "nothing"): "no encoder directory",
        "nowhere": "no encoder directory nowhere.*afro11",
        "no/where": r"could not be fetched from the hub",
        "~nobody-here/x": "no encoder directory|could not be fetched",
        " ": "names no encoder",
    }.items():
        with pytest.raises(DistillEmbError, match=message) as caught:
            open_(name)
        assert "\n" not in str(caught.value)
    for what in (None, 3, b"afro11"):
        with pytest.raises(DistillEmbError, match="names no encoder"):
            DistillEmb.from_pretrained(what)  # type: ignore[arg-type]


@pytest.mark.parametrize("parts", [1, 2])
def test_the_advice_for_a_pickle_works(parts: int, copy: Path) -> None:
    import safetensors.torch

    expected = by_distillemb(copy)
    pickled(copy)
    if parts == 2:
        tensors = torch.load(copy / "pytorch_model.bin", weights_only=True)
        (copy / "pytorch_model.bin").unlink()
        (copy / "pytorch_model.bin.index.json").write_text("{}")
        for number in range(parts):
            part = dict(list(tensors.items())[number::parts])
            torch.save(part, copy / f"pytorch_model-0000{number + 1}-of-00002.bin")
    with pytest.raises(DistillEmbError, match="a pickle") as caught:
        DistillEmb.from_pretrained(copy)
    advice = re.search(r"convert it with (.*)\.$", str(caught.value))
    assert advice is not None
    eval(advice.group(1), {"safetensors": safetensors, "torch": torch, "pathlib": pathlib})
    np.testing.assert_array_equal(by_distillemb(copy), expected)
    np.testing.assert_allclose(by_hugging_face(copy), expected, atol=1e-6)


def test_the_advice_for_another_name_works(copy: Path) -> None:
    expected = by_distillemb(copy)
    (copy / WEIGHTS).rename(copy / "model.fp16.safetensors")
    (copy / "model.fp16.safetensors").rename(copy / WEIGHTS)
    np.testing.assert_array_equal(by_distillemb(copy), expected)


@pytest.mark.parametrize("kind", ["vectors", "layer"])
def test_the_advice_for_a_pipeline_works(kind: str, copy: Path, tmp_path: Path) -> None:
    import distillemb_plugins.spacy_plugin.layers
    from distillemb_plugins.spacy_plugin import set_vectors

    expected = by_distillemb(copy)
    nlp = set_vectors(spacy.blank("xx"), str(copy)) if kind == "vectors" else pipeline(str(copy))
    nlp.to_disk(tmp_path / "pipeline")
    with pytest.raises(DistillEmbError, match="is a spaCy pipeline: take its encoder out with") as caught:
        DistillEmb.from_pretrained(tmp_path / "pipeline")
    advice = re.search(r"with (.*)\.save_pretrained\(DIRECTORY\)", str(caught.value))
    assert advice is not None
    encoder = eval(advice.group(1), {"spacy": spacy, "distillemb_plugins": distillemb_plugins})
    np.testing.assert_allclose(by_distillemb(encoder.save_pretrained(tmp_path / "taken")), expected, atol=1e-6)
