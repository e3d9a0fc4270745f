"""The transfer recipe, run small: its corpus, its encoders, its arms, every task, and the tables."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillemb_plugins import DistillEmbError
from distillemb_plugins.data import tigrinya
from distillemb_plugins.teachers import Teacher, load_teacher, save_teacher, train_teacher
from recipes.results import read_results
from recipes.transfer import prepare, train

from .projects import read_project, run_project

CONLL = [
    "ጂናእ B-PER",
    "ኩክ I-PER",
    "ኣብ O",
    "ከተማ O",
    "",
    "ሓሙስ B-DATe",
    "ቻይና B-LO",
    "ምዕራብ",
    "ይብልO",
    "ገንዘብን IO",
    "",
    "ኣስመራ I-LOC",
    "። O",
    "",
    "ኣስመራ B-LOC",
    "፤ O",
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was unpacked on this machine before is found."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_corpus(folder: Path, lines: list[str]) -> Path:
    file = folder / "tasks" / "ner" / "tir-mehari" / "Tigrinya-NER-Dataset.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes("\r\n".join([*lines, ""]).encode())
    return file


# -- the Tigrinya corpus


def test_the_corpus_is_mended_and_every_repair_is_said(tmp_path: Path) -> None:
    corpus = tigrinya.read_corpus(write_corpus(tmp_path, CONLL))
    assert corpus.sentences == [
        [("ጂናእ", "B-PER"), ("ኩክ", "I-PER"), ("ኣብ", "O"), ("ከተማ", "O")],
        [("ሓሙስ", "B-DATE"), ("ቻይና", "B-LOC"), ("ምዕራብ", "O"), ("ይብል", "O"), ("ገንዘብን", "O")],
        [("ኣስመራ", "B-LOC"), ("።", "O")],
    ]
    assert corpus.dropped == 1  # the last sentence has the letters of the one before
    assert [line.split(",")[0] for line in corpus.mended] == [f"line {n}" for n in (6, 7, 8, 9, 10, 12)]
    assert "I- that continues nothing, read as B-LOC" in corpus.mended[-1]
    prepare.check(tmp_path, tmp_path / "results.jsonl")
    text = prepare.corpus_text(read_results(tmp_path / "results.jsonl"))
    assert "Repeated sentences dropped: 1." in text and "3 x misspelt tag" in text and "1 x no tag" in text


def test_a_corpus_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match=r"no file .*Tigrinya-NER-Dataset.txt: give --data"):
        tigrinya.tigrinya_corpus(tmp_path)
    file = write_corpus(tmp_path, ["ኣብ O", "ኣብ ከተማ O"])
    with pytest.raises(DistillEmbError, match="line 2: 3 columns"):
        tigrinya.read_corpus(file)


def test_the_split_is_by_sentence_and_always_the_same() -> None:
    sentences = [[(f"w{n}", "O")] for n in range(50)]
    parts = tigrinya.split(sentences)
    assert parts == tigrinya.split(sentences)
    assert {name: len(part) for name, part in parts.items()} == {"train": 35, "dev": 5, "test": 10}
    assert sorted(s[0][0] for part in parts.values() for s in part) == sorted(s[0][0] for s in sentences)
    assert parts != tigrinya.split(sentences, seed=1)


# -- encoders


def test_text_that_holds_a_test_sentence_is_left_out(tmp_path: Path) -> None:
    sentence = [(word, "O") for word in ["ኢትዮጵያ", "ናብ", "ኣስመራ", "መጺኡ", "ምስ", "ህዝቢ", "ተዘራሪቡ", "ኣሎ", "።"]]
    lines = [
        "ንሱ፡ ኢትዮጵያ፣ ናብ ኣስመራ መጺኡ ምስ ህዝቢ ተዘራሪቡ ኣሎ! ድሕሪኡ ከይዱ",  # inside a line, with other punctuation
        "ኣስመራ ጽብቕቲ ከተማ እያ",
        "ሰላም፡ ዓለም",
    ]
    (tmp_path / "raw.txt").write_text("\n".join(lines), "utf-8")
    short = [("ሰላም", "O"), ("ዓለም", "O")]
    left_out = prepare.clean_text([tmp_path / "raw.txt"], tmp_path / "out.txt", [sentence, short])
    assert left_out == 2
    assert (tmp_path / "out.txt").read_text("utf-8") == lines[1] + "\n"


@pytest.fixture
def two_languages(tmp_path: Path) -> Path:
    """luo has little text, swa much; "na" is commoner in swa by count, and as common by rate."""
    texts = {"luo": ["gi na", "gi gi"], "swa": ["na ya ya ya"] * 100}
    for language, lines in texts.items():
        file = tmp_path / "corpora" / language / "OPEN.x.txt"
        file.parent.mkdir(parents=True)
        file.write_text("\n".join(lines), "utf-8")
    vectors = np.eye(4, dtype=np.float32)
    (tmp_path / "teachers").mkdir()
    save_teacher(Teacher("t", ["gi", "na", "ya", "xx"], vectors), tmp_path / "teachers" / "afro11-fasttext.npz")
    return tmp_path


def test_a_language_is_left_out_by_the_rates_of_its_words(two_languages: Path) -> None:
    teacher = load_teacher(two_languages / "teachers" / "afro11-fasttext.npz")
    rates = prepare.word_rates(two_languages, teacher.words)
    assert {name: each.tolist() for name, each in rates.items()} == {
        "luo": [750_000, 250_000, 0, 0],
        "swa": [0, 250_000, 750_000, 0],
    }
    assert prepare.teacher_without(teacher, "luo", rates).words == ["na", "ya", "xx"]
    assert prepare.teacher_without(teacher, "swa", rates).words == ["gi", "na", "xx"]
    assert len(prepare.teacher_without(teacher, "all", rates)) == 4
    with pytest.raises(DistillEmbError, match="no language fra: choose from luo, swa"):
        prepare.teacher_without(teacher, "fra", rates)


def test_a_missing_teacher_is_said(tmp_path: Path) -> None:
    with pytest.raises(DistillEmbError, match=r"afro11-fasttext\.npz"):
        prepare.distill_without(tmp_path, ["luo"], tmp_path, 1, tmp_path / "r.jsonl")


# -- everything, small


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """The tiny data with a Tigrinya corpus, comments, and NER in Luo."""
    folder = tmp_path_factory.mktemp("transfer") / "data"
    shutil.copytree(tiny_data, folder)
    shutil.copytree(folder / "tasks" / "ner" / "masakhaner1" / "swa", folder / "tasks" / "ner" / "masakhaner1" / "luo")
    words = ["ሰላም", "ቤት", "ልጅ", "በሰላም", "ለቤት", "ልጅው"]
    lines = [f"{word}{n} B-LOC\r\n{word} O\r\n" for n in range(8) for word in words]
    write_corpus(folder, "\n".join(lines).splitlines())
    for language in ("tir", "luo"):
        text = folder / "corpora" / language / "OPEN.tico19.txt"
        text.parent.mkdir(parents=True)
        text.write_text("\n".join(" ".join(words) for _ in range(40)), "utf-8")
    comments = folder / "tasks" / "cls" / "tir" / "tigrigna_sentiment_dataset.csv"
    comments.parent.mkdir(parents=True)
    labels = ("positive", "negative", "neutral")
    rows = [f"{words[n % 6]} {words[n // 6 % 6]} {n},{labels[n % 3]}" for n in range(90)]
    comments.write_text("\n".join(["text,label", *rows]) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def work(data: Path, tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The teacher of Tigrinya, and encoders that stand for the distilled ones."""
    folder = tmp_path_factory.mktemp("work")
    sizes: dict[str, Any] = {"dim": 24, "epochs": 1, "buckets": 100, "min_count": 1}
    for language in ("amh", "tir"):
        prepare.teach_language(data, language, folder, [], **sizes)
    for name in ("amh", "tir", "all", "without-luo"):
        shutil.copytree(tiny_encoder_dir, folder / f"encoder-{name}")
    return folder


def test_every_task_is_trained_scored_and_put_into_the_tables(data: Path, work: Path, tmp_path: Path) -> None:
    results, readme, plot = tmp_path / "results.jsonl", tmp_path / "README.md", tmp_path / "shares.svg"
    run: dict[str, Any] = {"data": data, "seed": [0], "epochs": 1, "hidden": 4, "work": work, "results": results}
    systems = ["random", "amharic", "static"]
    train.train("ner", system=systems, share=[0.5, 1.0], **run)
    train.train("sentiment", system=systems[:1], share=[1.0], limit=20, **run)
    train.train("left-out", language=["luo"], system=["random", "without", "with"], **run)
    rows = {(row["task"], row["system"], row["share"]): row for row in read_results(results)}
    assert len(rows) == 6 + 1 + 3
    assert all(0 <= row["test_f1"] <= 100 and row["embedding_bytes"] > 0 for row in rows.values())
    assert rows["ner", "random", 0.5]["train_rows"] == round(rows["ner", "random", 1.0]["train_rows"] / 2)
    assert rows["sentiment", "random", 1.0]["train_rows"] == 20
    assert rows["ner", "static", 1.0]["embedding_bytes"] == (work / "tir-fasttext.bin").stat().st_size

    before = results.read_bytes()
    train.train("ner", system=["random"], share=[1.0], **run)  # a row that is there is not run again
    assert results.read_bytes() == before
    train.train("ner", system=["random"], share=[1.0], **(run | {"hidden": 8}))  # other settings are another row
    rows_with_other = read_results(results)
    assert len(rows_with_other) == 11
    assert [row["hidden"] for row in train.settled(rows_with_other)] == [4] * 10  # they are not mixed

    marks = ("corpus", "encoders", "ner", "sentiment", "left-out", "cost")
    readme.write_text("\n".join(f"<!-- {name} -->\n<!-- /{name} -->" for name in marks), "utf-8")
    train.write(results, readme)
    text = readme.read_text("utf-8")
    assert "| 81.97 / 85.12 / 85.96 |" in text and "| luo |" in text and "50 % of the data" in text
    assert "static fastText" in plot.read_text("utf-8")


def test_an_unknown_arm_or_a_missing_encoder_is_refused(data: Path, tmp_path: Path) -> None:
    run: dict[str, Any] = {"data": data, "seed": [0], "epochs": 1, "work": tmp_path, "results": tmp_path / "r.jsonl"}
    with pytest.raises(DistillEmbError, match="no system magic"):
        train.train("ner", system=["magic"], share=[1.0], **run)
    with pytest.raises(DistillEmbError, match=r"prepare\.py distill` first"):
        train.train("ner", system=["amharic"], share=[1.0], **run)
    with pytest.raises(DistillEmbError, match=r"prepare\.py distill-without` first"):
        train.train("left-out", language=["luo"], system=["without"], **run)


def test_distilling_writes_an_encoder_and_its_facts(tiny_teacher: Teacher, tmp_path: Path) -> None:
    sizes = {"channels": 8, "hidden": 16, "buckets": 100, "ngram_dim": 8}
    settings = {"encoder_args": sizes, "epochs": 1, "batch_size": 64}
    out, results = tmp_path / "encoder-one", tmp_path / "results.jsonl"
    facts = prepare.distill_into(tiny_teacher, out, results, **settings)
    assert facts["teacher_words"] == 300 and facts["bytes"] > 0 and -1 <= facts["cosine"] <= 1
    assert prepare.distill_into(tiny_teacher, out, results, epochs=50) == facts  # it is there
    assert "| one | 300 |" in train.encoder_table(read_results(results))


# -- systems


def test_random_weights_have_the_encoders_form_and_not_its_weights(tiny_encoder_dir: Path) -> None:
    import torch

    wanted = [("amharic", 0), ("random", 5), ("random", 5), ("random", 6)]
    made = [
        train.make_model("ner", system, tiny_encoder_dir, [], tigrinya.TAGS, head_hidden_size=4, seed=seed)[0]
        for system, seed in wanted
    ]
    weights = [model.distillemb.encoder.state_dict() for model in made]
    name = next(name for name, tensor in weights[0].items() if tensor.dim() > 1)
    assert weights[0].keys() == weights[1].keys()
    assert torch.equal(weights[1][name], weights[2][name])
    assert not torch.equal(weights[0][name], weights[1][name]) and not torch.equal(weights[1][name], weights[3][name])
    assert made[0].config.id2label == made[1].config.id2label == dict(enumerate(tigrinya.TAGS))


def test_the_static_system_holds_fasttexts_vectors_and_does_not_train_them(tmp_path: Path) -> None:
    import torch

    (tmp_path / "t.txt").write_text("\n".join(["ሰላም ቤት ልጅ በሰላም"] * 30), "utf-8")
    file = train_teacher(
        [tmp_path / "t.txt"], tmp_path / "t.bin", dim=8, epochs=1, buckets=50, threads=1, progress=False
    )
    model, tokenizer, size = train.make_model("ner", "static", file, ["ሰላም", "ለሰላም"], tigrinya.TAGS, head_hidden_size=4)
    assert size == file.stat().st_size
    rows = torch.from_numpy(tokenizer.characters.encode(["ሰላም", "ለሰላም", "unheard-of"]))[None]
    vectors = model.distillemb.encode_words(rows, torch.ones(1, 3, dtype=torch.bool))[0].detach().numpy()
    expected, _ = load_teacher(file).center().normalize().lookup(["ሰላም", "ለሰላም"])
    assert np.allclose(vectors[:2], expected, atol=1e-6) and expected[1].any() and not vectors[2].any()
    assert not any(p.requires_grad for p in model.distillemb.parameters())


def test_the_project_runs_small(data: Path, work: Path, tmp_path: Path) -> None:
    results, readme = tmp_path / "results.jsonl", tmp_path / "README.md"
    shutil.copy(train.RESULTS.with_name("README.md"), readme)
    some = "--system random --seed 0 --epochs 1 --hidden 4 --share 1.0 --language luo --limit 20"
    values = {"data": data, "work": work, "results": results, "readme": readme, "some": some}
    names = ["check", "teach", "ner", "sentiment", "left-out", "write_tables"]
    assert run_project(prepare.HERE, values, names) == len(names)
    assert {row["task"] for row in read_results(results)} == {"corpus", "ner", "sentiment", "left-out"}
    assert "| luo |" in readme.read_text("utf-8")
    commands = [command["name"] for command in read_project(prepare.HERE)["commands"]]
    assert read_project(prepare.HERE)["workflows"]["all"] == commands
