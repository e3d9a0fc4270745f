"""`distillemb.ConllCorpus.v1`."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import pytest
import spacy
from spacy.util import registry

from distillemb_plugins import DistillEmbError
from distillemb_plugins.data.conll import Layout, conll_files, read_sentences
from distillemb_plugins.spacy_plugin.readers import ConllCorpus

CONLLU = """# sent_id = 1
# text = Vamonos al mar.
1-2\tVamonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\tV\tMood=Imp|Number=Plur\t0\troot\t_\t_
2\tnos\tnos\tPRON\tP\tCase=Acc\t1\tobj\t_\t_
2.1\tx\tx\tX\t_\t_\t_\t_\t_\t_
3\tal mar\tmar\tNOUN\t_\t_\t1\tobl\t_\tSpaceAfter=No
4\t.\t.\t_\tZ\t_\t1\tpunct\t_\tSpaceAfter=No
"""


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


def texts(corpus: ConllCorpus) -> list[list[str]]:
    return [sentence.words for sentence in corpus.sentences()]


def test_it_is_registered_and_makes_entities(ner_file: Path) -> None:
    nlp = spacy.blank("xx")
    corpus = registry.resolve({"c": {"@readers": "distillemb.ConllCorpus.v1", "path": str(ner_file)}})["c"]
    examples = list(corpus(nlp))
    assert len(examples) == 4
    assert [(e.text, e.label_) for e in examples[1].reference.ents] == [("Soma mjiko", "ORG")]
    assert [t.text for t in examples[1].predicted] == [t.text for t in examples[1].reference]
    assert not examples[1].predicted.ents
    assert examples[1].reference.text == "ndege ya Soma mjiko ."


def test_pos_sets_tag_and_pos(pos_file: Path) -> None:
    first = next(iter(ConllCorpus(pos_file, task="pos")(spacy.blank("xx")))).reference
    assert [t.pos_ for t in first] == [t.tag_ for t in first] == ["PROPN", "NOUN", "VERB", "NOUN"]
    assert not first.has_annotation("ENT_IOB")


def test_byte_order_mark_crlf_tabs_trailing_space_and_blank_runs(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "\ufeffOchieng B-PER\r\nodhi\tO \r\n\r\n \r\n\r\nDala B-LOC\r\n\r\n\r\n")
    assert texts(ConllCorpus(file)) == [["Ochieng", "odhi"], ["Dala"]]


def test_stray_inside_tags_begin_an_entity(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "a I-PER\nb I-PER\nc I-LOC\nd O\ne I-LOC\n")
    (sentence,) = read_sentences(file, Layout())
    assert sentence.tags == ["B-PER", "I-PER", "B-LOC", "O", "B-LOC"]


def test_lines_with_an_empty_word_are_skipped_with_one_warning(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "a O\n O\nb O\n O\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert texts(ConllCorpus(file)) == [["a", "b"]]
    assert [str(w.message) for w in caught] == [f"{file}: skipped lines with an empty word: 2, 4."]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a O\nb\n", 2, "1 columns where 2"),
        ("a O\n\nb c O\n", 3, "3 columns where 2"),
        ("a O\nb IO\n", 2, "unknown tag 'IO'"),
        ("a O\nb B-\n", 2, "unknown tag 'B-'"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    file = write(tmp_path / "bad.txt", text)
    with pytest.raises(DistillEmbError, match=rf"bad\.txt, line {line}: {what}"):
        list(ConllCorpus(file).sentences())


def test_labels_restrict_types_and_tags(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "a B-DATe\n")
    with pytest.raises(DistillEmbError, match="unknown tag 'B-DATe'.*DATE"):
        list(ConllCorpus(file, labels=["DATE"]).sentences())
    own = write(tmp_path / "b.txt", "a NP\n")
    with pytest.raises(DistillEmbError, match="unknown tag 'NP'"):
        list(ConllCorpus(own, task="pos").sentences())
    doc = next(iter(ConllCorpus(own, task="pos", labels=["NP"])(spacy.blank("xx")))).reference
    assert (doc[0].tag_, doc[0].pos_) == ("NP", "")


def test_conllu_is_recognised(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", CONLLU)
    doc = next(iter(ConllCorpus(file, task="pos")(spacy.blank("xx")))).reference
    assert [t.text for t in doc] == ["Vamos", "nos", "al mar", "."]
    assert [t.pos_ for t in doc] == ["VERB", "PRON", "NOUN", ""]
    assert [t.tag_ for t in doc] == ["VERB", "PRON", "NOUN", ""]
    assert str(doc[0].morph) == "Mood=Imp|Number=Plur"
    assert doc.text == "Vamos nos al mar."
    own = next(iter(ConllCorpus(file, task="pos", xpos=True)(spacy.blank("xx")))).reference
    assert [t.tag_ for t in own] == ["V", "P", "", "Z"]


def test_conllu_has_no_entities_and_no_short_lines(tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match='task = "pos"'):
        list(ConllCorpus(write(tmp_path / "a.conllu", CONLLU)).sentences())
    cut = write(tmp_path / "b.conllu", CONLLU.replace("\t1\tobj\t_\t_\n", "\n"))
    with pytest.raises(DistillEmbError, match="line 5: 6 columns where CoNLL-U has 10"):
        list(ConllCorpus(cut, task="pos").sentences())


def test_more_columns_and_docstart(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n")
    (sentence,) = ConllCorpus(file, columns=4).sentences()
    assert (sentence.words, sentence.tags) == (["EU", "rejects"], ["B-ORG", "O"])
    (pos,) = ConllCorpus(file, task="pos", columns=4, tag_column=1, labels=["NNP", "VBZ", "-X-"]).sentences()
    assert pos.tags == ["NNP", "VBZ"]
    with pytest.raises(DistillEmbError, match="tag_column 4 of 4 columns"):
        ConllCorpus(file, columns=4, tag_column=4)


def test_files_lists_patterns_directories_and_compression(tmp_path: Path) -> None:
    for language in ("amh", "swa"):
        (tmp_path / language).mkdir()
        write(tmp_path / language / "train.txt", f"{language} O\n")
        write(tmp_path / language / "LICENSE.txt", "Do what you like\n")
    (tmp_path / "zz.conll.gz").write_bytes(gzip.compress(b"zipped O\n"))
    assert texts(ConllCorpus(tmp_path)) == [["amh"], ["swa"], ["zipped"]]
    assert texts(ConllCorpus([tmp_path / "swa", tmp_path / "amh" / "train.txt"])) == [["swa"], ["amh"]]
    assert texts(ConllCorpus(tmp_path / "*" / "train.txt")) == [["amh"], ["swa"]]
    with pytest.raises(DistillEmbError, match="nowhere"):
        conll_files([tmp_path / "nowhere"])


def test_limit_length_and_shuffling(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "".join(f"{n} O\n" + "x O\n" * (n == 3) + "\n" for n in range(20)))
    assert len(texts(ConllCorpus(file, limit=5))) == 5
    assert ["3", "x"] not in texts(ConllCorpus(file, max_length=1))
    assert ["3", "x"] in texts(ConllCorpus(file, max_length=2))
    shuffled = ConllCorpus(file, shuffle=True, seed=1)
    assert texts(shuffled) == texts(shuffled) != texts(ConllCorpus(file))
    assert sorted(texts(shuffled)) == sorted(texts(ConllCorpus(file)))
    assert texts(ConllCorpus(file, shuffle=True, seed=2)) != texts(shuffled)


def test_own_tokenisation(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "Abeba! B-PER\nni O\n")
    example = next(iter(ConllCorpus(file, gold_tokens=False)(spacy.blank("xx"))))
    assert [t.text for t in example.predicted] == ["Abeba", "!", "ni"]
    assert [t.text for t in example.reference] == ["Abeba!", "ni"]


def test_another_reader_can_follow(ner_file: Path, pos_file: Path) -> None:
    corpus = ConllCorpus(ner_file, more=ConllCorpus(pos_file, task="pos"))
    examples = list(corpus(spacy.blank("xx")))
    assert [e.reference.has_annotation("ENT_IOB") for e in examples] == [True] * 4 + [False] * 3
    assert [e.reference.has_annotation("TAG") for e in examples] == [False] * 4 + [True] * 3


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match="no sentence in"):
        list(ConllCorpus(write(tmp_path / "a.txt", "\n\n"))(spacy.blank("xx")))
    with pytest.raises(DistillEmbError, match="path is not set"):
        registry.resolve({"c": {"@readers": "distillemb.ConllCorpus.v1", "path": None}})
    with pytest.raises(DistillEmbError, match="task is 'chunk'"):
        ConllCorpus("x", task="chunk")
