"""The products by ONNX Runtime: float32 is the torch encoder, int8 is near it, and both are safe to use as NumPy is."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.distill import fit_residual_codebook
from distillemb_plugins.encoder import Runtime
from distillemb_plugins.errors import MissingExtraError
from distillemb_plugins.inference.cnn import CnnFeatures, DenseWeights
from distillemb_plugins.persistence import EncoderFiles, read_encoder
from distillemb_plugins.teachers import Teacher
from distillemb_plugins.vectors import unit_rows

from .test_encoder import ODD_WORDS, torch_vectors_of

onnx_only = pytest.mark.skipif(
    any(__import__("importlib.util").util.find_spec(name) is None for name in ("onnx", "onnxruntime")),
    reason="the extra onnx is not installed",
)
ONNX: list[Runtime] = ["onnx", "onnx-int8"]


@pytest.fixture(scope="module", params=["network", "network and memory"])
def files(request: pytest.FixtureRequest, tiny_encoder_dir: Path, tiny_teacher: Teacher) -> EncoderFiles:
    network = read_encoder(tiny_encoder_dir)
    if request.param == "network":
        return network
    return fit_residual_codebook(network, tiny_teacher, words=300, codes=12, dims=24)


@pytest.fixture(scope="module")
def words(tiny_words: list[str]) -> list[str]:
    """More than two chunks, words that a memory holds and others among each other."""
    order = np.random.default_rng(0).permutation(len(tiny_words))
    return [tiny_words[place] for place in order] + ODD_WORDS


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", unit_rows(one), unit_rows(other))


def test_numpy_with_a_memory_equals_torch_over_several_chunks(files: EncoderFiles, words: list[str]) -> None:
    expected = torch_vectors_of(files, words)
    encoder = DistillEmb.from_files(files, cache_size=0)
    np.testing.assert_allclose(encoder.encode(words), expected, atol=1e-5)
    alone = np.stack([encoder.encode(word) for word in words])
    np.testing.assert_allclose(alone, expected, atol=1e-5)


@onnx_only
def test_onnx_equals_torch(files: EncoderFiles, words: list[str]) -> None:
    expected = torch_vectors_of(files, words)
    encoder = DistillEmb.from_files(files, cache_size=0, runtime="onnx")
    vectors = encoder.encode(words)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    np.testing.assert_allclose(np.stack([encoder.encode(word) for word in words[:50]]), expected[:50], atol=1e-5)


@onnx_only
def test_int8_is_near_whatever_is_computed_beside_it(files: EncoderFiles, words: list[str]) -> None:
    expected = torch_vectors_of(files, words)
    encoder = DistillEmb.from_files(files, cache_size=0, runtime="onnx-int8")
    vectors = encoder.encode(words)
    assert vectors.dtype == np.float32 and np.isfinite(vectors).all()
    near = cosines(vectors, expected)
    assert near.mean() > 0.999 and near.min() > 0.99
    assert not np.array_equal(vectors, expected)
    np.testing.assert_array_equal(encoder.encode(words), vectors)
    alone = np.stack([encoder.encode(word) for word in words[:100]])
    # a feature's last bit depends on the company, and may tip one of its roundings
    assert cosines(alone, vectors[:100]).min() > 0.9995


@onnx_only
def test_int8_weights_fit_processors_that_add_products_in_16_bits(
    tiny_encoder_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    from distillemb_plugins.inference import onnx_runtime

    written: list[bytes] = []
    monkeypatch.setattr(onnx_runtime, "open_session", written.append)
    onnx_runtime.Int8Head(DenseWeights(read_encoder(tiny_encoder_dir).tensors), None, None)
    constants = map(onnx.numpy_helper.to_array, onnx.load_model_from_string(written[0]).graph.initializer)
    matrices = [one for one in constants if one.ndim == 2]
    assert len(matrices) == 2
    assert all(one.dtype == np.int8 and 0 < np.abs(one.astype(int)).max() <= 64 for one in matrices)


def test_a_rounded_table_is_near_and_never_overflows(tiny_encoder_dir: Path, words: list[str]) -> None:
    files = read_encoder(tiny_encoder_dir)
    tensors = {**files.tensors, "table.weight": files.tensors["table.weight"].copy()}
    tensors["table.weight"][1:] = 1  # sums as large as can be
    rows, args = files.characters.encode(words), files.config["encoder_args"]
    exact = CnnFeatures(args, tensors, 13)(rows)
    rounded = CnnFeatures(args, tensors, 13, rounded=True)
    assert rounded.table.dtype == np.int16 and np.abs(rounded.table).max() >= 127
    np.testing.assert_allclose(rounded(rows), exact, atol=1e-4)
    assert CnnFeatures(args, tensors, 1000, rounded=True).table.dtype == np.float32


@onnx_only
@pytest.mark.parametrize("runtime", ONNX)
def test_a_session_survives_pickling_threads_and_fork(runtime: Runtime, tiny_encoder_dir: Path) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir, cache_size=0, runtime=runtime)
    few = ["soma", "ሰላም", "", "wasomani"]
    expected = encoder.encode(few)
    again = pickle.loads(pickle.dumps(encoder))
    assert again.runtime == runtime
    np.testing.assert_array_equal(again.encode(few), expected)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(encoder.encode, [few] * 40):
            np.testing.assert_array_equal(vectors, expected)
    if "fork" not in multiprocessing.get_all_start_methods():
        return
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as forked:
        np.testing.assert_array_equal(forked.submit(encoder.encode, few).result(timeout=60), expected)


@onnx_only
@pytest.mark.parametrize("runtime", ONNX)
def test_layers_of_zeros_are_computed(runtime: Runtime, tiny_encoder_dir: Path) -> None:
    files = read_encoder(tiny_encoder_dir)
    files.tensors.update({name: np.zeros_like(files.tensors[name]) for name in ("hidden.weight", "output.weight")})
    files.tensors["output.bias"] = np.arange(24, dtype=np.float32)
    vectors = DistillEmb.from_files(files, runtime=runtime).encode(["soma", ""])
    np.testing.assert_allclose(vectors, np.tile(np.arange(24), (2, 1)), atol=1e-3)


def test_a_runtime_that_cannot_be_is_refused(
    tiny_encoder_dirs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DistillEmbError, match="choose one of numpy, onnx, onnx-int8"):
        DistillEmb.from_pretrained(tiny_encoder_dirs["cnn"], runtime="tpu")  # type: ignore[arg-type]
    with pytest.raises(DistillEmbError, match="cnn only, this is char-rnn"):
        DistillEmb.from_pretrained(tiny_encoder_dirs["char-rnn"], runtime="onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "onnx.helper", None)  # type: ignore[arg-type]
    with pytest.raises(MissingExtraError, match=r"distillemb-plugins\[onnx\]"):
        DistillEmb.from_pretrained(tiny_encoder_dirs["cnn"], runtime="onnx")
