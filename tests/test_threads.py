"""Words shared out over threads, and matrix products on one thread each meanwhile."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.inference import students, threads
from distillemb_plugins.persistence import EncoderFiles, read_encoder

threadpoolctl = pytest.importorskip("threadpoolctl")


@pytest.fixture
def tiny_files(tiny_encoder_dir: Path) -> EncoderFiles:
    return read_encoder(tiny_encoder_dir)


def threads_allowed() -> int:
    return threads._most


def blas_threads() -> int:
    """Of NumPy's own library: others may be loaded too."""
    found = threads._blas()
    return found[0]() if found else 1


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_most", 2)
    monkeypatch.setattr(threads, "_pool", [])


@pytest.mark.skipif(threads._blas() is None, reason="a BLAS whose threads cannot be told")
def test_blas_has_one_thread_while_somebody_computes_and_then_as_many_as_before() -> None:
    with threadpoolctl.threadpool_limits(3):
        with threads.one_blas_thread as allowed:
            assert (allowed, blas_threads()) == (3, 1)
            with threads.one_blas_thread as inner:
                assert (inner, blas_threads()) == (3, 1)
            assert blas_threads() == 1  # the outer one still computes
        assert blas_threads() == 3


def test_pieces_are_each_done_once_by_several_threads(two_cores: None) -> None:
    done: list[int] = []
    both = threading.Barrier(2, timeout=30)
    workers = set()

    def work(piece: int) -> None:
        if threading.get_ident() not in workers:
            workers.add(threading.get_ident())
            both.wait()
        done.append(piece)

    with threadpoolctl.threadpool_limits(2):
        threads.share_out(work, range(50), least=2)
    assert sorted(done) == list(range(50))
    assert len(workers) == 2


@pytest.mark.parametrize("limit", [1, 2])
def test_an_error_in_a_piece_reaches_the_caller(limit: int, two_cores: None) -> None:
    def work(piece: int) -> None:
        raise KeyError(piece)

    with threadpoolctl.threadpool_limits(limit), pytest.raises(KeyError):
        threads.share_out(work, range(9), least=1)
    threads.share_out(lambda piece: piece, range(9), least=1)  # and it works again


def test_few_pieces_stay_with_the_caller(two_cores: None) -> None:
    found = set()
    with threadpoolctl.threadpool_limits(2):
        threads.share_out(lambda _: found.add(threading.get_ident()), range(3), least=2)
    assert found == {threading.get_ident()}


@pytest.fixture
def encoder(tiny_files: EncoderFiles, two_cores: None, monkeypatch: pytest.MonkeyPatch) -> DistillEmb:
    """An encoder that shares out small pieces already."""
    monkeypatch.setattr(students, "_BATCH", 16)
    monkeypatch.setattr(students, "_LEAST", 1)
    return DistillEmb.from_files(tiny_files, cache_size=0)


def test_the_number_of_threads_changes_no_bit(encoder: DistillEmb, tiny_words: list[str]) -> None:
    with threadpoolctl.threadpool_limits(1):
        expected = encoder.encode(tiny_words)
    with threadpoolctl.threadpool_limits(2):
        np.testing.assert_array_equal(encoder.encode(tiny_words), expected)
        with ThreadPoolExecutor(3) as pool:  # and several callers do not wait for each other
            for vectors in pool.map(encoder.encode, [tiny_words] * 6):
                np.testing.assert_array_equal(vectors, expected)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_of_a_fork_computes_alone(encoder: DistillEmb, tiny_words: list[str]) -> None:
    with threadpoolctl.threadpool_limits(2):
        expected = encoder.encode(tiny_words)  # the threads are there now
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as forked:
            np.testing.assert_array_equal(forked.submit(encoder.encode, tiny_words).result(timeout=60), expected)
            assert forked.submit(threads_allowed).result(timeout=60) == 1


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_words_take_shorter_ways_to_the_same_bits(tiny_files: EncoderFiles, count: int) -> None:
    from distillemb_plugins.inference.cnn import CnnFeatures

    words = ["wasomani", "ẹ̀kọ́", "a", "ትምህርት", "neno-refu-sana", "", "x1"]
    features = CnnFeatures(tiny_files.config["encoder_args"], tiny_files.tensors, tiny_files.config["max_chars"])
    rows = tiny_files.characters.encode(words)
    together = features(rows)
    for start in range(len(words)):
        few = features(rows[start : start + count])
        np.testing.assert_array_equal(few, together[start : start + count])


def test_auto_is_onnx_only_where_it_is_installed_and_faster(
    tiny_files: EncoderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(students, "_has_avx512", lambda: False)
    assert DistillEmb.from_files(tiny_files, runtime="auto").runtime == "numpy"
    monkeypatch.setattr(students, "_has_avx512", lambda: True)
    monkeypatch.setattr(students.importlib.util, "find_spec", lambda name: None)
    assert DistillEmb.from_files(tiny_files, runtime="auto").runtime == "numpy"
    monkeypatch.setattr(students.importlib.util, "find_spec", lambda name: name)
    assert students.resolve_runtime("auto", tiny_files.config) == "onnx"
    assert students.resolve_runtime("auto", {"encoder_type": "char-rnn"}) == "numpy"
    with pytest.raises(DistillEmbError, match="choose one of numpy, onnx, onnx-int8, auto"):
        students.resolve_runtime("gpu", tiny_files.config)
