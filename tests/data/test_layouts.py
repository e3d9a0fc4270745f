"""The layouts of tagged files that are met: every reader gives the same words and tags, or the same refusal."""

from __future__ import annotations

import bz2
import gzip
import itertools
import lzma
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy

from distillemb_plugins.data.conll import read_sentences
from distillemb_plugins.data.layout import Layout
from distillemb_plugins.data.tagged import labels_of, named_tags, tagged_dataset
from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.spacy_plugin.readers import ConllCorpus
from distillemb_plugins.workflow import inputs as workflow

pytest.importorskip("datasets")
Pairs = list[list[tuple[str, str]]]
Read = Callable[[Path, str, dict[str, Any]], Pairs]

AMANI: Pairs = [[("Amani", "B-PER"), ("yuko", "O"), ("Kisumu", "B-LOC")]]
TWO: Pairs = [
    [("Amani", "B-PER"), ("Otieno", "I-PER"), ("yuko", "O"), ("Kisumu", "B-LOC")],
    [("Mji", "O"), ("wa", "O"), ("Dar", "B-LOC"), ("es", "I-LOC"), ("Salaam", "I-LOC"), ("Kisumu", "B-LOC")],
]
POS: Pairs = [[("mtoto", "NOUN"), ("yuko", "VERB")]]


def plain(path: Path, task: str, options: dict[str, Any]) -> Pairs:
    return [list(zip(s.words, s.tags, strict=True)) for s in read_sentences(path, Layout(task=task, **options))]


def in_spacy(path: Path, task: str, options: dict[str, Any]) -> Pairs:
    docs = [example.reference for example in ConllCorpus(path, task=task, **options)(spacy.blank("xx"))]
    if task == "pos":
        return [[(t.text, t.tag_) for t in doc] for doc in docs]
    iob = [[t.ent_iob_ + (f"-{t.ent_type_}" if t.ent_type_ else "") for t in doc] for doc in docs]
    return [list(zip([t.text for t in doc], tags, strict=True)) for doc, tags in zip(docs, iob, strict=True)]


def in_datasets(path: Path, task: str, options: dict[str, Any]) -> Pairs:
    split = tagged_dataset({"train": path}, task, **options)["train"]
    assert labels_of(split)
    return [list(zip(words, tags, strict=True)) for words, tags in zip(split["tokens"], named_tags(split), strict=True)]


def in_workflow(path: Path, task: str, options: dict[str, Any]) -> Pairs:
    """What a build writes and reads again, of three splits that are alike (and would be refused)."""
    splits = path.parent / "splits"
    splits.mkdir(exist_ok=True)
    for file in path.iterdir() if path.is_dir() else [path]:
        for name in workflow.SPLITS:
            shutil.copy(file, splits / f"{name}.{file.name}")
    keys = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "_LEAST", 1)
        patch.setattr(workflow, "sentence_key", lambda words: next(keys))
        workflow.prepare_tagged(splits, path.parent / "out", task, **options)
    return [list(zip(s.words, s.tags, strict=True)) for s in workflow.read_splits(path.parent / "out", task)["test"]]


READERS: dict[str, Read] = {"plain": plain, "spacy": in_spacy, "datasets": in_datasets, "workflow": in_workflow}
every_reader = pytest.mark.parametrize("reader", READERS)


def tabs(text: str) -> str:
    return text.replace(" ", "\t")


def one_a_line(*columns: str) -> str:
    """Sentences of `TWO`, with other tags."""
    words = [word for sentence in TWO for word, _ in sentence]
    rows = [f"{word} {tag}\n" for word, tag in zip(words, " ".join(columns).split(), strict=True)]
    return "".join(rows[:4]) + "\n" + "".join(rows[4:])


ROWS = "Amani NNP B-NP B-PER\nyuko VBZ B-VP O\nKisumu NNP B-NP B-LOC\n"
UNER = "# sent_id = a1\n# text = Amani yuko Kisumu\n1\tAmani\tB-PER\t-\tx\n2\tyuko\tO\t-\tx\n3\tKisumu\tB-LOC\t-\tx\n\n"
GERMEVAL = "#\thttp://de.example.org [2010-01-03]\n1\tAmani\tB-PER\tO\n2\tyuko\tO\tO\n3\tKisumu\tB-LOC\tB-ORG\n\n"
MULTICONER = "# id 5239d808 domain=en\nAmani _ _ B-PER\nyuko _ _ O\nKisumu _ _ B-LOC\n"

# name -> text, what is read, options
LAYOUTS: dict[str, tuple[str, Pairs, dict[str, Any]]] = {
    "two columns": ("Amani B-PER\nyuko O\nKisumu B-LOC\n", AMANI, {}),
    "tabs": (tabs("Amani B-PER\nyuko O\nKisumu B-LOC\n"), AMANI, {}),
    "no final line end, BOM, CRLF": ("\ufeffAmani B-PER\r\nyuko O\r\nKisumu B-LOC", AMANI, {}),
    "blank lines": ("\n\n  \nAmani B-PER\nyuko O\nKisumu B-LOC\n\t\n\n\n", AMANI, {}),
    "aligned": ("Amani      B-PER\nyuko       O\nKisumu     B-LOC\n", AMANI, {}),
    "aligned by tabs": (
        "Amani\t\tB-PER\nyuko\t\tO\nKisumukisumu\tB-LOC\n",
        [[*AMANI[0][:2], ("Kisumukisumu", "B-LOC")]],
        {},
    ),
    "tabs and spaces": ("Amani \t B-PER\nyuko  \tO\nKisumu\t  B-LOC\n", AMANI, {}),
    "no-break space": ("Amani\u00a0Otieno B-PER\nyuko O\n", [[("Amani\u00a0Otieno", "B-PER"), ("yuko", "O")]], {}),
    "space in a word": ("Dar es Salaam\tB-LOC\nni\tO\n", [[("Dar es Salaam", "B-LOC"), ("ni", "O")]], {}),
    "tag first": ("B-PER Amani\nO yuko\nB-LOC Kisumu\n", AMANI, {}),
    "tag first, named": ("B-PER Amani\nO yuko\nB-LOC Kisumu\n", AMANI, {"tag_column": 0}),
    "CoNLL-2003": (f"-DOCSTART- -X- -X- O\n\n{ROWS}", AMANI, {}),
    "CoNLL-2003, no blank line": (f"-DOCSTART- -X- O O\n{ROWS}-DOCSTART- -X- O O\n{ROWS}", AMANI * 2, {}),
    "CoNLL-2003, counted": (ROWS, AMANI, {"columns": 4}),
    "CoNLL-2002": ("-DOCSTART- -DOCSTART- O\nAmani N B-PER\nyuko V O\nKisumu N B-LOC\n", AMANI, {}),
    "CoNLL-2003, German": ("Amani x NE I-NC I-PER\nyuko y V I-VC O\nKisumu z NE I-NC I-LOC\n", AMANI, {}),
    "OntoNotes types": ("Amani NNP B-WORK_OF_ART\n2-1 CD O\n", [[("Amani", "B-WORK_OF_ART"), ("2-1", "O")]], {}),
    "UNER": (UNER, AMANI, {}),
    "UNER, named": (UNER, AMANI, {"word_column": 1, "tag_column": 2}),
    "GermEval": (GERMEVAL, AMANI, {}),
    "GermEval, inner": (GERMEVAL, [[("Amani", "O"), ("yuko", "O"), ("Kisumu", "B-ORG")]], {"tag_column": 3}),
    "MultiCoNER": (MULTICONER, AMANI, {}),
    "numbered from 0": (tabs("0 Amani B-PER\n1 yuko O\n2 Kisumu B-LOC\n"), AMANI, {}),
    "CoNLL-U Plus": (
        "# global.columns = ID FORM NER\n# text = x\n"
        + tabs("1 Amani B-PER\n2-3 yukoKisumu _\n2 yuko O\n2.1 x _\n3 Kisumu B-LOC\n"),
        AMANI,
        {},
    ),
    "hash words": (
        "Amani O\n# O\n#Kenya B-LOC\n\n# B-PER\n",
        [[("Amani", "O"), ("#", "O"), ("#Kenya", "B-LOC")], [("#", "B-PER")]],
        {},
    ),
    "hash words only": ("#a O\n# B-PER\n", [[("#a", "O"), ("#", "B-PER")]], {}),
    "comments before sentences": ("# newdoc\n\n# text = a\nAmani B-PER\nyuko O\nKisumu B-LOC\n\n# end\n", AMANI, {}),
    "comments everywhere": ("# O\nAmani B-PER\n# O\nyuko O\nKisumu B-LOC\n", AMANI, {"comments": True}),
    "IOB1": (one_a_line("I-PER I-PER O I-LOC", "O O I-LOC I-LOC I-LOC B-LOC"), TWO, {}),
    "IOB1, named": (one_a_line("I-PER I-PER O I-LOC", "O O I-LOC I-LOC I-LOC B-LOC"), TWO, {"scheme": "IOB1"}),
    "IOB2": (one_a_line("B-PER I-PER O B-LOC", "O O B-LOC I-LOC I-LOC B-LOC"), TWO, {"scheme": "bio"}),
    "BIOES": (one_a_line("B-PER E-PER O S-LOC", "O O B-LOC I-LOC E-LOC S-LOC"), TWO, {}),
    "BIOES, named": (one_a_line("B-PER E-PER O S-LOC", "O O B-LOC I-LOC E-LOC S-LOC"), TWO, {"scheme": "IOBES"}),
    "BILOU": (one_a_line("B-PER L-PER O U-LOC", "O O B-LOC I-LOC L-LOC U-LOC"), TWO, {}),
    "BILOU, named": (one_a_line("B-PER L-PER O U-LOC", "O O B-LOC I-LOC L-LOC U-LOC"), TWO, {"scheme": "BILUO"}),
    "BMES": (one_a_line("B-PER E-PER O S-LOC", "O O B-LOC M-LOC E-LOC S-LOC"), TWO, {}),
    "underscore": (one_a_line("B_PER I_PER O B_LOC", "O O B_LOC I_LOC I_LOC B_LOC"), TWO, {}),
    "suffix": (one_a_line("PER-B PER-I O LOC-B", "O O LOC-B LOC-I LOC-I LOC-B"), TWO, {}),
    "lower case": (one_a_line("b-PER i-PER o b-LOC", "o o b-LOC i-LOC i-LOC b-LOC"), TWO, {}),
    "IO": ("Amani I-PER\nOtieno I-PER\nyuko O\n", [TWO[0][:3]], {}),
    "IO, bare": ("Amani PER\nOtieno PER\nyuko O\n", [TWO[0][:3]], {"scheme": "IO"}),
}
POS_LAYOUTS: dict[str, tuple[str, Pairs, dict[str, Any]]] = {
    "two columns": ("mtoto NOUN\nyuko VERB\n", POS, {}),
    "tag first": ("NOUN mtoto\nVERB yuko\n", POS, {}),
    "three columns": ("mtoto x NOUN\nyuko y VERB\n", POS, {}),
    "own tags": ("mtoto N\nyuko V\n", [[("mtoto", "N"), ("yuko", "V")]], {"labels": frozenset("NV")}),
    "CoNLL-U": (tabs("1 mtoto x NOUN _ _ 0 root _ _\n2 yuko x VERB _ _ 1 x _ _\n"), POS, {}),
    "CoNLL-U, old options": (
        tabs("1 mtoto x NOUN _ _ 0 root _ _\n2 yuko x VERB _ _ 1 x _ _\n"),
        POS,
        {"tag_column": -1},
    ),
    "CoNLL-U with spaces": ("1 mtoto x NOUN _ _ 0 root _ _\n2 yuko x VERB _ _ 1 x _ _\n", POS, {}),
    "CoNLL-U, XPOS": (
        tabs("1 mtoto x NOUN N _ 0 root _ _\n2 yuko x VERB V _ 1 x _ _\n"),
        [[("mtoto", "N"), ("yuko", "V")]],
        {"tag_column": 4, "labels": frozenset("NV")},
    ),
    "CoNLL-U Plus": ("# global.columns = ID FORM UPOS UPOS2\n1 mtoto NOUN X\n2 yuko VERB X\n", POS, {}),
    "CoNLL-U, odd places": (
        "\ufeff\r\n# text = mtoto yuko\r\n\r\n# a\r\n"
        + tabs("0.1 x _ _ _ _ _ _ _ _\r\n1 mtoto x NOUN _ _ 0 root _ _\r\n")
        + "# within\r\n"
        + tabs("1.1 x _ _ _ _ _ _ _ _\r\n2 yuko x VERB _ _ 1 x _ _\r\n")
        + "# after",
        POS,
        {},
    ),
}


@every_reader
@pytest.mark.parametrize("name", LAYOUTS)
def test_entities_are_read_alike(tmp_path: Path, reader: str, name: str) -> None:
    text, expected, options = LAYOUTS[name]
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert READERS[reader](tmp_path / "a.txt", "ner", options) == expected


@every_reader
@pytest.mark.parametrize("name", POS_LAYOUTS)
def test_parts_of_speech_are_read_alike(tmp_path: Path, reader: str, name: str) -> None:
    text, expected, options = POS_LAYOUTS[name]
    if "labels" in options and reader == "workflow":
        pytest.skip("a build takes universal tags only")
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert READERS[reader](tmp_path / "a.txt", "pos", options) == expected


U = "1\ta\ta\tNOUN\t_\t_\t0\troot\t_\t_\n"
# name -> task, text, options, what is said
MALFORMED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "one column": ("ner", "Amani\nyuko\n", {}, "line 1: 1 column where"),
    "a line cut": ("ner", "a O\nb\nc O\n", {}, "line 2: 1 columns where 2"),
    "a line too long": ("ner", "a O\n\nb c O\nd O\n", {}, "line 3: 3 columns where 2"),
    "late": ("ner", "a O\n" * 300 + "b c O\n", {}, "line 301: 3 columns where 2"),
    "late tag": ("ner", "a O\n" * 300 + "b BPER\n", {}, "line 301: unknown tag 'BPER'"),
    "tag first, late": ("ner", "O a\n" * 300 + "PER b\n", {}, "line 301: unknown tag 'PER'"),
    "before the cut": ("ner", "a O\nb IO\nc\n", {}, "line 2: unknown tag 'IO'"),
    "tag first, last named": ("ner", "B-PER Amani\nO yuko\n", {"tag_column": 1}, "line 1: unknown tag 'Amani'"),
    "empty column": ("ner", "a\tx\tO\nb\t\tO\n", {}, "line 2: column 1 is empty"),
    "empty column, always": ("ner", "a\t\tO\nb\t\tO\n", {}, "line 1: column 1 is empty"),
    "no type": ("ner", "a O\nb B-\n", {}, "line 2: unknown tag 'B-'"),
    "two layers": ("ner", "a B-X B-PER\nb O O\n", {}, "columns 1 and 2 all hold tags: .* tag_column"),
    "all are tags": ("ner", "O O\nO O\n", {}, "columns 0 and 1 all hold tags: .* tag_column"),
    "bare types": ("ner", "Amani PERSON\nyuko O\n", {}, "unknown tag 'PERSON'.* scheme = 'IO'"),
    "brackets": ("ner", "x 0 Amani NNP (PER*\nx 0 b NN *)\n", {}, "one tag a word instead of brackets"),
    "words in doubt": ("ner", "B-X a b\nO c d\n", {}, "say word_column"),
    "a constant column": ("ner", "doc a NN O\n" * 12, {}, "say word_column"),
    "numbers in doubt": ("ner", "1 Amani B-PER\n\n1 yuko O\n", {}, "say word_column"),
    "numbers break": ("ner", "1 a O\n2 b O\n4 c O\n", {}, "line 3: '4' in column 0 does not number"),
    "running numbers": ("ner", "7 a O\n8 b O\n\n9 c O\n", {}, "column 0 holds numbers only"),
    "no such column": ("ner", "a O\n", {"tag_column": 2}, "tag_column 2 of 2 columns does not exist"),
    "no such word column": ("ner", "a O\n", {"word_column": 5}, "word_column 5 of 2 columns does not exist"),
    "word is tag": ("ner", "a O\n", {"word_column": 1, "tag_column": -1}, "column 1 holds the tags"),
    "hash inside": ("ner", "a O\n# what now\nb O\n", {}, "line 2 begins with #.*comments = true"),
    "hash word": ("ner", "#Kenya BLOC\na O\n", {}, "line 1 begins with #.*comments = true"),
    "hash tag": ("ner", "# B-\na O\n", {}, "line 1 begins with #.*comments = true"),
    "hash scheme": ("ner", "a B-X\n\n# E-X\n", {}, "line 1: the tag 'B-X' breaks the scheme BIOES"),
    "mixed schemes": ("ner", "a S-X\nb B-X\nc E-X\nd U-X\n", {}, "line 4: the tag 'U-X' is of another scheme"),
    "mixed styles": ("ner", "a B-X\nb B_X\n", {}, "line 2: unknown tag 'B_X'"),
    "not the scheme": ("ner", "a B-X\nb E-X\n", {"scheme": "IOB2"}, "line 2: .*'E-X'.*say scheme = 'BIOES'"),
    "not IO": ("ner", "a B-X\nb I-X\n", {"scheme": "IO"}, "line 1: .*'B-X'.*say scheme = 'IOB2'"),
    "not IOB1": ("ner", "a O\nb B-X\n", {"scheme": "IOB1"}, "line 2: the tag 'B-X' breaks the scheme IOB1"),
    "no end": ("ner", "a B-X\nb O\nc S-X\n", {}, "line 2: the tag 'O' breaks the scheme BIOES: the entity X"),
    "no end at the end": ("ner", "a S-X\nb B-X\n\nc O\n", {}, "line 2: the tag 'B-X' breaks .* no end in its"),
    "no beginning": ("ner", "a O\nb L-X\n", {}, "line 2: the tag 'L-X' breaks the scheme BILOU: no entity X"),
    "another type": ("ner", "a B-X\nb I-Y\nc L-Y\n", {}, "line 2: the tag 'I-Y' breaks the scheme BILOU"),
    "type not allowed": ("ner", "a B-X\n", {"labels": frozenset(["Y"])}, "line 1: unknown tag 'B-X'.*add X to labels"),
    "unknown scheme": ("ner", "a O\n", {"scheme": "BIX"}, "scheme is 'BIX': say one of IOB1"),
    "scheme of pos": ("pos", "a X\n", {"scheme": "IOB1"}, "leave it out"),
    "words": ("pos", U, {"words": "both"}, "say 'syntactic' or 'surface'"),
    "unknown pos": ("pos", "a NP\n", {}, "line 1: unknown tag 'NP'.*labels"),
    "no entities": ("ner", U, {}, 'task = "pos"'),
    "conllu: columns": ("pos", U + U.replace("\t_\n", "\n").replace("1", "2"), {}, "line 2: 9 columns where"),
    "conllu: id": ("pos", U + U.replace("1\t", "3\t"), {}, "line 2: the ID 3 does not follow 1"),
    "conllu: no blank line": ("pos", U + U, {}, "line 2: the ID 1 does not follow 1"),
    "conllu: no id": ("pos", U + U.replace("1\t", "x\t"), {}, "line 2: the ID 'x'"),
    "conllu: range cut": ("pos", U.replace("1\t", "1-2\t") + U, {}, "line 1: the range 1-2 goes past the last word"),
    "conllu: range late": ("pos", U + U.replace("1\t", "1-2\t"), {}, "line 2: the range 1-2 does not begin"),
    "conllu: ranges overlap": (
        "pos",
        U.replace("1\t", "1-2\t") + U + U.replace("1\t", "2-3\t"),
        {},
        "line 3: the range 2-3 does not begin",
    ),
    "conllu: range backward": ("pos", U + U.replace("1\t", "2-1\t"), {}, "line 2: the range 2-1"),
    "conllu: empty node": ("pos", U + U.replace("1\t", "2.1\t"), {}, "line 2: the ID 2.1 of an empty node"),
    "conllu: feats": ("pos", U + "\n" + U.replace("_\t_\t0", "_\tSing\t0"), {}, "line 3: the FEATS 'Sing'"),
    "conllu: empty": ("pos", U + "\n" + U.replace("NOUN", ""), {}, "line 3: the column UPOS is empty"),
    "conllu: tag": ("pos", U + "\n" + U.replace("NOUN", "NN"), {}, "line 3: unknown tag 'NN'"),
}


@every_reader
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused_alike(tmp_path: Path, reader: str, name: str) -> None:
    task, text, options, message = MALFORMED[name]
    (tmp_path / "a.txt").write_bytes(text.encode())
    with pytest.raises(DistillEmbError, match=message):
        READERS[reader](tmp_path / "a.txt", task, options)


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "a.conll": lambda raw: raw,
    "a.iob2.gz": gzip.compress,
    "a.tsv.xz": lzma.compress,
    "a.txt.bz2": bz2.compress,
}


@every_reader
@pytest.mark.parametrize("name", [*PACKINGS, "a.conll.zip"])
@pytest.mark.parametrize("folder", [False, True])
def test_packed_files_and_folders_are_read_and_refused_alike(
    tmp_path: Path, reader: str, name: str, folder: bool
) -> None:
    if folder and reader in ("plain", "datasets"):
        pytest.skip("takes files only")
    file = tmp_path / "in" / name
    file.parent.mkdir()

    def put(text: str) -> Path:
        if name.endswith(".zip"):
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("a.conll", text)
        else:
            file.write_bytes(PACKINGS[name](text.encode()))
        return file.parent if folder else file

    assert READERS[reader](put(UNER), "ner", {}) == AMANI
    with pytest.raises(DistillEmbError, match=f"{name}, line 4: unknown tag 'IO'"):
        READERS[reader](put(UNER.replace("O\t-", "IO\t-")), "ner", {})
    with pytest.raises(DistillEmbError, match=f"{name}, line 1: the FEATS"):
        READERS[reader](put(U.replace("_\t_\t0", "_\tSing\t0")), "pos", {})


# A refusal of `MALFORMED`, the options that it names, and what is read with them
ADVICE: list[tuple[str, dict[str, Any], Pairs]] = [
    ("two layers", {"tag_column": 2}, [[("a", "B-PER"), ("b", "O")]]),
    ("all are tags", {"tag_column": 1}, [[("O", "O"), ("O", "O")]]),
    ("bare types", {"scheme": "IO"}, [[("Amani", "B-PERSON"), ("yuko", "O")]]),
    ("words in doubt", {"word_column": 1}, [[("a", "B-X"), ("c", "O")]]),
    ("a constant column", {"word_column": 1}, [[("a", "O")] * 12]),
    ("numbers in doubt", {"word_column": 1}, [[("Amani", "B-PER")], [("yuko", "O")]]),
    ("numbers break", {"word_column": 1}, [[("a", "O"), ("b", "O"), ("c", "O")]]),
    ("running numbers", {"word_column": 1}, [[("a", "O"), ("b", "O")], [("c", "O")]]),
    ("hash inside", {"comments": True}, [[("a", "O"), ("b", "O")]]),
    ("hash word", {"comments": True}, [[("a", "O")]]),
    ("hash tag", {"comments": True}, [[("a", "O")]]),
    ("not the scheme", {"scheme": "BIOES"}, [[("a", "B-X"), ("b", "I-X")]]),
    ("not the scheme", {"scheme": None}, [[("a", "B-X"), ("b", "I-X")]]),
    ("not IO", {"scheme": "IOB2"}, [[("a", "B-X"), ("b", "I-X")]]),
    ("unknown scheme", {"scheme": "IOB1"}, [[("a", "O")]]),
    ("type not allowed", {"labels": frozenset("XY")}, [[("a", "B-X")]]),
    ("unknown pos", {"labels": frozenset(["NP"])}, [[("a", "NP")]]),
    ("scheme of pos", {"scheme": None}, [[("a", "X")]]),
    ("words", {"words": "surface"}, [[("a", "NOUN")]]),
]


@every_reader
@pytest.mark.parametrize(("name", "options", "expected"), ADVICE)
def test_the_advice_leads_out(tmp_path: Path, reader: str, name: str, options: dict[str, Any], expected: Pairs) -> None:
    task, text, given, _ = MALFORMED[name]
    if task == "pos" and "labels" in options and reader == "workflow":
        pytest.skip("a build takes universal tags only")
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert READERS[reader](tmp_path / "a.txt", task, given | options) == expected


def test_iob1_is_not_repaired_and_stray_tags_of_iob2_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "distillemb")
    (tmp_path / "a.txt").write_text("a I-X\nb B-X\n\nc I-X\n")
    plain(tmp_path / "a.txt", "ner", {})
    assert not caplog.records, "IOB1 marks so"
    (tmp_path / "a.txt").write_text("a I-X\n\nb O\nc B-X\n")
    assert plain(tmp_path / "a.txt", "ner", {}) == [[("a", "B-X")], [("b", "O"), ("c", "B-X")]]
    assert "1 I- tags without a B- before them read as B-" in caplog.text


RANGE = """# text = mtoto (wanampa)
1\tmtoto\tmtoto\tNOUN\t_\t_\t0\troot\t_\t_
2\t(\t(\tPUNCT\t_\t_\t3\tpunct\t_\tSpaceAfter=No
3-4\twanampa\twanampa\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
3\twana\twana\tAUX\t_\t_\t4\taux\t_\t_
4\tmpa\tmpa\tVERB\tV\tMood=Ind\t1\tdep\t_\t_
5\t)\t)\tPUNCT\t_\t_\t3\tpunct\t_\t_
"""


def spacy_doc(file: Path, words: str) -> spacy.tokens.Doc:
    return next(iter(ConllCorpus(file, task="pos", words=words)(spacy.blank("xx")))).reference


def test_words_of_a_range_give_the_text(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    file = tmp_path / "a.conllu"
    file.write_text(RANGE, "utf-8")
    doc = spacy_doc(file, "syntactic")
    assert doc.text == "mtoto (wanampa)"
    assert [t.text for t in doc] == ["mtoto", "(", "wana", "mpa", ")"]
    doc = spacy_doc(file, "surface")
    assert doc.text == "mtoto (wanampa)"
    assert [(t.text, t.pos_) for t in doc] == [("mtoto", "NOUN"), ("(", "PUNCT"), ("wanampa", "VERB"), (")", "PUNCT")]
    assert str(doc[2].morph) == "Mood=Ind"
    assert not recwarn.list


def test_words_that_do_not_give_the_text_are_counted(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    file = tmp_path / "a.conllu"
    other = RANGE.replace("\twana\t", "\twanna\t")
    file.write_text(f"{RANGE}\n{other}\n{RANGE}", "utf-8")
    with pytest.warns(UserWarning, match=r"1 of 3 sentences \(the first at line 9\) .* # text; say words = 'surface'"):
        docs = [e.reference for e in ConllCorpus(file, task="pos")(spacy.blank("xx"))]
    assert docs[1].text == "mtoto (wanna mpa)", "words that the text has not are kept apart"
    recwarn.clear()
    texts = {e.reference.text for e in ConllCorpus(file, task="pos", words="surface")(spacy.blank("xx"))}
    assert (texts, recwarn.list) == ({"mtoto (wanampa)"}, [])
    file.write_text("# text = ab\n" + U, "utf-8")
    with pytest.warns(UserWarning, match="1 of 1 sentences .* mend SpaceAfter=No"):
        plain(file, "pos", {})


def test_a_missing_tag_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(U.replace("NOUN", "_"))
    assert plain(tmp_path / "a.conllu", "pos", {}) == [[("a", "")]]
    with pytest.warns(UserWarning, match="1 words without a tag get the tag X"):
        assert in_datasets(tmp_path / "a.conllu", "pos", {}) == [[("a", "X")]]
    assert in_workflow(tmp_path / "a.conllu", "pos", {}) == [[("a", "X")]]
