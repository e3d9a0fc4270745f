"""The report of a build, from what ``report.json`` holds. The quickstart's report is made of the same sections."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ..evaluate.tables import format_bytes
from ..evaluate.tagging import entities
from ..report import Bar, Figure, NeighborRow, Piece, Report, Section, entity_pieces, word_pieces
from .settings import BUNDLED, SCORE_NAMES, WITHOUT

Facts = Mapping[str, Any]
TONES = {WITHOUT: 0, BUNDLED: 1, "own": 2, "joint": 2}
SHORT_NAMES = {WITHOUT: "without", "own": "your own"}
_ENCODERS = {
    WITHOUT: "without an encoder",
    "own": "encoder from this text alone",
    "joint": f"encoder from this text and {BUNDLED}",
    BUNDLED: f"{BUNDLED}, which comes with the package",
}
_EXAMPLE = "Asha B-PER\nyuko O\nMwanza B-LOC\n. O\n\n(a blank line between sentences)"


_DISTILL_OPTIONS = ("epochs", "batch_size", "storage", "codebook_words")  # the others are given with --set


def render(facts: Facts, maps: Sequence[str] = ()) -> str:
    """The page of a build.

    Args:
        facts: What ``report.json`` holds.
        maps: Maps of words as SVG: the teacher's and the chosen encoder's.
    """
    asked = facts["asked"]
    report = Report(
        f"Encoder and taggers: {asked['title'] or asked['language']}", lead=_lead(facts), labels=labels(facts)
    )
    _key_figures(report, facts)
    _license(report, asked)
    if "test" in facts:
        add_scores(report.section("What the encoder is worth"), facts)
        add_examples(report.section("Test sentences"), facts)
    add_text(report.section("The text"), facts["text"])
    _tagged(report.section("The tagged sentences"), facts)
    add_vectors(report.section("The vectors"), facts)
    add_neighbors(report.section("Nearest words"), facts["evaluation"])
    _maps(report.section("Maps of words"), maps)
    _products(report.section("What was made"), facts)
    _opened(report.section("Opened again"), facts)
    add_steps(report.section("Steps and times"), facts)
    report.section("What next").items(_advice(facts))
    return report.html()


def labels(facts: Facts) -> list[str]:
    """The labels of the tagged sentences, sorted."""
    return sorted(facts["tagged"]["labels"]) if "tagged" in facts else []


def _score_name(facts: Facts) -> str:
    return SCORE_NAMES[facts["asked"]["task"]]


def _lead(facts: Facts) -> str:
    """What came out, whichever way it fell."""
    text = f"From {facts['text']['words']:,} words of text"
    if "test" not in facts:
        return f"{text}: word vectors, and what was made of them."
    gain = facts["test"][facts["chosen"]]["score"] - facts["test"][WITHOUT]["score"]
    better = "better than the one without." if gain > 0 else "not better than the one without: see below."
    return (
        f"{text} and {facts['tagged']['sentences']['train']:,} tagged sentences: on test, the tagger with the encoder "
        f"is {abs(gain):.1f} points of {_score_name(facts)} {better}"
    )


def _key_figures(report: Report, facts: Facts) -> None:
    if "test" in facts:
        name = _score_name(facts)
        report.key_figure(f"{facts['test'][WITHOUT]['score']:.1f}", f"{name} on test, without")
        report.key_figure(f"{facts['test'][facts['chosen']]['score']:.1f}", f"{name} on test, with the encoder", 1)
    report.key_figure(format_bytes(facts["encoder"]["bytes"]), "the encoder")
    if "wheel" in facts:
        report.key_figure(format_bytes(facts["wheel"]["bytes"]), "the spaCy wheel")
    report.key_figure(f"{sum(facts['seconds'].values()) / 60:.1f} min", "all steps together")


def _license(report: Report, asked: Facts) -> None:
    """A reminder, where the cards do not say whose the text is."""
    lacking = [name for name, given in (("--license", asked["license"]), ("--source", asked["sources"])) if not given]
    if lacking:
        report.section("Before you give anything away", warning=True).text(
            f"The model cards do not say where the text is from and under which license ({' and '.join(lacking)} not "
            "given). Text found on the web mostly belongs to somebody, and a model trained on it may be shared only as "
            "far as its licenses allow. Run the same command again with these options: only the cards and the wheel "
            "are made again."
        )


def add_text(section: Section, text: Facts) -> None:
    """Add what the text is."""
    rows = [
        ["files", f"{len(text['files']):,}"],
        ["lines, each counted once", f"{text['lines']:,}"],
        ["lines left out: they came before", f"{text['duplicates']:,}"],
        ["words", f"{text['words']:,}"],
        ["different words", f"{text['distinct']:,}"],
        ["characters", f"{text['characters']:,}"],
    ]
    if text["tagged"]:
        rows.insert(3, ["lines left out: they are dev or test sentences", f"{text['tagged']:,}"])
    rows += [[f"lines {name}", f"{n:,}"] for name, n in text["blemishes"].items()]
    section.table(["", ""], rows).text(f"This is {text['expectation']}.")
    section.text(f"Letters, the most frequent first: {' '.join(map(_visible, text['letters']))}")
    section.quotes(text["examples"])


def _visible(letter: str) -> str:
    """A combining mark stands on a dotted circle, so that it can be seen."""
    return f"◌{letter}" if unicodedata.combining(letter) else letter


def _tagged(section: Section, facts: Facts) -> None:
    tagged, asked = facts.get("tagged"), facts["asked"]
    if tagged is None:
        section.text("None were given, so there is no tagger and no score. A few hundred sentences are a beginning:")
        section.code(_EXAMPLE)
        section.text("Put them into train.txt, dev.txt and test.txt (or into one file), and run the same command with")
        section.code("--conll FOLDER")
        section.text("Text, teacher and encoder are kept: only the taggers are trained then.")
        return
    rows = [[split, f"{tagged['sentences'][split]:,}", f"{tagged['words'][split]:,}"] for split in tagged["sentences"]]
    section.table(["", "sentences", "words"], rows)
    if tagged["made"]:
        section.text(
            f"There was no {' and no '.join(tagged['made'])}: drawn from train, at random with seed {asked['seed']}. "
            "For scores to compare with others', keep one fixed split."
        )
    if tagged["duplicates"]:
        section.text(
            f"{tagged['duplicates']:,} sentences of train stood in dev or test too and were taken out of train."
        )
    listed = ", ".join(f"{name} {n:,}" for name, n in tagged["labels"].items())
    section.text(f"{'Entities' if asked['task'] == 'ner' else 'Words'} in train: {listed}.")


def add_scores(section: Section, facts: Facts) -> None:
    """Add the scores of the taggers, and by kind of entity."""
    chosen, name, test = facts["chosen"], _score_name(facts), facts["test"]
    rows = [
        [
            _ENCODERS[kind] + (" (chosen)" if kind == chosen else ""),
            f"{tagger['dev']:.1f}",
            f"{test[kind]['score']:.1f}" if kind in test else "",
            format_bytes(tagger["bytes"]),
            f"{tagger['seconds']:.0f}",
        ]
        for kind, tagger in facts["taggers"].items()
    ]
    if "hf" in facts:
        hf = facts["hf"]
        figures = [f"{hf['dev']:.1f}", f"{hf['test']:.1f}", format_bytes(hf["bytes"]), f"{hf['seconds']:.0f}"]
        rows.append(["Hugging Face model, same encoder", *figures])
    strong = [f"{_ENCODERS[chosen]} (chosen)"]
    section.table(["tagger", f"dev {name}", f"test {name}", "on disk", "seconds"], rows, strong=strong)
    counted = "F1 of whole entities" if name == "F1" else "Share of words with the right tag"
    sizes = facts["tagged"]["sentences"]
    section.note(
        f"{counted} over the corpus, per cent. The spaCy taggers are one pipeline, with the same number of updates. "
        "They differ in the embedding alone. An encoder is chosen on dev, never on test. One run with one seed: "
        "another seed moves a figure by a point or two, more where the splits are small (here dev has "
        f"{sizes['dev']:,} sentences and test {sizes['test']:,})."
    )
    if facts["taggers"][chosen]["dev"] <= facts["taggers"][WITHOUT]["dev"]:
        section.text("On dev the encoder gains nothing here. More text helps most: see below.")
    groups = _bars_by_label(facts)
    if groups:
        section.subheading(f"Test {name} by kind of entity").bars(groups)


def _bars_by_label(facts: Facts) -> dict[str, list[Bar]]:
    names = sorted({label for scores in facts["test"].values() for label in scores["labels"]})
    return {
        label: [
            Bar(SHORT_NAMES.get(kind, kind), scores["labels"].get(label, 0.0), TONES[kind])
            for kind, scores in facts["test"].items()
        ]
        for label in names
    }


def add_examples(section: Section, facts: Facts) -> None:
    """Add test sentences as annotated and as two taggers tag them."""
    section.text("Drawn evenly from the test sentences, not picked: right ones and wrong ones.")
    task, chosen = facts["asked"]["task"], facts["chosen"]
    for one in facts["examples"]["sentences"]:
        words, gold = one["words"], one["gold"]
        rows: list[tuple[str, bool | None, list[Piece]]] = [("annotated", None, _pieces(words, gold, gold, task))]
        for kind in (WITHOUT, chosen):
            right = is_right(gold, one[kind], task)
            rows.append((SHORT_NAMES.get(kind, kind), right, _pieces(words, one[kind], gold, task)))
        section.tagged(rows)


def is_right(gold: Sequence[str], tags: Sequence[str], task: str) -> bool:
    """Whether a sentence is tagged as it is annotated."""
    return entities(gold) == entities(tags) if task == "ner" else list(gold) == list(tags)


def _pieces(words: Sequence[str], tags: Sequence[str], gold: Sequence[str], task: str) -> list[Piece]:
    return entity_pieces(words, tags) if task == "ner" else word_pieces(words, tags, gold)


def add_vectors(section: Section, facts: Facts) -> None:
    """Add the teacher and the encoders: settings, sizes, held-out scores, and the commands that make them by hand."""
    teacher = facts["teacher"]
    settings = teacher["settings"]
    section.text(
        f"The teacher is fastText ({'skip-gram' if settings.get('skipgram') else 'CBOW'}, {teacher['dim']} dimensions, "
        f"{settings.get('epochs', 5)} passes, words seen {settings.get('min_count', 5)} times or more: "
        f"{teacher['words']:,} words, {format_bytes(teacher['bytes'])}). The encoder computes such vectors from the "
        "letters of any word."
    )
    rows = []
    for one in facts["evaluation"]["students"]:
        scores = (facts["encoders"].get(one["name"]) or {}).get("held_out") or {}
        values = [f"{scores[key]:.3f}" if key in scores else "" for key in ("cosine", "p_at_10", "overlap_at_10")]
        speed = f"{one['speed']['words_per_second']:,.0f}" if one.get("speed") else ""
        rows.append([_ENCODERS[one["name"]], format_bytes(one["bytes"]), *values, speed])
    section.table(["encoder", "size", "held-out cosine", "P@10", "overlap@10", "new words a second"], rows)
    note = (
        "On words held out of the distillation: the cosine to the vector that was to be imitated, the share found "
        "among the ten nearest of all words, and the share of the ten nearest neighbors that is kept. The encoders "
        "imitate different tables, so their scores are not to be compared. Speed: one thread, words met for the first "
        "time."
    )
    if facts["text"].get("covered") is not None:
        note += f" {100 * facts['text']['covered']:.0f} % of the words of the test sentences stand in the text."
    section.note(note)
    if facts["encoders"]:
        section.subheading("The same by hand").code(commands(facts))


def commands(facts: Facts) -> str:
    """The shell commands that teach and distill with the settings of this build."""
    from ..distill import DistillSettings

    student = next(iter(facts["encoders"].values()))["settings"]
    defaults = DistillSettings().to_dict()
    student = {name: value for name, value in student.items() if value != defaults[name]}
    others = [
        f"--set '{name}={json.dumps(student.pop(name))}'" for name in list(student) if name not in _DISTILL_OPTIONS
    ]
    lines = [
        ["distillemb teach my-text.txt --out teacher.npz", *_options(facts["teacher"]["settings"])],
        ["distillemb distill teacher.npz --out encoder", *_options(student), *others],
    ]
    return "\n".join(" \\\n    ".join(line) for line in lines)


def _options(settings: Mapping[str, Any]) -> list[str]:
    """Options of a command, some to a line."""
    words = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
        for name, value in settings.items()
        if value is not False
    ]
    return [" ".join(words[place : place + 5]) for place in range(0, len(words), 5)]


def add_neighbors(section: Section, evaluation: Facts) -> None:
    """Add the neighbors of some words by the chosen encoder and by the teacher."""
    models = {"the encoder": evaluation["students"][0], "the teacher": evaluation["teacher"]}
    models = {name: one for name, one in models.items() if one and one["neighbors"]}
    if models:
        words = next(iter(models.values()))["neighbors"]
        rows = [NeighborRow(word, [one["neighbors"].get(word, []) for one in models.values()]) for word in words]
        section.neighbors(rows, list(models)).note("By cosine, among the words of the text.")


def _maps(section: Section, maps: Sequence[str]) -> None:
    if len(maps) >= 2:
        names = ("the teacher", "the encoder")
        section.figures([Figure(svg, f"map of words in {name}", name) for name, svg in zip(names, maps, strict=False)])
        section.note("t-SNE of the vectors of frequent words. Colors are clusters in the teacher.")


def _products(section: Section, facts: Facts) -> None:
    asked, out = facts["asked"], facts["asked"]["out"]
    size = format_bytes(facts["encoder"]["directory_bytes"])
    rows = [["encoder/", "the word vectors; opens in Python, spaCy and Hugging Face", size]]
    if "wheel" in facts:
        wheel = facts["wheel"]
        rows.append([wheel["file"], "the spaCy pipeline, to be installed with pip", format_bytes(wheel["bytes"])])
    if "hf" in facts:
        rows.append(["hf/", "the Hugging Face directory", format_bytes(facts["hf"]["bytes"])])
    if asked["task"]:
        rows.append(["conll/", "the tagged sentences as they were used", ""])
    rows.append(["report.html, report.json", "this page, and its figures", ""])
    rows.append(["work/", "what a second run goes on from; may be deleted", ""])
    section.table([f"in {out}", "", "size"], rows, texts=True)
    section.code("\n\n".join(_usage(facts)))


def _usage(facts: Facts) -> Iterable[str]:
    asked, out = facts["asked"], facts["asked"]["out"]
    shows = {"ner": "[(e.text, e.label_) for e in doc.ents]", "pos": "[(t.text, t.pos_) for t in doc]"}
    if "wheel" in facts:
        opened = facts["opened"]
        yield f"pip install {out}/{facts['wheel']['file']}"
        yield (
            f'import spacy\nnlp = spacy.load("{opened["wheel"]["name"]}")\ndoc = nlp({opened["sentence"]!r})\n'
            f"{shows.get(asked['task'], 'doc[0].vector')}"
        )
    if "hf" in facts:
        tag = "token-classification" if asked["task"] else "feature-extraction"
        yield (
            "import distillemb_plugins.hf\nfrom transformers import pipeline\n"
            f'pipeline("{tag}", model="{out}/hf")({facts["opened"]["sentence"]!r})'
        )
    yield (
        "from distillemb_plugins import DistillEmb\n"
        f'DistillEmb.from_pretrained("{out}/encoder").encode(["any", "word"])'
    )


def _opened(section: Section, facts: Facts) -> None:
    if "opened" not in facts:
        return
    opened, task = facts["opened"], facts["asked"]["task"]
    section.text("Each was opened in a process of its own, the wheel by its package's name, and given a sentence:")
    section.quotes([opened["sentence"]])
    names = {"wheel": "spaCy wheel", "hf": "Hugging Face directory"}
    rows = [[title, _found(opened[name], task)] for name, title in names.items() if name in opened]
    section.table(["", "found"], rows, texts=True)


def _found(result: Facts, task: str | None) -> str:
    if task is None:
        shape = result.get("shape")
        return f"a table of {' x '.join(map(str, shape))}" if shape else f"{len(result['vectors'])} words with vectors"
    pairs = (result.get("pos") if task == "pos" else None) or result["entities"]
    return ", ".join(f"{text} ({label})" for text, label in pairs) or "nothing"


def add_steps(section: Section, facts: Facts) -> None:
    """Add the seconds of each step, and the command."""
    seconds = facts["seconds"]
    rows = [[name, f"{value:.0f}"] for name, value in seconds.items()]
    section.table(["step", "seconds"], [*rows, ["all", f"{sum(seconds.values()):.0f}"]], strong=["all"])
    if facts["asked"]["command"]:
        section.text(Markup("Command: <code>{}</code>").format(facts["asked"]["command"]))


def _advice(facts: Facts) -> Iterable[str]:
    text, tagged, out = facts["text"], facts.get("tagged"), facts["asked"]["out"]
    if text["words"] < 2_000_000:
        yield Markup(
            "<b>More text</b> helps most: this run had {} words. Put files beside the others and run the same command "
            "again. It does again what depends on them."
        ).format(f"{text['words']:,}")
    if tagged is None:
        yield Markup("<b>Tag some sentences</b>, and give them with <code>--conll</code>: only a score can judge.")
    else:
        rare = min(tagged["labels"], key=tagged["labels"].get) if tagged["labels"] else ""
        yield Markup(
            "<b>More tagged sentences</b>, above all with what is rare: {} has {} in train. The pipeline can tag them "
            "first: to correct is faster than to tag."
        ).format(rare, f"{tagged['labels'].get(rare, 0):,}")
        yield Markup(
            "<b>Other settings</b> of the tagger: the configuration lies in the pipeline (<code>config.cfg</code>). "
            "<code>--steps 3000</code> trains longer. A second seed (<code>--seed 1</code>) into another folder shows "
            "how far the figures may be trusted."
        )
    yield Markup(
        "<b>Look around</b>: <code>distillemb neighbors {}/encoder SOMEWORD</code>, "
        "<code>distillemb info {}/encoder</code>."
    ).format(out, out)
    if "hf" in facts:
        yield Markup(
            "<b>Share it</b>, once the license is settled: <code>hf upload USER/NAME {}/hf</code>. The directory "
            "carries its own code, so others can open it with <code>trust_remote_code=True</code> or with this package "
            "installed."
        ).format(out)
