"""DistillEmb: the NumPy forward is the torch one, and the cache changes nothing."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.layers.encoders_distillemb import ENCODERS, build_encoder
from distillemb_plugins.persistence import EncoderFiles, read_encoder, resolve

from .conftest import TINY_ARGS

ODD_WORDS = ["", " ", "a", "x" * 10_000, "\x00\x07", "漢字かな", "🙂", "\ud800", "́", "ẹ̀" * 9]


def torch_vectors(path: Path, words: list[str]) -> np.ndarray:
    return torch_vectors_of(read_encoder(path), words)


def torch_vectors_of(files: EncoderFiles, words: list[str]) -> np.ndarray:
    module = build_encoder(SimpleNamespace(**files.config))
    module.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in files.tensors.items()})
    module.eval()
    with torch.no_grad():
        return module(torch.from_numpy(files.characters.encode(words)).long()).numpy()


@pytest.mark.parametrize("kind", list(TINY_ARGS))
def test_numpy_forward_equals_torch(kind: str, tiny_encoder_dirs: dict[str, Path], tiny_words: list[str]) -> None:
    words = tiny_words + ODD_WORDS
    expected = torch_vectors(tiny_encoder_dirs[kind], words)
    computed = DistillEmb.from_pretrained(tiny_encoder_dirs[kind]).encode(words)
    assert computed.dtype == np.float32
    assert np.isfinite(computed).all()
    np.testing.assert_allclose(computed, expected, atol=1e-5)
    assert np.abs(expected).max() > 1e-2  # zero vectors would agree too


def test_every_student_is_tested() -> None:
    assert set(TINY_ARGS) == set(ENCODERS)


@pytest.mark.parametrize("kind", list(TINY_ARGS))
def test_a_word_has_the_same_vector_alone_and_in_company(kind: str, tiny_encoder_dirs: dict[str, Path]) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dirs[kind], cache_size=0)
    together = encoder.encode(["soma", "wasomani" * 3, "", "ቤት"])
    for word, vector in zip(["soma", "wasomani" * 3, "", "ቤት"], together, strict=True):
        np.testing.assert_allclose(encoder.encode(word), vector, atol=1e-5)


def test_the_cache_returns_what_was_computed_and_stays_bounded(tiny_encoder_dir: Path, tiny_words: list[str]) -> None:
    plain = DistillEmb.from_pretrained(tiny_encoder_dir, cache_size=0)
    cached = DistillEmb.from_pretrained(tiny_encoder_dir, cache_size=50)
    for start in range(0, 200, 20):  # fills, overflows and empties the cache
        words = tiny_words[start : start + 40]
        np.testing.assert_allclose(cached.encode(words), cached.encode(words), atol=1e-6)
        np.testing.assert_allclose(cached.encode(words), plain.encode(words), atol=1e-6)
    assert 0 < cached.cache_bytes <= 50 * 24 * 4
    assert plain.cache_bytes == 0
    cached.cache_clear()
    assert cached.cache_bytes == 0


def test_known_new_and_repeated_words_of_one_call_come_in_order(tiny_encoder_dir: Path) -> None:
    plain = DistillEmb.from_pretrained(tiny_encoder_dir, cache_size=0)
    for size in (3, 100):  # the third call overflows the small cache
        cached = DistillEmb.from_pretrained(tiny_encoder_dir, cache_size=size)
        for words in (
            ["soma"],
            ["ilé", "soma", "ilé", "mji", "soma"],
            ["mji", "a", "b", "a", "soma", "c"],
            ["c", "soma"],
        ):
            np.testing.assert_allclose(cached.encode(words), plain.encode(words), atol=1e-5)
            assert 0 < cached.cache_bytes <= size * 24 * 4


def test_a_returned_vector_is_the_callers_own(tiny_encoder_dir: Path) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    first = encoder.encode("soma")
    kept = first.copy()
    first[:] = 0
    encoder.encode("soma")[:] = 0
    encoder.encode(["soma"])[:] = 0
    np.testing.assert_array_equal(encoder.encode("soma"), kept)


def test_eight_threads_share_one_encoder(tiny_encoder_dir: Path, tiny_words: list[str]) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir, cache_size=100)
    expected = DistillEmb.from_pretrained(tiny_encoder_dir, cache_size=0).encode(tiny_words)
    wrong: list[str] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(60):
            places = random.integers(0, len(tiny_words), 30)
            got = encoder.encode([tiny_words[p] for p in places])
            if not np.allclose(got, expected[places], atol=1e-5):
                wrong.append(f"thread {seed}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_shapes_similarity_and_neighbours(tiny_encoder_dir: Path, tiny_words: list[str]) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    assert encoder.encode([]).shape == (0, 24)
    assert encoder.encode("soma").shape == (24,)
    assert encoder.encode(["soma"]).shape == (1, 24)
    assert encoder.similarity("soma", "soma") == pytest.approx(1)
    assert np.linalg.norm(encoder.encode(["soma"], normalize=True)) == pytest.approx(1)
    near = encoder.most_similar("soma", tiny_words, n=3)
    assert len(near) == 3 and "soma" not in dict(near)
    every = encoder.encode(tiny_words, normalize=True) @ encoder.encode("soma", normalize=True)
    assert near[0][1] == pytest.approx(np.sort(every)[-2])
    with pytest.raises(DistillEmbError, match="no candidates"):
        encoder.most_similar("soma", ["soma"])
    with pytest.raises(DistillEmbError, match="sequence of words"):
        encoder.encode([1, 2])  # type: ignore[list-item]


def test_pickling_keeps_the_vectors(tiny_encoder_dir: Path) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    encoder.encode(["soma"])
    again = pickle.loads(pickle.dumps(encoder))  # what a worker process receives
    np.testing.assert_array_equal(again.encode(["soma"]), encoder.encode(["soma"]))


@pytest.mark.parametrize("kind", ["cnn", "char-rnn", "ngram-bag", "ngram-sam"])
def test_prepared_words_give_the_vectors_of_plain_ones(
    kind: str, tiny_encoder_dirs: dict[str, Path], tiny_words: list[str]
) -> None:
    files = read_encoder(tiny_encoder_dirs[kind])
    module = build_encoder(SimpleNamespace(**files.config))
    module.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in files.tensors.items()})
    module.eval()
    ids = torch.from_numpy(files.characters.encode([*tiny_words[:50], ""])).long()
    with torch.no_grad():
        torch.testing.assert_close(module.forward_prepared(*module.prepare(ids)), module(ids))


def test_ngrams_are_left_out_in_training_only(tiny_encoder_dir: Path) -> None:
    files = read_encoder(tiny_encoder_dir)
    module = build_encoder(SimpleNamespace(**files.config))
    ids = torch.from_numpy(files.characters.encode(["wasomani"])).long()
    module.train()
    assert not torch.equal(module(ids), module(ids))
    module.eval()
    torch.testing.assert_close(module(ids), module(ids), rtol=0, atol=0)


def size_of(config: dict[str, Any]) -> int:
    """The number of weights of a student, from the sizes of its layers."""
    args, dim, ids = config["encoder_args"], config["dim"], config["vocab_size"]
    if config["encoder_type"] == "ngram-bag":
        return (args["buckets"] + 1) * dim
    if config["encoder_type"] == "char-rnn":
        chars, hidden = args["char_dim"], args["hidden"]
        lstm = 4 * hidden * (chars + hidden) + 8 * hidden
        return ids * chars + 2 * lstm + (2 * hidden + 1) * dim
    ngrams, channels, hidden = args["ngram_dim"], args["channels"], args["hidden"]
    table = (args["hashes"] * args["buckets"] + 1) * ngrams // args["hashes"]
    convolution = (args["kernel"] * ids + 1) * channels
    width = ngrams + channels
    return table + convolution + 2 * width + (width + 1) * hidden + (hidden + 1) * dim


@pytest.mark.parametrize("kind", ["cnn", "char-rnn", "ngram-bag"])
def test_parameters_are_those_of_the_layers(kind: str, tiny_encoder_dirs: dict[str, Path]) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dirs[kind])
    assert encoder.num_parameters == size_of(encoder.config)


def test_a_residual_codebook_has_no_parameters() -> None:
    from transformers import AutoModel

    encoder = DistillEmb.from_pretrained("afro11")  # which has one
    assert encoder.files.tensors["memory.codes"].size > 1_000_000
    assert encoder.num_parameters == size_of(encoder.config) == 1_456_688  # as its card says
    assert AutoModel.from_pretrained(resolve("afro11")).num_parameters() == encoder.num_parameters


def test_most_similar_takes_several_words(tiny_encoder_dir: Path, tiny_words: list[str]) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    query = encoder.encode(["soma", "mji"], normalize=True).mean(axis=0)
    query /= np.linalg.norm(query)
    others = [word for word in tiny_words if word not in ("soma", "mji")]
    cosines = encoder.encode(others, normalize=True) @ query
    near = encoder.most_similar(["soma", "mji"], tiny_words, n=4)
    assert [word for word, _ in near] == [others[row] for row in np.argsort(-cosines)[:4]]
    np.testing.assert_allclose([cosine for _, cosine in near], np.sort(cosines)[::-1][:4], atol=1e-5)
    assert encoder.most_similar(("mji", "soma"), iter(tiny_words), n=4)[0][0] == near[0][0]
    assert encoder.most_similar("soma", np.array(tiny_words), n=3) == encoder.most_similar(["soma"], tiny_words, n=3)
    assert encoder.most_similar("soma", tiny_words, n=0) == []
    assert len(encoder.most_similar("soma", ["mji", "mji", "soma"], n=9)) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: e.most_similar([], ["a"]), "no word to look for"),
        (lambda e: e.most_similar("a", []), "no candidates"),
        (lambda e: e.most_similar("soma", "mji"), "one candidate, 'mji': give a list"),
        (lambda e: e.most_similar("soma", None), "None is not a string"),
        (lambda e: e.most_similar(None, ["a"]), "None is not a string"),
        (lambda e: e.most_similar(["soma", 3], ["a"]), "3 is not a string"),
        (lambda e: e.most_similar("soma", ["a", None]), "None is not a string"),
        (lambda e: e.most_similar("soma", ["a"], n="3"), "n is '3'"),
        (lambda e: e.similarity(["soma", "mji"], "ile"), r"\['soma', 'mji'\] is not a string"),
        (lambda e: e.similarity("soma", None), "None is not a string"),
        (lambda e: e.encode(None), "None is not a string"),
        (lambda e: e.encode(3), "3 is not a string"),
        (lambda e: e.encode(b"soma"), "is not a string"),
        (lambda e: e.encode([b"soma"]), "b'soma' is not a string"),
        (lambda e: e.encode(["soma", 3.5]), "3.5 is not a string"),
        (lambda e: e.encode(["soma", None]), "None is not a string"),
        (lambda e: e.encode([["soma", "mji"]]), r"\['soma', 'mji'\] is not a string"),
        (lambda e: e.encode(np.array(3)), "is not a string"),
        (lambda e: e.encode(np.array([["soma"]])), "is not a string"),
    ],
)
def test_what_is_no_word_is_named_in_one_sentence(call: Any, message: str, tiny_encoder_dir: Path) -> None:
    for cache_size in (0, 100):
        encoder = DistillEmb.from_pretrained(tiny_encoder_dir, cache_size)
        encoder.encode(["soma", "mji"])
        with pytest.raises(DistillEmbError, match=message) as caught:
            call(encoder)
        assert "\n" not in str(caught.value)


def test_every_sequence_of_words_is_taken(tiny_encoder_dir: Path) -> None:
    words = ["soma", "mji", "ilé"]
    expected = DistillEmb.from_pretrained(tiny_encoder_dir).encode(words)
    pandas = pytest.importorskip("pandas")
    kinds = [tuple(words), iter(words), (w for w in words), np.array(words), np.array(words, dtype=object)]
    for kind in [*kinds, pandas.Series(words, index=[5, 6, 7]), dict.fromkeys(words)]:
        np.testing.assert_array_equal(DistillEmb.from_pretrained(tiny_encoder_dir).encode(kind), expected)
    for nothing in ([], (), np.array([], dtype=str)):
        assert DistillEmb.from_pretrained(tiny_encoder_dir).encode(nothing).shape == (0, expected.shape[1])
