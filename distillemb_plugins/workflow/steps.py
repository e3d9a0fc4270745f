"""The steps of a build: what each needs, what it makes, and what it found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .. import DistillEmb
from ..coverage import Coverage, coverage
from ..data.overlap import sentence_key
from ..evaluate.plots import word_maps
from ..facts import FACTS_FILE, HELD_OUT
from ..files import atomic_directory, directory_bytes, encoder_bytes, iter_lines
from ..persistence import resolve
from ..runs import Facts, Steps, file_identity
from ..teachers import load_teacher
from ..text import is_word, normalize, tokenize
from . import encoders, inputs, packages, taggers
from .inputs import SPLITS, Splits
from .settings import (
    BUNDLED,
    SCORE_NAMES,
    STEPS_FILE,
    WITHOUT,
    BuildSettings,
    student_settings,
    tagger_name,
    teacher_settings,
)

VERSION = "0.1.0"  # of the wheel
_EXAMPLES, _LONGEST_EXAMPLE = 8, 30  # sentences, words
_MADE_FROM = {
    "own": "distilling the table into an encoder",
    "joint": f"distilling the table and {BUNDLED} into an encoder",
}
Say = Callable[[str], object]


class Build:
    """One build: its settings, its folders, and its steps. Each step returns what it found, as JSON values."""

    def __init__(self, settings: BuildSettings, say: Say | None = None) -> None:
        self.settings = settings
        self.say: Say = say or (lambda text: None)
        self.out, self.work, self.conll = settings.out, settings.out / "work", settings.out / "conll"
        self.text, self.teacher_file = self.work / "text.txt", self.work / settings.teacher_file
        self.distilled = [kind for kind in settings.encoders if kind != BUNDLED]
        number = 4 + len(self.distilled) + settings.wheel + settings.hf + (settings.wheel or settings.hf)
        number += 4 + len(settings.encoders) if settings.conll else 0
        self.steps = Steps(self.out / STEPS_FILE, number, settings.quiet)
        self.facts: Facts = {}

    def go(self) -> Facts:
        """Do all steps, and return what they found."""
        facts, settings = self.facts, self.settings
        asked = self._given("language", "title", "license", "sources", "seed", "steps", "command")
        facts["asked"] = asked | {"task": settings.task if settings.conll else None, "out": self.out.as_posix()}
        if settings.conll:
            facts["tagged"] = self.prepare_tagged(settings.conll)
        facts["text"] = self.prepare_text()
        if settings.min_words:  # else any text will do
            self.say(f"{facts['text']['words']:,} words: {facts['text']['expectation']}.")
        facts["encoders"] = {}
        facts["chosen"] = self.compare() if settings.conll else settings.encoders[0]
        for kind in settings.encoders:
            self.make_encoder(kind)
        self.teach()
        facts["encoder"] = self.keep_encoder()
        facts["evaluation"] = self.evaluate()
        if (told := facts["evaluation"].get("coverage", {}).get(facts["chosen"], {})).get("is_low"):
            self.say(told["says"])
        if settings.conll:
            facts["test"] = self.score_test()
            facts["examples"] = self.tag_examples()
        if settings.wheel:
            facts["wheel"] = self.package()
        if settings.hf:
            facts["hf"] = self.hugging_face()
        self.write_cards()
        if settings.wheel or settings.hf:
            facts["opened"] = self.open()
        facts["seconds"] = self.steps.seconds()
        return facts

    def _given(self, *names: str) -> Facts:
        return {name: getattr(self.settings, name) for name in names}

    def encoder(self, kind: str) -> Path:
        return resolve(BUNDLED) if kind == BUNDLED else self.work / f"encoder-{kind}"

    def tagger(self, kind: str) -> Path:
        return self.work / f"tagger-{kind}"

    def prepare_tagged(self, conll: Path) -> Facts:
        files = sorted(file for some in inputs.find_splits(conll).values() for file in some)
        asked = self._given("task", "seed") | dict(self.settings.layout)
        given, outputs = {"files": file_identity(files), **asked}, [self.conll / f"{split}.txt" for split in SPLITS]
        make = partial(inputs.prepare_tagged, conll, self.conll, **asked)
        return self.steps.step("tagged", "checking the tagged sentences", given, make, outputs=outputs)

    def prepare_text(self) -> Facts:
        """Check and write the text, without the sentences that are scored."""
        files = inputs.text_files(self.settings.texts)

        def make() -> Facts:
            splits = self.splits()
            held = {sentence_key(s.words) for name in ("dev", "test") for s in splits.get(name, [])}
            facts, counts = inputs.prepare_text(files, self.text, held, self.settings.min_words)
            words = [w for s in splits.get("test", []) for w in s.words if is_word(w)]
            known = sum(normalize(word) in counts for word in words)
            return facts | ({"covered": round(known / len(words), 4)} if words else {})

        given = {"files": file_identity(files), **self._given("min_words")}
        after = ["tagged"] if self.settings.conll else []
        what = "checking and counting the text"
        return self.steps.step("text", what, given, make, after=after, outputs=[self.text])

    def splits(self) -> Splits:
        """The tagged sentences as they are used; none when there are none."""
        return inputs.read_splits(self.conll, self.settings.task) if self.settings.conll else {}

    def teach(self) -> None:
        """Train the teacher, once."""
        if "teacher" in self.facts:
            return
        settings, words, file = self.settings, int(self.facts["text"]["words"]), self.teacher_file
        given = {**teacher_settings(words, bool(settings.conll)), **settings.teacher}

        def make() -> Facts:
            options = self._given("seed", "threads", "progress")
            teacher = encoders.teach(self.text, file, given, **options)
            return {"words": len(teacher), "dim": teacher.dim, "bytes": file.stat().st_size, "settings": given}

        what = f"teaching a table from {words:,} words ({given.get('algorithm', 'fasttext')})"
        asked = given | self._given("seed", "teacher_file")
        self.facts["teacher"] = self.steps.step("teacher", what, asked, make, after=["text"], outputs=[file])

    def make_encoder(self, kind: str) -> None:
        """Distill an encoder, once."""
        if kind == BUNDLED or kind in self.facts["encoders"]:
            return
        self.teach()
        settings, out = self.settings, self.encoder(kind)
        given = {**student_settings(int(self.facts["teacher"]["words"])), **settings.student}

        def make() -> Facts:
            teacher, options = load_teacher(self.teacher_file), self._given("seed", "progress")
            encoders.distill_encoder(kind, teacher, out, settings.student, text=self.text, **options)
            held_out = DistillEmb.from_pretrained(out).facts.scores[HELD_OUT]
            return {"bytes": encoder_bytes(out), "held_out": held_out, "settings": given}

        asked = given | {"kind": kind, **self._given("seed")}
        name, after = f"encoder {kind}", ["teacher"]
        self.facts["encoders"][kind] = self.steps.step(name, _MADE_FROM[kind], asked, make, after=after, outputs=[out])

    def keep_encoder(self) -> Facts:
        """Copy the chosen encoder to its final name."""
        chosen, out = self.facts["chosen"], self.out / "encoder"

        def make() -> Facts:
            _copy(self.encoder(chosen), out)
            return {"kind": chosen, "bytes": encoder_bytes(out), "directory_bytes": directory_bytes(out)}

        after = [] if chosen == BUNDLED else [f"encoder {chosen}"]
        what = f"keeping the encoder: {chosen}"
        return self.steps.step("encoder", what, {"kind": chosen}, make, after=after, outputs=[out])

    def evaluate(self) -> Facts:
        """Score all encoders beside the teacher, and draw the maps of the teacher and of the chosen one."""
        settings, chosen = self.settings, self.facts["chosen"]

        def make() -> Facts:
            teacher = load_teacher(self.teacher_file)
            ranks = {word: len(teacher) - row for row, word in enumerate(teacher.words)}
            train = self.splits().get("train", []) if settings.task == "ner" else []
            named = [w for s in train for w, tag in zip(s.words, s.tags, strict=True) if tag[0] in "BI"]
            shown = settings.words or encoders.words_to_show(ranks, named)
            paths = {kind: self.encoder(kind) for kind in sorted(settings.encoders, key=lambda kind: kind != chosen)}
            found = encoders.evaluate_encoders(paths, teacher, shown, **self._given("maps", "progress"))
            if found.word_map and len(found.word_map.words) > 2:
                for number, svg in enumerate(word_maps(found.word_map.words, found.word_map.vectors[:2])):
                    (self.work / f"map-{number}.svg").write_text(svg, "utf-8")
            counts = encoders.word_counts(teacher)
            opened = {kind: DistillEmb.from_pretrained(path) for kind, path in paths.items()}
            covered = {kind: coverage(one.characters, counts, one.facts.settings) for kind, one in opened.items()}
            told = {kind: one.to_dict() | _told(one) for kind, one in covered.items() if one.unknown}
            return found.to_dict() | {"coverage": told}

        given = {"chosen": chosen, **self._given("encoders", "words", "maps")}
        after = ["teacher", *(f"encoder {kind}" for kind in self.distilled)]
        return self.steps.step("evaluation", "evaluating the vectors", given, make, after=after)

    def compare(self) -> str:
        """Train a tagger without an encoder, and one with each; the first needs no text. Returns the best on dev."""
        scored = self.facts["taggers"] = {}
        for kind in (WITHOUT, *self.settings.encoders):
            if kind != WITHOUT:
                self.make_encoder(kind)
            scored[kind] = self.train_tagger(kind)
            score = f"{SCORE_NAMES[self.settings.task]} on dev {tagger_name(kind)}"
            self.say(f"{score}: {scored[kind]['dev']:.1f}")
        return self.settings.keep or max(self.settings.encoders, key=lambda kind: float(scored[kind]["dev"]))

    def train_tagger(self, kind: str) -> Facts:
        settings, out, name = self.settings, self.tagger(kind), tagger_name(kind)

        def make() -> Facts:
            encoder = None if kind == WITHOUT else self.encoder(kind)
            options = {"overrides": settings.tagger, **self._given("seed", "steps", "evaluations")}
            config = taggers.tagger_config(settings.task, settings.language, self.conll, encoder, **options)
            seconds = taggers.train_tagger(config, out, name=name, progress=settings.progress)
            dev = taggers.score_tagger(out, settings.task, self.conll / "dev.txt")["score"]
            return {"dev": dev, "bytes": directory_bytes(out), "seconds": seconds}

        given = self._given("task", "language", "steps", "evaluations", "seed", "tagger")
        after = ["tagged"] + ([f"encoder {kind}"] if kind in self.distilled else [])
        what = f"training a spaCy tagger {name}"
        return self.steps.step(f"tagger {kind}", what, given, make, after=after, outputs=[out])

    def score_test(self) -> Facts:
        """Score on test: the tagger without an encoder and the chosen one, or all of them when that is asked for."""
        settings = self.settings
        kinds = [WITHOUT, *(k for k in settings.encoders if settings.test_all or k == self.facts["chosen"])]
        file, after = self.conll / "test.txt", [f"tagger {kind}" for kind in kinds]

        def make() -> Facts:
            return {kind: taggers.score_tagger(self.tagger(kind), settings.task, file) for kind in kinds}

        return self.steps.step("test", "scoring taggers on test", {"kinds": kinds}, make, after=after)

    def tag_examples(self) -> Facts:
        """Test sentences as annotated and as two taggers tag them, drawn evenly and not chosen."""
        kinds = (WITHOUT, self.facts["chosen"])

        def make() -> Facts:
            pipelines, task = {kind: self.tagger(kind) for kind in kinds}, self.settings.task
            found = taggers.tag_examples(self.splits()["test"], pipelines, task, _EXAMPLES, _LONGEST_EXAMPLE)
            return {"sentences": found}

        after = [f"tagger {kind}" for kind in kinds]
        return self.steps.step("examples", "tagging example sentences", {"kinds": kinds}, make, after=after)

    def package(self) -> Facts:
        settings, chosen = self.settings, self.facts["chosen"]
        name = packages.package_name(settings.language, settings.task if settings.conll else None)

        def make() -> Facts:
            pipeline = self.tagger(chosen)
            if not settings.conll:
                pipeline = packages.vectors_pipeline(self.out / "encoder", settings.language, self.work / "vectors")
            for old in self.out.glob("*.whl"):
                old.unlink()
            about = f"{settings.title or settings.language}: made with distillemb-plugins."
            meta = {"version": VERSION, "description": about, "license": settings.license}
            wheel = packages.build_wheel(pipeline, self.out, name, meta)
            return {"file": wheel.name, "bytes": wheel.stat().st_size}

        given = {"name": name, "version": VERSION, **self._given("title", "license")}
        after = [f"tagger {chosen}"] if settings.conll else ["encoder"]
        outputs = list(self.out.glob("*.whl")) or [self.out / "none.whl"]
        what = "packaging the spaCy pipeline as a wheel"
        return self.steps.step("wheel", what, given, make, after=after, outputs=outputs)

    def hugging_face(self) -> Facts:
        """Make the Hugging Face directory: a tagger, or the encoder where there are no tagged sentences."""
        tagged, encoder, out = bool(self.settings.conll), self.out / "encoder", self.out / "hf"

        def make() -> Facts:
            if tagged:
                options = self._given("epochs", "seed")
                return taggers.train_classifier(encoder, self.settings.task, self.conll, out, **options)
            _copy(encoder, out)
            return {"bytes": directory_bytes(out)}

        what = "training the Hugging Face tagger" if tagged else "writing the Hugging Face directory"
        given = {"kind": self.facts["chosen"], **self._given("epochs", "seed")}
        after = ["encoder", "tagged"] if tagged else ["encoder"]
        return self.steps.step("hf", what, given, make, after=after, outputs=[out])

    def write_cards(self) -> None:
        """Write the cards of the encoder and of the Hugging Face directory, from what this run knows: always anew."""
        encoder, hf = self.out / "encoder", self.out / "hf"
        if self.facts["chosen"] != BUNDLED:  # that one has a card of its own
            packages.write_encoder_facts(encoder, self.settings, self.facts)
        if self.settings.hf and self.settings.conll:
            packages.write_tagger_card(hf, encoder, self.settings, self.facts)
        elif self.settings.hf:
            for file in (FACTS_FILE, "README.md"):
                shutil.copyfile(encoder / file, hf / file)

    def open(self) -> Facts:
        """Open the wheel and the directory, each in a process of its own, and tag a sentence."""

        def make() -> Facts:
            sentence = self._sentence()
            found: Facts = {"sentence": sentence}
            if self.settings.wheel:
                found["wheel"] = packages.open_wheel(self.out / self.facts["wheel"]["file"], sentence)
            if self.settings.hf:
                found["hf"] = packages.open_directory(self.out / "hf", sentence, bool(self.settings.conll))
            return found

        after = [*(name for name in ("wheel", "hf") if name in self.facts), "text"]
        return self.steps.step("opened", "opening them in a fresh process", {}, make, after=after)

    def _sentence(self) -> str:
        """A short test sentence with an entity, or a line of the text."""
        for s in self.splits().get("test", []):
            if 5 <= len(s) <= 25 and any(tag != "O" for tag in s.tags):
                return " ".join(s.words)
        lines = (line for line in iter_lines([self.text]) if 5 <= len(tokenize(line)) <= 25)
        return next(lines, "".join(self.facts["text"]["examples"][:1]))


def _copy(encoder: Path, out: Path) -> None:
    with atomic_directory(out, overwrite=True) as target:
        shutil.copytree(encoder, target, dirs_exist_ok=True)


def _told(found: Coverage) -> Facts:
    """What the report says of characters that an encoder does not know."""
    return {"is_low": found.is_low, "says": f"{found.describe()} {found.advice()}"}
