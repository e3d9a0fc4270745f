"""What users do in spaCy is honored, warned of or refused, and never passed over in silence."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.ml.models.multi_task import create_pretrain_characters, create_pretrain_vectors
from spacy.tokens import Doc, Span, SpanGroup, Token
from spacy.training import Example
from spacy.training.augment import make_lowercase_variant
from spacy.training.initialize import load_vectors_into_model
from spacy.training.pretrain import make_update
from spacy.vectors import Vectors
from thinc.api import Adam

from distillemb_plugins import DistillEmb, DistillEmbError
from distillemb_plugins.spacy_plugin import set_vectors
from distillemb_plugins.spacy_plugin.augmenters import create_drop_diacritics, create_lower_case, create_typos

from .conftest import (
    WIDTH,
    embed_config,
    encoder_tensors,
    examples_for,
    listener,
    ner_config,
    tagger_config,
    tok2vec_config,
)

# Augmenters


def annotated(nlp: Language) -> Example:
    """A sentence with every annotation that spaCy has, some of them partial, and words whose length changes."""
    words = ["Ọ̀rọ̀", "Ámúlá", "b", "\n", "ÌBÀDÀN", "ƙasa", "Ẹkùn", "."]
    doc = Doc(
        nlp.vocab,
        words=words,
        spaces=[True, True, True, False, True, True, False, False],
        tags=["N", "N", "", "_SP", "N", "N", "N", "P"],
        pos=["NOUN", "NOUN", "", "SPACE", "PROPN", "NOUN", "NOUN", "PUNCT"],
        morphs=["Number=Sing", "", "", "", "", "", "", ""],
        lemmas=["ọ̀rọ̀", "", "b", "\n", "", "", "", "."],
        heads=[1, 1, 1, 2, 4, 4, 5, 4],
        deps=["nsubj", "ROOT", "obj", "dep", "ROOT", "obj", "nmod", "punct"],
        sent_starts=[True, False, False, False, True, False, False, False],
        ents=["B-PER", "I-PER", "O", "O", "B-LOC", "", "", "O"],
    )
    doc.set_ents(
        [Span(doc, 0, 2, "PER", kb_id="Q1", span_id="e1"), Span(doc, 4, 5, "LOC", kb_id="Q2")], default="unmodified"
    )
    spans = [Span(doc, 2, 3, "X", kb_id="Q3", span_id="s"), Span(doc, 4, 7, "Y"), Span(doc, 0, 8, "Z")]
    doc.spans["sc"] = SpanGroup(doc, name="sc", attrs={"why": "test"}, spans=spans)
    doc.spans["none"] = []
    doc.cats = {"news": 1.0, "sport": 0.0}
    doc.user_data["source"] = "web"
    doc._.of_doc, doc[4]._.of_word, doc[4:7]._.of_span = 1, 2, 3
    return Example(Doc(nlp.vocab, words=words, spaces=[bool(t.whitespace_) for t in doc]), doc)


def annotations(doc: Doc) -> dict[str, Any]:
    """All of a document but its words, by positions of words."""
    return {
        "tokens": [
            (t.tag_, t.pos_, str(t.morph), t.lemma, t.dep_, t.head.i, t.ent_iob, t.ent_type_, t.ent_kb_id_, t.ent_id_)
            for t in doc
        ],
        "starts": [t.is_sent_start for t in doc],
        "spaces": [t.whitespace_ for t in doc],
        "ents": [(e.start, e.end, e.label_, e.kb_id_, e.id_) for e in doc.ents],
        "spans": {
            name: (group.attrs, [(s.start, s.end, s.label_, s.kb_id_, s.id_) for s in group])
            for name, group in doc.spans.items()
        },
        "cats": doc.cats,
        "user": (doc.user_data["source"], doc._.of_doc, doc[4]._.of_word, doc[4:7]._.of_span),
        "sents": [(s.start, s.end) for s in doc.sents],
    }


@pytest.fixture
def extensions() -> Any:
    for kind, name in ((Doc, "of_doc"), (Token, "of_word"), (Span, "of_span")):
        kind.set_extension(name, default=None)
    yield
    for kind, name in ((Doc, "of_doc"), (Token, "of_word"), (Span, "of_span")):
        kind.remove_extension(name)


@pytest.mark.parametrize(
    "augment",
    [create_lower_case(1.0), create_drop_diacritics(1.0), create_typos(1.0, rate=1.0)],
    ids=["lower case", "no diacritics", "typos"],
)
def test_annotations_stay_on_their_words(augment: Any, extensions: Any) -> None:
    nlp = spacy.blank("xx")
    example = annotated(nlp)
    before = annotations(example.reference)
    for seed in range(5):
        random.seed(seed)
        (changed,) = augment(nlp, example)
        assert changed.reference.text != example.reference.text
        assert annotations(changed.reference) == before
        assert [t.text for t in changed.predicted] == [t.text for t in changed.reference]
        assert changed.reference[2].text == "b" == changed.reference.spans["sc"][0].text
        assert changed.get_aligned_ner() == example.get_aligned_ner()
    assert annotations(example.reference) == before


def test_lower_case_is_spacys(extensions: Any) -> None:
    nlp = spacy.blank("xx")
    doc = Doc(nlp.vocab, words=["Rafiki", "Anasoma", "Mjini"], ents=["B-PER", "O", "B-LOC"], tags=["A", "B", "C"])
    doc.ents = [Span(doc, 0, 1, "PER", kb_id="Q1"), doc.ents[1]]
    doc.spans["sc"] = [Span(doc, 1, 3, "X")]
    example = Example(Doc(nlp.vocab, words=["Rafiki", "Anasoma", "Mjini"]), doc)
    ours = next(create_lower_case(1.0)(nlp, example)).reference
    theirs = make_lowercase_variant(nlp, example).reference
    assert [(t.text, t.tag_, t.ent_iob_, t.ent_type_, t.ent_kb_id_) for t in ours] == [
        (t.text, t.tag_, t.ent_iob_, t.ent_type_, t.ent_kb_id_) for t in theirs
    ]
    assert [(s.start, s.end, s.label_) for s in ours.spans["sc"]] == [
        (s.start, s.end, s.label_) for s in theirs.spans["sc"]
    ]


def test_documents_without_words_or_known_spaces() -> None:
    nlp = spacy.blank("xx")
    for words in ([], ["ABC"], ["\n"]):
        example = Example(Doc(nlp.vocab, words=words), Doc(nlp.vocab, words=words))
        (changed,) = create_lower_case(1.0)(nlp, example)
        assert [t.text for t in changed.reference] == [word.lower() for word in words]
        assert changed.reference.has_unknown_spaces == example.reference.has_unknown_spaces


# Batches of several vocabularies, and without words


HASHED = {"attrs": ["NORM", "SHAPE"], "rows": [50, 50]}
EMBEDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "attrs": HASHED,
    "frozen": {"freeze": True, **HASHED},
    "dropout": {"dropout": 0.3, **HASHED},
}


def trained(encoder: Path, *, encode: dict[str, Any] | None = None, **embed: Any) -> tuple[Language, Any]:
    """A tok2vec with two listeners, after one update."""
    nlp = spacy.blank("xx")
    model = tok2vec_config(embed_config(encoder, **embed))
    nlp.add_pipe("tok2vec", config={"model": {**model, "encode": encode or model["encode"]}})
    nlp.add_pipe("ner", config=ner_config(listener()))
    nlp.add_pipe("tagger", config=tagger_config(listener()))
    optimizer = nlp.initialize(lambda: with_tags(nlp))
    nlp.update(with_tags(nlp), sgd=optimizer)
    return nlp, optimizer


def with_tags(nlp: Language) -> list[Example]:
    examples = examples_for(nlp)
    for example in examples:
        for token in example.reference:
            token.tag_ = "odd" if token.i % 2 else "even"
    return examples


def of_words(nlp: Language, *sentences: list[str]) -> list[Example]:
    return [Example(Doc(nlp.vocab, words=words), Doc(nlp.vocab, words=words)) for words in sentences]


LSTM = {"@architectures": "distillemb.BiLSTMEncoder.v1", "width": WIDTH}


@pytest.mark.parametrize("encode", [None, LSTM], ids=["cnn", "bilstm"])
@pytest.mark.parametrize("embed", EMBEDS)
def test_documents_without_words(embed: str, encode: Any, tiny_encoder_dir: Path) -> None:
    nlp, optimizer = trained(tiny_encoder_dir, encode=encode, **EMBEDS[embed])
    nlp.update(of_words(nlp, []), sgd=optimizer)  # takes the step of the batch before, as spaCy's listeners do
    before = encoder_tensors(nlp)
    for batch in ([[]], [[], []]):
        losses: dict[str, float] = {}
        nlp.update(of_words(nlp, *batch), sgd=optimizer, losses=losses, drop=0.2)
        assert set(losses.values()) == {0.0}
    assert all(np.array_equal(tensor, before[name]) for name, tensor in encoder_tensors(nlp).items())
    nlp.update([*of_words(nlp, [], [" "]), *with_tags(nlp), *of_words(nlp, [])], sgd=optimizer)
    nlp.update(of_words(nlp, [" "], ["\n", "\t"]), sgd=optimizer)
    nlp.update([], sgd=optimizer)
    assert nlp.evaluate(of_words(nlp, [], []))["speed"] == 0
    assert list(nlp.pipe([])) == []
    assert [len(doc) for doc in nlp.pipe(["", "a", "", " "])] == [0, 1, 0, 1]


def test_two_processes_and_documents_without_words(tiny_encoder_dir: Path) -> None:
    nlp, _ = trained(tiny_encoder_dir, **HASHED)
    assert [len(doc) for doc in nlp.pipe(["", "a", "", ""], n_process=2, batch_size=2)] == [0, 1, 0, 0]


@pytest.mark.parametrize("embed", EMBEDS)
def test_documents_of_two_vocabularies(embed: str, tiny_encoder_dir: Path) -> None:
    nlp, optimizer = trained(tiny_encoder_dir, **EMBEDS[embed])
    other = spacy.blank("xx")
    foreign = of_words(other, ["neno", "jipya", "NOUN"], ["jipya"])
    assert "jipya" not in nlp.vocab.strings
    tensors = nlp.get_pipe("tok2vec").predict([e.predicted for e in [*foreign, *examples_for(nlp)]])  # type: ignore[attr-defined]
    again = nlp.get_pipe("tok2vec").predict([e.predicted for e in of_words(nlp, ["neno", "jipya", "NOUN"])])  # type: ignore[attr-defined]
    assert np.allclose(tensors[0], again[0], atol=1e-5)
    before = encoder_tensors(nlp)
    losses: dict[str, float] = {}
    nlp.update([*with_tags(nlp), *with_tags(other), *foreign], sgd=optimizer, losses=losses)
    moved = [name for name, tensor in encoder_tensors(nlp).items() if not np.array_equal(tensor, before[name])]
    assert losses["ner"] > 0 and bool(moved) == (embed != "frozen")


# Vectors


@pytest.fixture
def nlp(tiny_encoder_dir: Path) -> Language:
    return set_vectors(spacy.blank("xx"), tiny_encoder_dir)


def put(nlp: Language) -> None:
    nlp.vocab.vectors["mji"] = np.zeros(24, dtype="f")  # type: ignore[index]


CHANGES: dict[str, Callable[[Language], Any]] = {
    "add (and vocab.set_vector)": lambda nlp: nlp.vocab.set_vector("mji", np.zeros(24, dtype="f")),
    "add": lambda nlp: nlp.vocab.vectors.add("mji", vector=np.zeros(24, dtype="f")),
    "__setitem__": put,
    "resize": lambda nlp: nlp.vocab.vectors.resize((10, 24)),
    "clear": lambda nlp: nlp.vocab.vectors.clear(),
}


@pytest.mark.parametrize("method", CHANGES)
def test_changes_of_vectors_are_warned_of(method: str, nlp: Language) -> None:
    before = nlp("mji")[0].vector.copy()
    with pytest.warns(UserWarning) as caught:
        CHANGES[method](nlp)
    assert f"Skipping Vectors.{method}" in str(caught[0].message)
    assert np.array_equal(nlp("mji")[0].vector, before)


def test_vectors_set_through_a_lexeme(nlp: Language) -> None:
    with pytest.warns(UserWarning, match="Skipping Vectors.add"):
        nlp.vocab["mji"].vector = np.zeros(24, dtype="f")


def test_what_needs_a_table_is_refused(nlp: Language, tiny_encoder_dir: Path) -> None:
    vectors: Any = nlp.vocab.vectors
    with pytest.raises(DistillEmbError, match=r"look up vectors\[word\]"):
        vectors.find(key="mji")
    assert vectors["mji"].shape == (24,)
    with pytest.raises(DistillEmbError, match=r'nlp.vocab.vectors.encoder.most_similar\("word", candidates\)'):
        vectors.most_similar(vectors["mji"][None])
    assert nlp.vocab.vectors.encoder.most_similar("mji", ["mji", "rafiki"])  # type: ignore[attr-defined]
    for method in (nlp.vocab.prune_vectors, nlp.vocab.reset_vectors, nlp.vocab.deduplicate_vectors):
        with pytest.raises(ValueError, match="E849"):
            method(*([10] if method == nlp.vocab.prune_vectors else []))
    assert vectors.n_keys == -1


def test_another_table_takes_their_place(nlp: Language) -> None:
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, shape=(2, 3))
    nlp.vocab.set_vector("mji", np.ones(3, dtype="f"))
    assert nlp("mji")[0].vector.tolist() == [1, 1, 1]


def test_a_table_beside_computed_vectors_is_warned_of(nlp: Language, tmp_path: Path) -> None:
    table = spacy.blank("xx")
    table.vocab.set_vector("mji", np.ones(24, dtype="f"))
    table.to_disk(tmp_path / "table")
    before = nlp("mji")[0].vector.copy()
    with pytest.warns(UserWarning, match=r"is not used.*leave \[initialize\] vectors out"):
        load_vectors_into_model(nlp, str(tmp_path / "table"))
    assert np.array_equal(nlp("mji")[0].vector, before)
    plain = spacy.blank("xx")  # the advice
    load_vectors_into_model(plain, str(tmp_path / "table"))
    assert plain("mji")[0].vector.tolist() == [1] * 24


def static_pipeline(encoder: Path, used: bool) -> Language:
    callback = {"@callbacks": "distillemb.set_vectors.v1", "pretrained": str(encoder)}
    nlp = spacy.blank("xx", config={"initialize": {"before_init": callback}})
    embed = {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": WIDTH,
        "attrs": ["NORM"],
        "rows": [50],
        "include_static_vectors": used,
    }
    nlp.add_pipe("tok2vec", config={"model": tok2vec_config(embed)})
    nlp.add_pipe("ner", config=ner_config(listener()))
    return nlp


def test_vectors_that_nothing_reads_are_warned_of(tiny_encoder_dir: Path) -> None:
    unused = static_pipeline(tiny_encoder_dir, used=False)
    with pytest.warns(UserWarning, match="no component reads the vectors.*include_static_vectors = true"):
        unused.initialize(lambda: examples_for(unused))
    used = static_pipeline(tiny_encoder_dir, used=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*no component reads the vectors", UserWarning)
        used.initialize(lambda: examples_for(used))


def test_static_vectors_of_another_vocabulary(tiny_encoder_dir: Path) -> None:
    nlp = static_pipeline(tiny_encoder_dir, used=True)
    optimizer = nlp.initialize(lambda: examples_for(nlp))
    other = spacy.blank("xx")
    foreign = of_words(other, ["neno", "jipya"])
    with pytest.raises(DistillEmbError, match=r"make documents by nlp.make_doc or Doc\(nlp.vocab"):
        nlp.update([*examples_for(nlp), *foreign], sgd=optimizer)
    nlp.update([*examples_for(nlp), *of_words(nlp, ["neno", "jipya"])], sgd=optimizer)


# spacy pretrain


def pretrained(nlp: Language, objective: Any) -> float:
    for word in ("mji", "rafiki"):
        nlp.vocab[word].prob = -3.0
    model = objective(nlp.vocab, nlp.get_pipe("tok2vec").model)  # type: ignore[attr-defined]
    docs = [nlp.make_doc("rafiki kitani mji " * 20), nlp.make_doc("ndege")]
    model.initialize(X=docs)
    optimizer = Adam(0.001)
    make_update(model, docs, optimizer, model.attrs["loss"])  # the output layer begins at zero
    return make_update(model, docs, optimizer, model.attrs["loss"])


def test_pretraining_of_the_embed_layer(tiny_encoder_dir: Path) -> None:
    nlp = spacy.blank("xx")
    nlp.add_pipe("tok2vec", config={"model": tok2vec_config(embed_config(tiny_encoder_dir, **HASHED))})
    assert pretrained(nlp, create_pretrain_characters(2, 8, 2)) > 0
    assert not np.array_equal(
        encoder_tensors(nlp)["output.weight"],
        DistillEmb.from_pretrained(tiny_encoder_dir).files.tensors["output.weight"],
    )


def test_computed_vectors_as_an_objective_are_refused(tiny_encoder_dir: Path) -> None:
    nlp = static_pipeline(tiny_encoder_dir, used=False)
    set_vectors(nlp, tiny_encoder_dir)
    with pytest.raises(ValueError, match="E850"):
        pretrained(nlp, create_pretrain_vectors(2, 8, "cosine"))
