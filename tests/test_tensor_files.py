"""Reading safetensors: every type of number that others write, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins import DistillEmbError
from distillemb_plugins.tensor_files import load_safetensors, open_safetensors, read_safetensors

torch = pytest.importorskip("torch")
NUMBERS = [[0.0, -0.0, 1.5], [3.0e38, -1e-30, float("inf")]]
TYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def blob(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_is_read_as_torch_reads_it(dtype: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    values = torch.tensor(NUMBERS) if "float" in dtype else torch.tensor([[0, 1, 1], [1, 0, 0]])
    tensor = values.to(getattr(torch, dtype))
    save_file(
        {"a": tensor, "none": tensor[:0], "one": tensor[0, 0].clone()}, tmp_path / "t.safetensors", {"words": "x\ny"}
    )
    expected = tensor.float().numpy() if dtype == "bfloat16" else tensor.numpy()
    blob = (tmp_path / "t.safetensors").read_bytes()
    for tensors, metadata in (read_safetensors(tmp_path / "t.safetensors"), load_safetensors(blob, "The blob")):
        assert metadata == {"words": "x\ny"}
        assert tensors["a"].dtype == expected.dtype
        np.testing.assert_array_equal(tensors["a"], expected)
        assert tensors["none"].shape == (0, 3) and tensors["one"].shape == ()
        tensors["a"][:] = 0  # memory of its own
    lazily, _ = open_safetensors(tmp_path / "t.safetensors")
    assert (lazily["a"].shape, lazily["a"].dtype) == ((2, 3), expected.dtype)
    np.testing.assert_array_equal(lazily["a"].read(1, 2), expected[1:])


def test_float8_is_refused_and_the_way_out_works(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = tmp_path / "t.safetensors"
    save_file({"a": torch.ones(2, 2).to(torch.float8_e4m3fn)}, path)
    with pytest.raises(DistillEmbError, match=r"stores 'a' as F8_E4M3, .*save it as float32, float16 or bfloat16\.$"):
        read_safetensors(path)
    save_file({name: tensor.to(torch.bfloat16) for name, tensor in load_file(path).items()}, path)
    np.testing.assert_array_equal(read_safetensors(path)[0]["a"], np.ones((2, 2), np.float32))


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"1234",
        (2**62).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{",
        (2).to_bytes(8, "little") + b"\xff\xfe",
        blob([]),
        blob({"a": 1}),
        blob({"a": {}}),
        blob({"a": ONE}),
        blob({"a": ONE}, b"12345"),
        blob({"a": ONE | {"shape": [2]}}, b"1234"),
        blob({"a": ONE | {"shape": [-1]}}, b"1234"),
        blob({"a": ONE | {"shape": [True]}}, b"1234"),
        blob({"a": ONE | {"shape": [1.0]}}, b"1234"),
        blob({"a": ONE | {"shape": 1}}, b"1234"),
        blob({"a": ONE | {"dtype": ["F32"]}}, b"1234"),
        blob({"a": ONE | {"data_offsets": [4, 8]}}, b"12345678"),
        blob({"a": ONE, "b": ONE}, b"1234"),
        blob({"a": ONE | {"shape": [0, 2**70], "data_offsets": [0, 0]}}),
        blob({"__metadata__": {"a": 1}}),
        blob({"__metadata__": []}),
        b"[" * 100_000,
    ],
)
def test_what_is_damaged_is_one_sentence(damaged: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.safetensors").write_bytes(damaged)
    with pytest.raises(DistillEmbError, match=r"damaged or cut short \(.*\): copy it again\.$") as caught:
        read_safetensors(tmp_path / "t.safetensors", "copy it again")
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(DistillEmbError, match=r"^The blob is damaged"):
        load_safetensors(damaged, "The blob")
