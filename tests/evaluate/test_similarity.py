"""Pair files in every form, and what their scores count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from distillemb_plugins.errors import DistillEmbError
from distillemb_plugins.evaluate.models import EmbeddingModel
from distillemb_plugins.evaluate.similarity import (
    PairSet,
    known_pairs,
    lookup_phrases,
    pair_similarities,
    read_pair_sets,
    read_pairs,
    score_similarity,
    spearman,
)
from distillemb_plugins.teachers import Teacher

WANTED = [("gem", "jewel"), ("noon", "string")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tab.txt", "gem\tjewel\t3.94\r\nnoon\tstring\t0.08\r\n"),
        ("space.txt", "gem jewel 3.94\n\nnoon string 0.08\n"),
        ("comma.csv", "Word 1,Word 2,Human (mean)\ngem,jewel,3.94\nnoon,string,.08\n"),
        ("bom.csv", "\ufeffgem,jewel,3.94\nnoon,string,0.08\n"),
        ("semicolon.csv", "gem;jewel;3.94\nnoon;string;0.08\n"),
        ("ratings.tsv", "# comment\ngem\tjewel\t3.94\t4\t3\nnoon\tstring\t0.08\t0\t1\n"),
        ("simlex.txt", "word1\tword2\tPOS\tSimLex999\tconc\ngem\tjewel\tN\t3.94\t9\nnoon\tstring\tN\t0.08\t8\n"),
        ("relation.csv", "w1,w2,relation,score\ngem,jewel,syn,3.94\nnoon,string,none,0.08\n"),
        ("first.csv", "relation,w1,w2,score\nsyn,gem,jewel,3.94\nnone,noon,string,0.08\n"),
        ("order.tsv", "score\tword_1\tword_2\n3.94\tgem\tjewel\n0.08\tnoon\tstring\n"),
        ("raters.csv", "id,word1,word2,rating1,rating2,mean,std\n1,gem,jewel,3,5,3.94,1\n2,noon,string,0,0,0.08,0\n"),
        ("own.csv", "Ọ̀rọ̀ 1,Ọ̀rọ̀ 2,irú,iye\ngem,jewel,x,3.94\nnoon,string,y,0.08\n"),
        ("unnamed.csv", "from,to,value\ngem,jewel,3.94\nnoon,string,0.08\n"),
        ("simverb.txt", "gem\tjewel\tN\t3.94\tSYN\nnoon\tstring\tN\t0.08\tNONE\n"),
        ("title.csv", "My pairs\nword1,word2,score\ngem,jewel,3.94\nnoon,string,0.08\n"),
        ("translated.csv", "S/N,English1,English2,Own1,Own2,EngSim\n1,x,y,gem,jewel,3.94\n2,x,z,noon,string,0.08\n"),
    ],
)
def test_reads_every_form(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8", newline="")
    pairs = read_pairs(tmp_path / name)
    assert pairs.pairs == WANTED
    np.testing.assert_allclose(pairs.scores, [3.94, 0.08])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("gem jewel 3.9\nnoon string\n", "line 2 is not a pair"),
        ("gem jewel 3.9\nnoon string high\n", "line 2 is not a pair"),
        ("gem jewel 3.9\nnoon string nan\n", "line 2 is not a pair"),
        ("word1 word2 score\n", "holds no pairs"),
        ("", "holds no pairs"),
    ],
)
def test_refuses_bad_lines(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(DistillEmbError, match=complaint):
        read_pairs(tmp_path / "pairs.txt")


UNCLEAR = {
    "words": ("a,b,c,score\nsyn,gem,jewel,3.94\nnone,noon,string,0.08\n", r"3 columns \(a, b, c\) could be the words"),
    "score": ("w1,w2,x,y\ngem,jewel,3.94,4\nnoon,string,0.08,1\n", r"2 columns \(x, y\) could be the score"),
    "raters": ("w1,w2,rating1,rating2\ngem,jewel,3.94,4\nnoon,string,0.08,1\n", "2 columns .* could be the score"),
    "short header": ("word1,word2,score\ngem,jewel,3.94,4\nnoon,string,0.08,1\n", "3 columns are named, but 4"),
    "no header": ("syn,gem,jewel,3.94\nsyn,noon,string,0.08\n", "3 columns before the score could be the words"),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_unclear_columns_are_refused_and_naming_them_helps(tmp_path: Path, case: str) -> None:
    text, message = UNCLEAR[case]
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(DistillEmbError, match=message) as caught:
        read_pairs(path)
    assert str(caught.value).endswith("name the columns word1, word2 and score in a first line.")
    lines = text.splitlines()
    rows = lines if case == "no header" else lines[1:]
    header = ["x"] * len(rows[0].split(","))
    at = rows[0].split(",").index("gem")
    header[at : at + 3] = ["word1", "word2", "score"]
    path.write_text("\n".join([",".join(header), *rows]))
    assert read_pairs(path).pairs == WANTED


def test_a_pair_without_a_score_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("word1,word2,score\ngem,jewel,high\nnoon,string,0.08\n")
    with pytest.raises(DistillEmbError, match="line 2 is not a pair"):
        read_pairs(tmp_path / "p.csv")


def test_folder_order_labels_and_choice(tmp_path: Path) -> None:
    for name in ("EN-WS-353-ALL.txt", "EN-WS-353-SIM.txt", "EN-RG-65.txt", "wordSim353_yo.csv", "README.txt"):
        (tmp_path / name).write_text("a b 1\nc d 2\n" if not name.endswith("csv") else "a,b,1\n")
    labels = [one.label for one in read_pair_sets(tmp_path)]
    assert labels == ["RG-65", "WordSim-353", "WS-353-SIM", "wordSim353_yo"]
    assert [one.name for one in read_pair_sets(tmp_path, ["rg-65", "en-ws*sim"])] == ["EN-RG-65", "EN-WS-353-SIM"]
    with pytest.raises(DistillEmbError, match="matches nothing-like-it: there are EN-RG-65"):
        read_pair_sets(tmp_path, ["nothing-like-it"])


def test_scores_equal_scipy_and_gensim(tmp_path: Path) -> None:
    keyed_vectors = pytest.importorskip("gensim.models").KeyedVectors(8)
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    table = random.normal(size=(40, 8)).astype(np.float32)
    keyed_vectors.add_vectors(words, table)
    lines = [f"{a}\t{b}\t{random.random():.4f}" for a, b in zip(words[:20], words[20:], strict=True)]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines))
    pairs = read_pairs(tmp_path / "pairs.tsv")
    lookup = Teacher("t", words, table).lookup
    score = score_similarity(lookup, [pairs]).sets[0].spearman
    cosines = [float(keyed_vectors.similarity(a, b)) for a, b in pairs.pairs]
    assert score == pytest.approx(spearmanr(cosines, pairs.scores).statistic)
    assert score == pytest.approx(keyed_vectors.evaluate_word_pairs(str(tmp_path / "pairs.tsv"))[1].statistic)


def test_unknown_words_count_as_zero_or_are_left_out(plane: EmbeddingModel) -> None:
    pairs = [("man", "woman"), ("king", "queen"), ("man", "apple"), ("man", "nobody"), ("apple", "pear")]
    one = PairSet("p", "p", pairs, np.array([7.0, 8.0, 1.0, 9.0, 9.5]))
    similarities, known = pair_similarities(plane.lookup, pairs)
    assert known.tolist() == [True, True, True, False, True]
    assert similarities[3] == 0.0
    every = score_similarity(plane.lookup, [one]).sets[0]
    assert (every.pairs, every.scored, every.oov) == (5, 5, 1)
    kept = score_similarity(plane.lookup, [one], known_pairs(plane.lookup, [one])).sets[0]
    assert (kept.pairs, kept.scored, kept.oov) == (5, 4, 1)
    assert kept.spearman == pytest.approx(1.0)
    assert every.spearman is not None and every.spearman < 0.9


def test_subwords_make_words_known() -> None:
    teacher = Teacher(
        "t", ["a"], np.ones((1, 2), np.float32), subwords=lambda words: np.full((len(words), 2), 0.5, np.float32)
    )
    assert pair_similarities(teacher.lookup, [("a", "never")])[1].all()


def test_extra_table_serves_missing_words_only(plane_teacher: Teacher) -> None:
    extra = Teacher("extra", ["man", "prince"], np.array([[9, 9], [2, 0]], dtype=np.float32))
    vectors, known = EmbeddingModel.from_table(plane_teacher, extra).lookup(["man", "prince", "nobody"])
    np.testing.assert_allclose(vectors, [[1, 0], [2, 0], [0, 0]])
    assert known.tolist() == [True, True, False]
    with pytest.raises(DistillEmbError, match="3 dimensions"):
        EmbeddingModel.from_table(plane_teacher, Teacher("e", ["x"], np.ones((1, 3), np.float32)))


def test_lower_case_tables_are_asked_in_lower_case(plane: EmbeddingModel) -> None:
    assert plane.lookup(["King"])[1].all()
    cased = EmbeddingModel.from_table(Teacher("c", ["King"], np.ones((1, 2), np.float32)))
    assert cased.lookup(["King", "king"])[1].tolist() == [True, False]


def test_phrases_are_means(plane: EmbeddingModel) -> None:
    vectors, known = lookup_phrases(plane.lookup, ["man woman", "king", "man nobody"])
    np.testing.assert_allclose(vectors[:2], [[1, 0.5], [3, 0.1]], rtol=1e-6)
    assert known.tolist() == [True, True, False]


def test_mean_is_over_the_five_when_all_are_there(plane: EmbeddingModel) -> None:
    pairs = [("man", "woman"), ("king", "queen"), ("man", "apple"), ("apple", "pear")]
    good, bad = np.array([2.0, 3.0, 1.0, 4.0]), np.array([3.0, 2.0, 4.0, 1.0])
    labels = ["RG-65", "MC-30", "WordSim-353", "MEN", "Rare Words", "other"]
    sets = [PairSet(label, label, pairs, bad if label == "other" else good) for label in labels]
    five = score_similarity(plane.lookup, sets)
    assert five.mean == pytest.approx(1.0)
    assert "other" not in five.mean_of
    assert score_similarity(plane.lookup, sets[3:]).mean == pytest.approx(1 / 3)


def test_no_score_rather_than_a_wrong_one(plane: EmbeddingModel) -> None:
    assert spearman(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    assert spearman(np.zeros(5), np.arange(5.0)) is None
    unknown = PairSet("u", "u", [("x", "y"), ("y", "z"), ("x", "z")], np.arange(3.0))
    score = score_similarity(plane.lookup, [unknown])
    assert score.sets[0].spearman is None
    assert score.mean is None
