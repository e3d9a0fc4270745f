"""`distillemb.Vectors.v1` in the place of spaCy's table."""

from __future__ import annotations

import pickle
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training.initialize import load_vectors_into_model
from spacy.vectors import Vectors
from spacy.vocab import Vocab

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.persistence import read_encoder, write_encoder
from distillemb_plugins.spacy_plugin import set_vectors
from distillemb_plugins.spacy_plugin.vectors import DistillEmbVectors

from ..conftest import make_encoder_dir
from .conftest import WIDTH, examples_for, ner_config, tok2vec_config

TEXT = "rafiki mjini ሰላም neverseenbefore"


def close(a: object, b: object) -> bool:
    """Equal up to the rounding that comes with batches of another size."""
    return np.allclose(a, b, atol=1e-6)  # type: ignore[arg-type]


def config_pipeline(encoder: Path | str | None, **settings: object) -> Language:
    """A blank pipeline whose config names the vectors."""
    block = {"@vectors": "distillemb.Vectors.v1", "pretrained": encoder and str(encoder), **settings}
    return spacy.blank("xx", config={"nlp": {"vectors": block}})


@pytest.fixture(scope="module")
def encoder(tiny_encoder_dir: Path) -> DistillEmb:
    return DistillEmb.from_pretrained(tiny_encoder_dir)


@pytest.fixture
def nlp(tiny_encoder_dir: Path) -> Language:
    return config_pipeline(tiny_encoder_dir)


@pytest.fixture
def own_dir(tiny_encoder_dir: Path, tmp_path: Path) -> Path:
    """An encoder directory that a test may delete."""
    return Path(shutil.copytree(tiny_encoder_dir, tmp_path / "own-encoder"))


def static_ner(nlp: Language) -> Language:
    """An NER component that reads the static vectors, initialised."""
    embed = {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": WIDTH,
        "attrs": ["NORM"],
        "rows": [50],
        "include_static_vectors": True,
    }
    nlp.add_pipe("ner", config=ner_config(tok2vec_config(embed)))
    nlp.initialize(lambda: examples_for(nlp))
    return nlp


def test_every_token_has_the_encoders_vector(nlp: Language, encoder: DistillEmb) -> None:
    doc = nlp(TEXT)
    expected = encoder.encode([t.text for t in doc])
    assert close([t.vector for t in doc], expected)
    assert np.allclose(doc.vector, expected.mean(0), atol=1e-6)
    assert np.allclose(doc[1:3].vector, expected[1:3].mean(0), atol=1e-6)
    assert doc.has_vector and all(t.has_vector and not t.is_oov for t in doc)
    assert nlp.vocab["neverseenbefore"].has_vector and not nlp.vocab["neverseenbefore"].is_oov
    assert doc[0].similarity(doc[1]) == pytest.approx(encoder.similarity("rafiki", "mjini"), abs=1e-5)
    assert nlp("rafiki").similarity(doc) == pytest.approx(doc.similarity(nlp("rafiki")))
    assert nlp.vocab.get_vector("soma").shape == (encoder.dim,)
    assert nlp.vocab.vectors_length == encoder.dim
    assert nlp("").vector.shape == (encoder.dim,)


def test_encoding_another_attribute(tiny_encoder_dir: Path, encoder: DistillEmb, tmp_path: Path) -> None:
    nlp = config_pipeline(tiny_encoder_dir, attr="LOWER")
    assert close(nlp("RAFIKI")[0].vector, encoder.encode("rafiki"))
    nlp.to_disk(tmp_path / "p")
    assert close(spacy.load(tmp_path / "p")("RAFIKI")[0].vector, encoder.encode("rafiki"))
    with pytest.raises(DistillEmbError, match="attr is 'SHOUT'"):
        config_pipeline(tiny_encoder_dir, attr="SHOUT")


def test_words_can_be_merged_and_documents_stored(nlp: Language) -> None:
    doc = nlp(TEXT)
    stored = DocBin(store_user_data=True, docs=[doc]).to_bytes()
    (again,) = DocBin().from_bytes(stored).get_docs(nlp.vocab)
    assert close(again.vector, doc.vector)
    before = nlp.vocab.vectors["rafiki mjini"].copy()
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[:2])
    assert close(doc[0].vector, before)  # the merged token's own, computed
    nlp.vocab.set_vector("soma", np.zeros(nlp.vocab.vectors_length))
    assert nlp.vocab["soma"].vector.any()


def test_disk_without_the_original_directory(own_dir: Path, encoder: DistillEmb, tmp_path: Path) -> None:
    static_ner(config_pipeline(own_dir)).to_disk(tmp_path / "pipeline")
    shutil.rmtree(own_dir)
    again = spacy.load(tmp_path / "pipeline")
    assert close(again(TEXT)[1].vector, encoder.encode("mjini"))
    assert again.meta["vectors"]["width"] == encoder.dim
    again.to_disk(tmp_path / "second")  # and once more, from what was loaded
    assert close(spacy.load(tmp_path / "second")(TEXT).vector, again(TEXT).vector)


def test_a_saved_pipeline_does_not_look_for_the_original(own_dir: Path, tmp_path: Path) -> None:
    """The path in its config may be a hub id: nothing must be fetched."""
    config_pipeline(own_dir).to_disk(tmp_path / "pipeline")
    config = (tmp_path / "pipeline" / "config.cfg").read_text("utf-8")
    (tmp_path / "pipeline" / "config.cfg").write_text(config.replace(str(own_dir), "some/hub-id"), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distillemb_plugins.persistence.resolve", lambda name: pytest.fail(f"went looking for {name}"))
        assert spacy.load(tmp_path / "pipeline")("rafiki")[0].vector.any()


def test_bytes_without_the_original_directory(own_dir: Path) -> None:
    nlp = config_pipeline(own_dir)
    expected = nlp(TEXT).vector.copy()
    data, config = nlp.to_bytes(), nlp.config
    shutil.rmtree(own_dir)
    again = Language.from_config(config) if nlp.lang == "" else spacy.blank("xx", config=config)
    again.from_bytes(data)
    assert close(again(TEXT).vector, expected)


def test_pickle_keeps_strings_of_later_words(nlp: Language) -> None:
    """Unpickling assigns vectors before strings: E018 in spaCy's own floret mode."""
    vocab = pickle.loads(pickle.dumps(nlp.vocab))
    doc = Doc(vocab, words=["a-word-nobody-saw", "rafiki"])
    assert close(doc[0].vector, nlp.vocab.vectors["a-word-nobody-saw"])
    assert close(vocab.vectors.get_batch(doc.to_array("ORTH")), [t.vector for t in doc])
    twice = pickle.loads(pickle.dumps(vocab))
    assert Doc(twice, words=["another-unseen"])[0].vector.any()


def test_vectors_feed_static_embeddings_and_training(nlp: Language) -> None:
    static_ner(nlp)
    (node,) = [n for n in nlp.get_pipe("ner").model.walk() if n.name == "static_vectors"]
    assert node.get_dim("nM") == nlp.vocab.vectors_length
    before = node.get_param("W").copy()
    optimizer = nlp.create_optimizer()
    nlp.update(examples_for(nlp), sgd=optimizer)
    assert not np.array_equal(before, node.get_param("W"))


def test_text_classification_reads_them(nlp: Language) -> None:
    model = {
        "@architectures": "spacy.TextCatReduce.v1",
        "exclusive_classes": True,
        "use_reduce_first": False,
        "use_reduce_last": False,
        "use_reduce_max": False,
        "use_reduce_mean": True,
        "tok2vec": tok2vec_config(
            {
                "@architectures": "spacy.MultiHashEmbed.v2",
                "width": WIDTH,
                "attrs": ["NORM"],
                "rows": [50],
                "include_static_vectors": True,
            }
        ),
    }
    nlp.add_pipe("textcat", config={"model": model})
    examples = examples_for(nlp)
    for number, example in enumerate(examples):
        example.reference.cats = {"a": float(number % 2), "b": float(1 - number % 2)}
    optimizer = nlp.initialize(lambda: examples)
    nlp.update(examples, sgd=optimizer)
    assert set(nlp(TEXT).cats) == {"a", "b"}


def test_batches_are_computed_once_and_cached_by_string(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = nlp.vocab.vectors
    computed: list[str] = []
    original = vectors.encoder._compute
    monkeypatch.setattr(vectors.encoder, "_compute", lambda words: computed.extend(words) or original(words))
    doc = Doc(nlp.vocab, words=["soma", "mji", "soma", "soma"])
    batch = vectors.get_batch(doc.to_array("ORTH"))
    assert sorted(computed) == ["mji", "soma"]
    assert close(batch[0], batch[2]) and batch.dtype == np.float32
    assert close(doc[0].vector, batch[0]) and len(computed) == 2  # the batch filled the cache
    assert close(vectors.get_batch(["soma", "mji"]), batch[:2])


def test_the_cache_is_bounded(tiny_encoder_dir: Path) -> None:
    vectors = config_pipeline(tiny_encoder_dir, cache_size=10).vocab.vectors
    for number in range(0, 60, 6):
        vectors.get_batch([f"word{n}" for n in range(number, number + 6)])
    assert 0 < vectors.encoder.cache_bytes <= 10 * vectors.vectors_length * 4


def test_memory_zones(nlp: Language) -> None:
    """Hashes of words seen in a zone cannot be resolved after it: the cache must not depend on them."""
    with nlp.memory_zone():
        first = nlp("zonewordone zonewordtwo").vector.copy()
    with nlp.memory_zone():
        assert close(nlp("zonewordone zonewordtwo").vector, first)
    assert close(nlp("zonewordtwo")[0].vector, nlp.vocab.vectors["zonewordtwo"])


def test_the_runtime_comes_from_the_config_and_travels(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    nlp = config_pipeline(tiny_encoder_dir, runtime="auto")
    expected = nlp.vocab.vectors.encoder.encode("rafiki")
    nlp.to_disk(tmp_path / "nlp")
    again = spacy.load(tmp_path / "nlp")
    for vectors in (again.vocab.vectors, pickle.loads(pickle.dumps(nlp.vocab.vectors))):
        assert vectors._runtime == "auto" and close(vectors.encoder.encode("rafiki"), expected)
    for source in (tiny_encoder_dir, DistillEmb.from_pretrained(tiny_encoder_dir, runtime="auto")):
        set_vectors(again, source, runtime="auto")
        assert again.config["nlp"]["vectors"]["runtime"] == again.vocab.vectors._runtime == "auto"
    with pytest.raises(DistillEmbError, match="runtime is 'gpu': choose one of numpy"):
        config_pipeline(tiny_encoder_dir, runtime="gpu")


def test_set_vectors_sets_object_and_config(tiny_encoder_dir: Path, encoder: DistillEmb, tmp_path: Path) -> None:
    nlp = set_vectors(spacy.blank("xx"), tiny_encoder_dir)
    assert nlp.config["nlp"]["vectors"]["@vectors"] == "distillemb.Vectors.v1"
    nlp.to_disk(tmp_path / "pipeline")
    assert close(spacy.load(tmp_path / "pipeline")("mji")[0].vector, encoder.encode("mji"))
    opened = set_vectors(spacy.blank("xx"), encoder)
    assert opened("mji")[0].vector.any()


def test_the_callback_in_a_config(tiny_encoder_dir: Path, encoder: DistillEmb) -> None:
    callback = {"@callbacks": "distillemb.set_vectors.v1", "pretrained": str(tiny_encoder_dir)}
    nlp = spacy.blank("xx", config={"initialize": {"before_init": callback}})
    static_ner(nlp)
    assert close(nlp("mji")[0].vector, encoder.encode("mji"))


def test_vectors_of_another_size_than_trained(tiny_encoder_dir: Path, tiny_words: list[str], tmp_path: Path) -> None:
    nlp = static_ner(config_pipeline(tiny_encoder_dir))
    wider = make_encoder_dir(tmp_path / "wider", "cnn", tiny_words, dim=30)
    with pytest.raises(DistillEmbError, match=r"have 30 values, but \[components.ner\] was trained with vectors of 24"):
        set_vectors(nlp, wider)


def test_vectors_alone_under_the_default_class_do_not_load_silently(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    """Setting only the object used to reload as an empty table."""
    nlp = spacy.blank("xx")
    strings = nlp.vocab.strings
    nlp.vocab.vectors = DistillEmbVectors(strings=strings, pretrained=str(tiny_encoder_dir))
    nlp.to_disk(tmp_path / "pipeline")
    mend = r'set \[nlp.vectors\] @vectors = "distillemb.Vectors.v1"'
    with pytest.raises(ValueError, match=mend):
        spacy.load(tmp_path / "pipeline")
    with pytest.raises(ValueError, match=mend):
        spacy.blank("xx").from_bytes(nlp.to_bytes())


def test_initialize_vectors_with_the_default_class(nlp: Language, tmp_path: Path) -> None:
    """``[initialize] vectors`` alone gave ``index -1 is out of bounds`` deep inside training."""
    nlp.to_disk(tmp_path / "pipeline")
    with pytest.raises(ValueError, match=r"\[nlp.vectors\] @vectors"):
        load_vectors_into_model(spacy.blank("xx"), str(tmp_path / "pipeline"))


def test_initialize_vectors_with_our_class(
    nlp: Language, tmp_path: Path, caplog: pytest.LogCaptureFixture, encoder: DistillEmb
) -> None:
    nlp.to_disk(tmp_path / "pipeline")
    target = config_pipeline(None)
    load_vectors_into_model(target, str(tmp_path / "pipeline"))
    assert "W112" not in caplog.text
    assert close(target("mji")[0].vector, encoder.encode("mji"))


def test_a_table_under_our_class_is_told(tmp_path: Path, tiny_encoder_dir: Path, encoder: DistillEmb) -> None:
    spacy.blank("xx").to_disk(tmp_path / "table")
    config = tmp_path / "table" / "config.cfg"
    config.write_text(config.read_text("utf-8").replace("spacy.Vectors.v1", "distillemb.Vectors.v1"), "utf-8")
    with pytest.raises(DistillEmbError, match="holds no encoder: set \\[nlp.vectors\\]"):
        spacy.load(tmp_path / "table")
    with pytest.raises(DistillEmbError, match="holds no encoder"):
        config_pipeline(None).from_bytes(spacy.blank("xx").to_bytes())
    exchanged = spacy.load(tmp_path / "table", config={"nlp.vectors.pretrained": str(tiny_encoder_dir)})
    assert close(exchanged("mji")[0].vector, encoder.encode("mji"))


def test_pretrained_that_cannot_be_used(tmp_path: Path) -> None:
    missing = config_pipeline(tmp_path / "nowhere")
    with pytest.raises(DistillEmbError, match=r'\[nlp.vectors\]\): pretrained = ".*nowhere" cannot be used'):
        missing("rafiki")[0].vector  # noqa: B018
    (tmp_path / "empty").mkdir()
    with pytest.raises(DistillEmbError, match="is no encoder directory"):
        config_pipeline(tmp_path / "empty").initialize()  # told before training, not at its end
    with pytest.raises(DistillEmbError, match="pretrained is not set"):
        config_pipeline(None).initialize()
    with pytest.raises(DistillEmbError, match="no variables in"):
        block = {"@vectors": "distillemb.Vectors.v1", "pretrained": "${paths.encoder}"}
        spacy.blank("xx", config={"paths": {"encoder": "here"}, "nlp": {"vectors": block}}).initialize()
    with pytest.raises(DistillEmbError, match="set_vectors: pretrained = "):
        set_vectors(spacy.blank("xx"), tmp_path / "nowhere")


def test_a_damaged_store_names_its_file(nlp: Language, tmp_path: Path) -> None:
    nlp.to_disk(tmp_path / "pipeline")
    file = tmp_path / "pipeline" / "vocab" / "distillemb.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DistillEmbError, match="distillemb.safetensors: The stored encoder is damaged"):
        spacy.load(tmp_path / "pipeline")


def test_operations_on_a_table_are_refused_by_spacy(nlp: Language) -> None:
    for operation in (nlp.vocab.prune_vectors, nlp.vocab.reset_vectors):
        with pytest.raises(ValueError, match="E849"):
            operation(10) if operation == nlp.vocab.prune_vectors else operation(width=10)
    with pytest.raises(ValueError, match="E849"):
        nlp.vocab.deduplicate_vectors()


def test_equality_is_that_of_the_encoders(tiny_encoder_dir: Path, tiny_words: list[str], tmp_path: Path) -> None:
    same, again = config_pipeline(tiny_encoder_dir).vocab.vectors, config_pipeline(tiny_encoder_dir).vocab.vectors
    other = config_pipeline(make_encoder_dir(tmp_path / "o", "cnn", tiny_words, seed=5)).vocab.vectors
    assert same.to_bytes() == again.to_bytes() != other.to_bytes()
    assert same == again and same != other and same != Vectors() and Vectors() != same


def test_sourcing_between_pipelines_with_equal_vectors_does_not_warn(tiny_encoder_dir: Path) -> None:
    source = static_ner(config_pipeline(tiny_encoder_dir))
    target = config_pipeline(tiny_encoder_dir)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target.add_pipe("ner", source=source)
    assert [e.text for e in target(TEXT).ents] == [e.text for e in source(TEXT).ents]


def test_compact_storage_survives(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    files = read_encoder(tiny_encoder_dir)
    write_encoder(tmp_path / "int8", files.config, files.tensors, files.characters, storage="int8")
    small = config_pipeline(tmp_path / "int8")
    small.to_disk(tmp_path / "small")
    config_pipeline(tiny_encoder_dir).to_disk(tmp_path / "full")
    sizes = [(tmp_path / n / "vocab" / "distillemb.safetensors").stat().st_size for n in ("small", "full")]
    assert sizes[0] < 0.7 * sizes[1]
    assert close(spacy.load(tmp_path / "small")(TEXT).vector, small(TEXT).vector)


def test_a_bare_object_works() -> None:
    vectors = DistillEmbVectors()
    assert vectors.shape == (0, 1) and vectors.data.shape == (0, 1) and list(vectors) == [] and vectors.keys()
    assert vectors.key2row == {} and vectors.n_keys == -1 and len(vectors) == 0
    vocab = Vocab()
    vocab.vectors = vectors
    assert vectors.strings is vocab.strings
