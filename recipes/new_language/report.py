"""The one report of a run: report.html, with nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from distillemb_plugins.evaluate.tables import format_bytes
from recipes.html_parts import html_table, page, svg_figure

from .encoders import BUNDLED
from .examples import right
from .spacy_side import SCORE_NAMES

Facts = Mapping[str, Any]
_COLOURS = ("#ffd9a8", "#b5e3c5", "#bcd7f7", "#e5ccf0", "#f7e3a1", "#cfe8e8", "#f3c6c6", "#d9d9e8")
_STARTS = {
    "without": "without an encoder",
    "own": "encoder from this text alone",
    "joint": f"encoder from this text and {BUNDLED}",
    BUNDLED: f"{BUNDLED}, which comes with the package",
}
_STYLE = """<style>
.bars { display: grid; gap: .7rem; margin: .8rem 0; } .bars b { font-weight: 600; }
.bar { display: grid; grid-template-columns: 4.6rem 1fr 3rem; gap: .5rem; align-items: center; font-size: .9rem; }
.bar .track { background: #f0f0f4; border-radius: 3px; }
.bar i { display: block; height: .8rem; border-radius: 3px; background: #8a97a8; min-width: 2px; }
.bar.with i { background: var(--accent); } .bar .value { text-align: right; font-variant-numeric: tabular-nums; }
.sentence { border-top: 1px solid var(--line); padding: .6rem 0 .3rem; } .sentence:first-of-type { border-top: 0; }
.arm { display: grid; grid-template-columns: 6.6rem 1fr; gap: .2rem .6rem; align-items: baseline; margin: .2rem 0; }
.arm > b { font-weight: 500; font-size: .85rem; color: var(--faint); }
.right { color: #1a7f37; font-style: normal; } .wrong { color: #b42318; font-style: normal; }
.entities { line-height: 1.9 !important; overflow-wrap: anywhere; }
mark.entity { padding: .15em .4em !important; margin: 0 .1em !important; line-height: 1.5 !important; }
.tag { white-space: nowrap; margin-right: .3rem; display: inline-block; } .tag small { color: var(--faint); }
.tag.off small { color: #b42318; font-weight: 600; }
.warn { border-left: 4px solid #c27803; background: #fff8eb; }
.wraps td { white-space: normal; overflow-wrap: anywhere; text-align: left; vertical-align: top; }
.wraps th { text-align: left; } .wraps td:first-child { min-width: 6.5rem; overflow-wrap: break-word; }
.wraps td:last-child { min-width: 4.2rem; }
blockquote { margin: .4rem 0; padding: .1rem 0 .1rem .8rem; border-left: 3px solid var(--line);
  overflow-wrap: anywhere; }
pre { background: #1d2430; color: #eef2f6; border-radius: 8px; padding: .8rem; overflow-x: auto; font-size: .84rem; }
pre code { background: none; padding: 0; overflow-wrap: normal; }
li { margin: .35rem 0; overflow-wrap: anywhere; }
@media (max-width: 600px) {
  table:not(.words) td:first-child { white-space: normal; min-width: 7rem; }
  .arm { grid-template-columns: 1fr; gap: 0; }
}
</style>"""


def render(facts: Facts, maps: Sequence[str] = ()) -> str:
    """The page. facts: what ``report.json`` holds. maps: SVG pictures of words, the teacher's first."""
    asked = facts["asked"]
    name = asked["title"] or asked["language"]
    parts = [
        _STYLE,
        f'<p class="lead">{escape(_lead(facts))}</p>',
        _tiles(facts),
        _licence(asked),
        _section("What the encoder is worth", _scores(facts)),
        _section("Test sentences", _examples(facts)),
        _section("The text", _text(facts["text"])),
        _section("The tagged sentences", _tagged(facts.get("tagged"), asked)),
        _section("The vectors", _vectors(facts)),
        _section("Nearest words", _neighbours(facts["evaluation"])),
        _section("Maps of words", _maps(facts, maps)),
        _section("What was made", _made(facts)),
        _section("Opened again", _opened(facts)),
        _section("Steps and times", _steps(facts)),
        _section("What next", _next(facts)),
    ]
    return page(f"A new language: {name}", "\n".join(part for part in parts if part))


def _section(heading: str, body: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{body}</section>" if body else ""


def _p(text: str, css: str = "") -> str:
    return f"<p{f' class={css}' if css else ''}>{escape(text)}</p>"


def _percent(value: float) -> str:
    return f"{value:.1f}"


def _score_name(facts: Facts) -> str:
    return SCORE_NAMES[facts["asked"]["task"]]


def _lead(facts: Facts) -> str:
    """What came out, whichever way it fell."""
    text = f"From {facts['text']['words']:,} words of text"
    if "test" not in facts:
        return f"{text}: word vectors, as an encoder, a spaCy package and a Hugging Face directory."
    gain = facts["test"]["with"]["score"] - facts["test"]["without"]["score"]
    text += f" and {facts['tagged']['sentences']['train']:,} tagged sentences: "
    what = f"on test, the tagger with the encoder is {abs(gain):.1f} points of {_score_name(facts)} "
    return text + what + ("better than the one without." if gain > 0 else "not better than the one without: see below.")


def _tiles(facts: Facts) -> str:
    tiles = []
    if "test" in facts:
        name = _score_name(facts)
        tiles += [
            (_percent(facts["test"]["without"]["score"]), f"{name} on test, without"),
            (_percent(facts["test"]["with"]["score"]), f"{name} on test, with the encoder"),
        ]
    tiles += [
        (format_bytes(facts["encoder"]["bytes"]), "the encoder"),
        (format_bytes(facts["wheel"]["bytes"]), "the spaCy wheel"),
        (f"{sum(facts['seconds'].values()) / 60:.1f} min", "all steps together"),
    ]
    cells = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _licence(asked: Facts) -> str:
    """A reminder, where the card does not say whose the text is."""
    lacking = [what for what, given in (("--licence", asked["licence"]), ("--source", asked["sources"])) if not given]
    if not lacking:
        return ""
    return (
        '<section class="warn"><b>Before you give anything away:</b> '
        + escape(
            f"the model cards do not say where the text is from and under which licence ({' and '.join(lacking)} not "
            "given). Text found on the web mostly belongs to somebody, and a model trained on it may be shared only as "
            "far as its licences allow. Run the same command again with these options: only the cards and the wheel "
            "are made again."
        )
        + "</section>"
    )


def _text(text: Facts) -> str:
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
    body = html_table(["", ""], rows, css_class="wraps") + _p(f"This is {text['expectation']}.")
    body += f"<p>Letters, the most frequent first: {escape(' '.join(_shown_letter(c) for c in text['letters']))}</p>"
    return body + "".join(f"<blockquote>{escape(line)}</blockquote>" for line in text["examples"])


def _shown_letter(letter: str) -> str:
    """A combining mark stands on a dotted circle, so that it can be seen."""
    import unicodedata

    return f"◌{letter}" if unicodedata.combining(letter) else letter


def _tagged(tagged: Facts | None, asked: Facts) -> str:
    if tagged is None:
        return (
            _p("None were given, so there is no tagger and no score. A few hundred sentences are enough to begin:")
            + "<pre><code>Asha B-PER\nyuko O\nMwanza B-LOC\n. O\n\n(a blank line between sentences)</code></pre>"
            + _p("Put them into train.txt, dev.txt and test.txt (or into one file), and run the same command with")
            + "<pre><code>--conll FOLDER</code></pre>"
            + _p("Text, teacher and encoder are kept: only the taggers are trained then.")
        )
    unit = "entities" if asked["task"] == "ner" else "words"
    rows = [[split, f"{tagged['sentences'][split]:,}", f"{tagged['words'][split]:,}"] for split in tagged["sentences"]]
    body = html_table(["", "sentences", "words"], rows)
    if tagged["made"]:
        body += _p(
            f"There was no {' and no '.join(tagged['made'])}: drawn from train, at random with seed {asked['seed']}. "
            "For scores to compare with others', keep one fixed split."
        )
    if tagged["doubles"]:
        body += _p(f"{tagged['doubles']:,} sentences of train stood in dev or test too and were taken out of train.")
    labels = ", ".join(f"{name} {n:,}" for name, n in tagged["labels"].items())
    return body + _p(f"{unit.capitalize()} in train: {labels}.")


def _scores(facts: Facts) -> str:
    if "taggers" not in facts:
        return ""
    start, name = facts["start"], _score_name(facts)
    rows = []
    for one, tagger in facts["taggers"].items():
        test = {"without": "without", start: "with"}.get(one)
        rows.append(
            [
                _STARTS[one] + (" (chosen)" if one == start else ""),
                _percent(tagger["dev"]),
                _percent(facts["test"][test]["score"]) if test else "",
                format_bytes(tagger["size"]),
                f"{tagger['seconds']:.0f}",
            ]
        )
    rows.append(
        [
            "Hugging Face model, same encoder",
            _percent(facts["hf"]["dev"]),
            _percent(facts["hf"]["test"]),
            format_bytes(facts["hf"]["bytes"]),
            f"{facts['hf']['seconds']:.0f}",
        ]
    )
    head = ["tagger", f"dev {name}", f"test {name}", "on disk", "seconds"]
    note = (
        f"{'F1 of whole entities' if name == 'F1' else 'Share of words with the right tag'} over the corpus, per cent. "
        "The spaCy taggers are one pipeline, with the same number of updates; they differ in the embedding alone. The "
        "encoder is chosen on dev, and test is scored for the chosen one and the one without. One run with one seed: "
        f"another seed moves a figure by a point or two, more where the splits are small ({_size_of_splits(facts)})."
    )
    body = html_table(head, rows, strong=(_STARTS[start] + " (chosen)",)) + _p(note, "note") + _bars(facts)
    if facts["taggers"][start]["dev"] <= facts["taggers"]["without"]["dev"]:
        body += _p("On dev the encoder does not pay here. More text helps most; see below.")
    return body


def _size_of_splits(facts: Facts) -> str:
    sizes = facts["tagged"]["sentences"]
    return f"here dev has {sizes['dev']:,} sentences and test {sizes['test']:,}"


def _bars(facts: Facts) -> str:
    """Test scores of each label, without and with."""
    with_, without = (facts["test"][name]["labels"] for name in ("with", "without"))
    names = sorted(with_.keys() | without.keys())
    blocks = [
        f"<div><b>{escape(label)}</b>{_bar('without', without.get(label, 0))}{_bar('with', with_.get(label, 0))}</div>"
        for label in names
    ]
    return f'<h3>Test F1 by kind of entity</h3><div class="bars">{"".join(blocks)}</div>' if blocks else ""


def _bar(arm: str, score: float) -> str:
    return (
        f'<div class="bar {arm}"><span>{arm}</span><span class="track"><i style="width:{score:.1f}%"></i></span>'
        f'<span class="value">{_percent(score)}</span></div>'
    )


def _examples(facts: Facts) -> str:
    if "examples" not in facts:
        return ""
    task = facts["asked"]["task"]
    sentences = facts["examples"]["sentences"]
    labels = sorted(facts["tagged"]["labels"])
    colours = {label: _COLOURS[n % len(_COLOURS)] for n, label in enumerate(labels)}
    note = "Drawn evenly from the test sentences, not picked: right ones and wrong ones."
    return _p(note) + "".join(_sentence(one, task, colours) for one in sentences)


def _sentence(one: Facts, task: str, colours: Mapping[str, str]) -> str:
    rows = [f"<div class='arm'><b>annotated</b>{_drawn(one['words'], one['gold'], one['gold'], task, colours)}</div>"]
    for arm, name in (("without", "without"), ("with", "with encoder")):
        good = right(one["gold"], one[arm], task)
        mark = '<i class="right">✓</i>' if good else '<i class="wrong">✗</i>'
        rows.append(
            f"<div class='arm'><b>{name} {mark}</b>{_drawn(one['words'], one[arm], one['gold'], task, colours)}</div>"
        )
    return f"<div class='sentence'>{''.join(rows)}</div>"


def _drawn(
    words: Sequence[str], tags: Sequence[str], gold: Sequence[str], task: str, colours: Mapping[str, str]
) -> str:
    if task == "pos":
        tagged = zip(words, tags, gold, strict=True)
        return "<div>" + "".join(_tagged_word(word, tag, tag == true) for word, tag, true in tagged) + "</div>"
    return _entities(words, tags, colours)


def _tagged_word(word: str, tag: str, is_right: bool) -> str:
    return f'<span class="tag{"" if is_right else " off"}">{escape(word)} <small>{escape(tag)}</small></span>'


def _entities(words: Sequence[str], tags: Sequence[str], colours: Mapping[str, str]) -> str:
    """The sentence with its entities, drawn by displaCy."""
    from spacy import displacy

    from distillemb_plugins.evaluate.tagging import entities

    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    ents = [{"start": starts[begin], "end": starts[end] - 1, "label": label} for label, begin, end in entities(tags)]
    doc = {"text": " ".join(words), "ents": ents, "title": None}
    options = {"colors": dict(colours)}
    drawn: str = displacy.render(doc, style="ent", manual=True, page=False, minify=True, jupyter=False, options=options)
    return drawn


def _vectors(facts: Facts) -> str:
    teacher = facts["teacher"]
    body = _p(
        f"The teacher is fastText ({'skip-gram' if teacher.get('skipgram') else 'CBOW'}, {teacher['dim']} dimensions, "
        f"{teacher.get('epochs', 5)} passes, words seen {teacher.get('min_count', 5)} times or more: "
        f"{teacher['words']:,} words, {format_bytes(teacher['bytes'])}). The encoder computes such vectors from the "
        "letters of any word."
    )
    rows = []
    speeds = {one["name"]: one.get("speed") for one in facts["evaluation"]["students"]}
    sizes = {one["name"]: one["bytes"] for one in facts["evaluation"]["students"]}
    for start, size in sizes.items():
        scores = (facts["encoders"].get(start) or {}).get("held_out") or {}
        values = [f"{scores[key]:.3f}" if key in scores else "" for key in ("cosine", "p_at_10", "overlap_at_10")]
        speed = f"{speeds[start]['words_per_second']:,.0f}" if speeds[start] else ""
        rows.append([_STARTS[start], format_bytes(size), *values, speed])
    head = ["encoder", "size", "held-out cosine", "P@10", "overlap@10", "new words a second"]
    note = (
        "On words held out of the distillation: the cosine to the vector that was to be imitated, the share found "
        "among the ten nearest of all words, and the share of the ten nearest neighbours that is kept. Encoders from "
        "different starts imitate different tables, so their scores are not to be compared. Speed: one thread, words "
        "met for the first time."
    )
    if facts["text"].get("covered") is not None:
        note += f" {100 * facts['text']['covered']:.0f} % of the test sentences' words stand in the text."
    return body + html_table(head, rows) + _p(note, "note")


def _neighbours(evaluation: Facts) -> str:
    subjects = [one for one in [evaluation["students"][0], evaluation["teacher"]] if one and one["neighbors"]]
    if not subjects:
        return ""
    rows = [
        [
            word,
            *(", ".join(f"{near} {score:.2f}" for near, score in one["neighbors"].get(word, [])) for one in subjects),
        ]
        for word in subjects[0]["neighbors"]
    ]
    head = ["", *("the encoder" if one is evaluation["students"][0] else "the teacher" for one in subjects)]
    return html_table(head, rows, css_class="wraps") + _p("By cosine, among the words of the text.", "note")


def _maps(facts: Facts, maps: Sequence[str]) -> str:
    if len(maps) < 2:
        return ""
    names = ("the teacher", "the encoder")
    figures = [
        f"<div><h3>{name}</h3>{svg_figure(svg, f'map of words in {name}')}</div>"
        for name, svg in zip(names, maps, strict=False)
    ]
    note = "t-SNE of frequent words' vectors. Colours are clusters in the teacher."
    return f'<div class="pair">{"".join(figures)}</div>' + _p(note, "note")


def _made(facts: Facts) -> str:
    out, wheel = facts["asked"]["out"], facts["wheel"]["file"]
    package = facts["opened"]["wheel"]["name"]
    rows = [
        [
            "encoder/",
            "the word vectors; opens in Python, spaCy and Hugging Face",
            format_bytes(facts["encoder"]["directory_bytes"]),
        ],
        [wheel, "the spaCy pipeline, to be installed with pip", format_bytes(facts["wheel"]["bytes"])],
        ["hf/", "the Hugging Face directory", format_bytes(facts["hf"]["bytes"])],
        ["report.html, report.json", "this page, and its figures", ""],
        ["work/", "what a second run goes on from; may be deleted", ""],
    ]
    if "test" in facts:
        rows.insert(3, ["conll/", "the tagged sentences as they were used", ""])
    tag = "token-classification" if "test" in facts else "feature-extraction"
    show = (
        "[(e.text, e.label_) for e in doc.ents]"
        if facts["asked"]["task"] == "ner"
        else "[(t.text, t.pos_) for t in doc]"
    )
    if "test" not in facts:
        show = "doc[0].vector"
    sentence = facts["opened"]["sentence"]
    code = f"""pip install {out}/{wheel}

import spacy
nlp = spacy.load("{package}")
doc = nlp({sentence!r})
{show}

import distillemb_plugins.hf
from transformers import pipeline
pipeline("{tag}", model="{out}/hf")({sentence!r})

from distillemb_plugins import DistillEmb
DistillEmb.from_pretrained("{out}/encoder").encode(["any", "word"])"""
    return html_table(["in " + out, "", "size"], rows, css_class="wraps") + f"<pre><code>{escape(code)}</code></pre>"


def _opened(facts: Facts) -> str:
    opened = facts["opened"]
    body = _p("Each was opened in a process of its own, the wheel by its package's name, and given a sentence:")
    body += f"<blockquote>{escape(opened['sentence'])}</blockquote>"
    if "test" not in facts:
        shape = opened["hf"].get("shape", [])
        return body + _p(
            f"spaCy gave {len(opened['wheel']['vectors'])} words a vector each; the Hugging Face model a table of "
            f"{' x '.join(map(str, shape))}."
        )
    rows = [["spaCy wheel", _found(opened["wheel"], facts)], ["Hugging Face directory", _found(opened["hf"], facts)]]
    return body + html_table(["", "found"], rows, css_class="wraps")


def _found(result: Facts, facts: Facts) -> str:
    kind = "entities" if facts["asked"]["task"] == "ner" else "pos"
    pairs = result.get(kind) or result["entities"]
    return ", ".join(f"{text} ({label})" for text, label in pairs) or "nothing"


def _steps(facts: Facts) -> str:
    rows = [[name, f"{seconds:.0f}"] for name, seconds in facts["seconds"].items()]
    rows.append(["all", f"{sum(facts['seconds'].values()):.0f}"])
    command = facts["asked"]["command"]
    body = html_table(["step", "seconds"], rows, strong=("all",))
    return body + (f"<p>Command: <code>{escape(command)}</code></p>" if command else "")


def _next(facts: Facts) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in _advice(facts))}</ul>"


def _advice(facts: Facts) -> Iterable[str]:
    text, tagged = facts["text"], facts.get("tagged")
    if text["words"] < 2_000_000:
        yield (
            f"<b>More text</b> helps most: this run had {text['words']:,} words. Put files beside the others and run "
            "the same command again; it does again what depends on them."
        )
    if tagged is None:
        yield "<b>Tag some sentences</b>, and give them with <code>--conll</code>: a score is the only judge."
    else:
        rare = min(tagged["labels"], key=tagged["labels"].get) if tagged["labels"] else ""
        yield (
            f"<b>More tagged sentences</b>, above all with what is rare: {escape(rare)} has "
            f"{tagged['labels'].get(rare, 0):,} in train. The pipeline can tag them first; correcting is faster than "
            "tagging."
        )
        yield (
            "<b>Other settings</b> of the tagger: the configuration lies in the pipeline (<code>config.cfg</code>); "
            "longer training is <code>--steps 3000</code>, and a second seed <code>--seed 1</code> into another folder "
            "shows how far the figures may be trusted."
        )
    yield (
        f"<b>Look around</b>: <code>distillemb neighbors {escape(facts['asked']['out'])}/encoder SOMEWORD</code>, "
        f"<code>distillemb info {escape(facts['asked']['out'])}/encoder</code>."
    )
    upload = f"hf upload USER/NAME {escape(facts['asked']['out'])}/hf"
    yield (
        f"<b>Share it</b>, once the licence is settled: <code>{upload}</code>. "
        "The directory carries its own code, so others can open it with <code>trust_remote_code=True</code> or with "
        "this package installed."
    )
