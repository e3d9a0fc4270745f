"""The report of a build and that of the quickstart, from what ``report.json`` holds: the same sections in both."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ..distill.settings import default_settings
from ..evaluate.tables import format_bytes
from ..evaluate.tagging import entities
from ..report import Bar, Figure, NeighborRow, Piece, Report, Section, entity_pieces, word_pieces
from .settings import BUNDLED, SCORE_NAMES, WITHOUT
from .steps import tagger_name

Facts = Mapping[str, Any]
_TONES = {WITHOUT: 0, BUNDLED: 1, "own": 2, "joint": 2}
_SHORT_NAMES = {WITHOUT: "without", "own": "your own"}
_ENCODERS = {
    WITHOUT: "without an encoder",
    "own": "encoder from this text alone",
    "joint": f"encoder from this text and {BUNDLED}",
    BUNDLED: f"{BUNDLED}, which comes with the package",
}
_TAGGED = "Asha B-PER\nyuko O\nMwanza B-LOC\n. O\n\n(a blank line between sentences)"
_DISTILL_OPTIONS = ("epochs", "batch_size", "storage", "codebook_words")  # the others are given with --set


def render(facts: Facts, maps: Sequence[str] = ()) -> str:
    """The page of a build, with maps of words as SVG: the teacher's and the chosen encoder's."""
    asked = facts["asked"]
    report = Report(f"Encoder and taggers: {asked['title'] or asked['language']}", _lead(facts), labels(facts))
    if "test" in facts:
        name, test = SCORE_NAMES[asked["task"]], facts["test"]
        report.key_figure(f"{test[WITHOUT]['score']:.1f}", f"{name} on test, without")
        report.key_figure(f"{test[facts['chosen']]['score']:.1f}", f"{name} on test, with the encoder", 1)
    report.key_figure(format_bytes(facts["encoder"]["bytes"]), "the encoder")
    if "wheel" in facts:
        report.key_figure(format_bytes(facts["wheel"]["bytes"]), "the spaCy wheel")
    report.key_figure(f"{sum(facts['seconds'].values()) / 60:.1f} min", "all steps together")
    _license(report, asked)
    if "test" in facts:
        add_scores(report.section("What the encoder is worth"), facts)
        add_examples(report.section("Test sentences"), facts)
    add_text(report.section("The text"), facts["text"])
    _tagged(report.section("The tagged sentences"), facts)
    add_vectors(report.section("The vectors"), facts)
    add_neighbors(report.section("Nearest words"), facts["evaluation"])
    if len(maps) >= 2:
        names = ("the teacher", "the encoder")
        figures = [Figure(svg, f"map of words in {name}", name) for name, svg in zip(names, maps, strict=False)]
        section = report.section("Maps of words").figures(figures)
        section.note("t-SNE of the vectors of frequent words. Colors are clusters in the teacher.")
    _products(report.section("What was made"), facts)
    _opened(report.section("Opened again"), facts)
    add_steps(report.section("Steps and times"), facts)
    report.section("What next").items(_advice(facts))
    return report.html()


def labels(facts: Facts) -> list[str]:
    return sorted(facts["tagged"]["labels"]) if "tagged" in facts else []


def _lead(facts: Facts) -> str:
    """What came out, whichever way it fell."""
    text = f"From {facts['text']['words']:,} words of text"
    if "test" not in facts:
        return f"{text}: word vectors, and what was made of them."
    gain = facts["test"][facts["chosen"]]["score"] - facts["test"][WITHOUT]["score"]
    better = "better than the one without." if gain > 0 else "not better than the one without: see below."
    return (
        f"{text} and {facts['tagged']['sentences']['train']:,} tagged sentences: on test, the tagger with the encoder "
        f"is {abs(gain):.1f} points of {SCORE_NAMES[facts['asked']['task']]} {better}"
    )


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
    left_out = [["lines left out: they are dev or test sentences", f"{text['tagged']:,}"]] if text["tagged"] else []
    rows = [
        ["files", f"{len(text['files']):,}"],
        ["lines, each counted once", f"{text['lines']:,}"],
        ["lines left out: they came before", f"{text['duplicates']:,}"],
        *left_out,
        ["words", f"{text['words']:,}"],
        ["different words", f"{text['distinct']:,}"],
        ["characters", f"{text['characters']:,}"],
        *([f"lines {name}", f"{n:,}"] for name, n in text["blemishes"].items()),
    ]
    section.table(["", ""], rows).text(f"This is {text['expectation']}.")
    # A combining mark stands on a dotted circle, so that it can be seen.
    letters = (f"◌{letter}" if unicodedata.combining(letter) else letter for letter in text["letters"])
    section.text(f"Letters, the most frequent first: {' '.join(letters)}").quotes(text["examples"])


def _tagged(section: Section, facts: Facts) -> None:
    tagged, asked = facts.get("tagged"), facts["asked"]
    if tagged is None:
        section.text("None were given, so there is no tagger and no score. A few hundred sentences are a beginning:")
        section.code(_TAGGED)
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
    """The scores of the taggers, and by kind of entity."""
    chosen, test, name = facts["chosen"], facts["test"], SCORE_NAMES[facts["asked"]["task"]]
    titles = {kind: _ENCODERS[kind] + (" (chosen)" if kind == chosen else "") for kind in facts["taggers"]}
    rows = [
        [titles[kind], f"{tagger['dev']:.1f}", f"{test[kind]['score']:.1f}" if kind in test else "", *_cost(tagger)]
        for kind, tagger in facts["taggers"].items()
    ]
    if "hf" in facts:
        hf = facts["hf"]
        rows.append(["Hugging Face model, same encoder", f"{hf['dev']:.1f}", f"{hf['test']:.1f}", *_cost(hf)])
    head = ["tagger", f"dev {name}", f"test {name}", "on disk", "seconds"]
    section.table(head, rows, strong=[titles[chosen]])
    gains = {kind: scores["score"] - test[WITHOUT]["score"] for kind, scores in test.items() if kind != WITHOUT}
    compared = (
        f"{name} {tagger_name(kind)} is {abs(gain):.1f} points {'higher' if gain > 0 else 'lower'}"
        for kind, gain in gains.items()
    )
    section.text(f"On test, {', '.join(compared)} than without an encoder.")
    counted = "F1 of whole entities" if name == "F1" else "Share of words with the right tag"
    sizes = facts["tagged"]["sentences"]
    section.note(
        f"{counted} over the corpus, per cent. The spaCy taggers are one pipeline, with the same number of updates. "
        "They differ in the embedding alone. An encoder is chosen on dev, never on test. One run with one seed: "
        "another seed moves a figure by a point or two, more where the splits are small (here dev has "
        f"{sizes['dev']:,} sentences and test {sizes['test']:,})."
    )
    if facts["taggers"][chosen]["dev"] <= facts["taggers"][WITHOUT]["dev"]:
        section.text("On dev the encoder gains nothing here. More text helps most.")
    names = sorted({label for scores in test.values() for label in scores["labels"]})
    groups = {label: {kind: scores["labels"].get(label, 0.0) for kind, scores in test.items()} for label in names}
    add_bars(section, f"Test {name} by kind of entity", groups)


def _cost(made: Facts) -> list[str]:
    return [format_bytes(made["bytes"]), f"{made['seconds']:.0f}"]


def add_bars(section: Section, title: str, groups: Mapping[str, Mapping[str, float]]) -> None:
    """Bars in groups, one bar for each tagger."""
    if groups:
        bars = {
            group: [Bar(_SHORT_NAMES.get(kind, kind), score, _TONES[kind]) for kind, score in scores.items()]
            for group, scores in groups.items()
        }
        section.subheading(title).bars(bars)


def add_examples(section: Section, facts: Facts) -> None:
    """Test sentences as annotated and as two taggers tag them."""
    section.text("Drawn evenly from the test sentences, not picked: right ones and wrong ones.")
    is_ner = facts["asked"]["task"] == "ner"
    for one in facts["examples"]["sentences"]:
        words, gold = one["words"], one["gold"]
        rows: list[tuple[str, bool | None, list[Piece]]] = []
        for name in ("gold", WITHOUT, facts["chosen"]):
            right = entities(gold) == entities(one[name]) if is_ner else gold == one[name]
            pieces = entity_pieces(words, one[name]) if is_ner else word_pieces(words, one[name], gold)
            title = "annotated" if name == "gold" else _SHORT_NAMES.get(name, name)
            rows.append((title, None if name == "gold" else right, pieces))
        section.tagged(rows)


def add_vectors(section: Section, facts: Facts) -> None:
    """The teacher and the encoders: settings, sizes, held-out scores, and the commands that make them by hand."""
    teacher, settings = facts["teacher"], facts["teacher"]["settings"]
    section.text(
        f"The teacher is fastText ({'skip-gram' if settings.get('skipgram') else 'CBOW'}, {teacher['dim']} dimensions, "
        f"{settings.get('epochs', 5)} passes, words seen {settings.get('min_count', 5)} times or more: "
        f"{teacher['words']:,} words, {format_bytes(teacher['bytes'])}). The encoder computes such vectors from the "
        "letters of any word."
    )
    rows = []
    for one in facts["evaluation"]["students"]:
        scores = facts["encoders"].get(one["name"], {}).get("held_out", {})
        values = [f"{scores[key]:.3f}" if key in scores else "" for key in ("cosine", "p_at_10", "overlap_at_10")]
        speed = f"{one['speed']['words_per_second']:,.0f}" if one.get("speed") else ""
        rows.append([_ENCODERS[one["name"]], format_bytes(one["bytes"]), *values, speed])
    section.table(["encoder", "size", "held-out cosine", "P@10", "overlap@10", "new words a second"], rows)
    covered = facts["text"].get("covered")
    section.note(
        "On words held out of the distillation: the cosine to the vector that was to be imitated, the share found "
        "among the ten nearest of all words, and the share of the ten nearest neighbors that is kept. The encoders "
        "imitate different tables, so their scores are not to be compared. Speed: one thread, words met for the first "
        "time." + (f" {100 * covered:.0f} % of the words of the test sentences stand in the text." if covered else "")
    )
    if facts["encoders"]:
        section.subheading("The same by hand").code(commands(facts))


def commands(facts: Facts) -> str:
    """The shell commands that teach and distill with the settings of this build."""
    defaults, student = default_settings(), next(iter(facts["encoders"].values()))["settings"]
    student = {name: value for name, value in student.items() if value != defaults[name]}
    others = [f"--set '{name}={json.dumps(value)}'" for name, value in student.items() if name not in _DISTILL_OPTIONS]
    named = {name: value for name, value in student.items() if name in _DISTILL_OPTIONS}
    lines = [
        ["distillemb teach my-text.txt --out teacher.npz", *_options(facts["teacher"]["settings"])],
        ["distillemb distill teacher.npz --out encoder", *_options(named), *others],
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
    models = {"the encoder": evaluation["students"][0]["neighbors"], "the teacher": evaluation["teacher"]["neighbors"]}
    rows = [NeighborRow(word, [near.get(word, []) for near in models.values()]) for word in models["the encoder"]]
    section.neighbors(rows, list(models)).note("By cosine, among the words of the text.")


def _products(section: Section, facts: Facts) -> None:
    asked, out = facts["asked"], facts["asked"]["out"]
    size = format_bytes(facts["encoder"]["directory_bytes"])
    rows = [["encoder/", "the word vectors; opens in Python, spaCy and Hugging Face", size]]
    code = [
        "from distillemb_plugins import DistillEmb\n"
        f'DistillEmb.from_pretrained("{out}/encoder").encode(["any", "word"])'
    ]
    if "hf" in facts:
        rows.append(["hf/", "the Hugging Face directory", format_bytes(facts["hf"]["bytes"])])
        tag = "token-classification" if asked["task"] else "feature-extraction"
        code.insert(
            0,
            "import distillemb_plugins.hf\nfrom transformers import pipeline\n"
            f'pipeline("{tag}", model="{out}/hf")({facts["opened"]["sentence"]!r})',
        )
    if "wheel" in facts:
        wheel, opened = facts["wheel"], facts["opened"]
        rows.insert(1, [wheel["file"], "the spaCy pipeline, to be installed with pip", format_bytes(wheel["bytes"])])
        shows = {"ner": "[(e.text, e.label_) for e in doc.ents]", "pos": "[(t.text, t.pos_) for t in doc]"}
        shown = shows.get(asked["task"], "doc[0].vector")
        load = (
            f'import spacy\nnlp = spacy.load("{opened["wheel"]["name"]}")\ndoc = nlp({opened["sentence"]!r})\n{shown}'
        )
        code = [f"pip install {out}/{wheel['file']}", load, *code]
    if asked["task"]:
        rows.append(["conll/", "the tagged sentences as they were used", ""])
    rows.append(["report.html, report.json", "this page, and its figures", ""])
    rows.append(["work/", "what a second run goes on from; may be deleted", ""])
    section.table([f"in {out}", "", "size"], rows, texts=True).code("\n\n".join(code))


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
