"""The steps of a build: what each needs, what it makes, and what it found."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from ..data.overlap import sentence_key
from ..evaluate.plots import word_maps
from ..facts import FACTS_FILE
from ..files import atomic_directory, directory_bytes, encoder_bytes, iter_lines
from ..persistence import resolve
from ..runs import Facts, Steps, file_identity
from ..teachers import load_teacher
from ..text import is_word, normalize, tokenize
from . import encoders, packages, spacy_tagger
from .corpus import expectation, prepare_text, text_files
from .sentences import SPLITS, Splits, find_splits, prepare_tagged, read_splits
from .settings import (
    BUNDLED,
    SCORE_NAMES,
    STEPS_FILE,
    WITHOUT,
    BuildSettings,
    student_settings,
    teacher_settings,
)

VERSION = "0.1.0"  # of the wheel
_EXAMPLES = 8
_LONGEST_EXAMPLE = 30  # words
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
        self.out = settings.out
        self.work = settings.out / "work"
        self.conll = self.out / "conll"
        self.text = self.work / "text.txt"
        self.teacher_file = self.work / settings.teacher_file
        self.distilled = [kind for kind in settings.encoders if kind != BUNDLED]
        number = 4 + len(self.distilled) + settings.wheel + settings.hf + (settings.wheel or settings.hf)
        number += 4 + len(settings.encoders) if settings.conll else 0
        self.steps = Steps(self.out / STEPS_FILE, number, settings.quiet)
        self.facts: Facts = {}

    def go(self) -> Facts:
        """Do all steps, and return what they found."""
        facts, settings = self.facts, self.settings
        if settings.conll:
            facts["tagged"] = self.prepare_tagged(settings.conll)
        facts["text"] = self.prepare_text()
        facts["encoders"] = {}
        facts["chosen"] = self.compare() if settings.conll else settings.encoders[0]
        for kind in settings.encoders:
            self.make_encoder(kind)
        self.teach()
        facts["encoder"] = self.keep_encoder()
        facts["evaluation"] = self.evaluate()
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
        found: Facts = {"asked": self._asked(), **facts, "seconds": self.steps.seconds()}
        return found

    def _asked(self) -> Facts:
        """What the report and the cards say of the settings."""
        values = self._given("language", "title", "license", "sources", "seed", "steps", "command")
        return values | {"task": self.settings.task if self.settings.conll else None, "out": self.out.as_posix()}

    def _given(self, *names: str) -> Facts:
        """Some of the settings."""
        return {name: getattr(self.settings, name) for name in names}

    def encoder(self, kind: str) -> Path:
        """Where an encoder lies."""
        return resolve(BUNDLED) if kind == BUNDLED else self.work / f"encoder-{kind}"

    def tagger(self, kind: str) -> Path:
        """Where the pipeline with an encoder lies."""
        return self.work / f"tagger-{kind}"

    def maps(self) -> list[str]:
        """The maps of words, as SVG: the teacher's and the chosen encoder's."""
        return [file.read_text("utf-8") for file in sorted(self.work.glob("map-*.svg"))]

    # -- what is given -------------------------------------------------------------------------------------------

    def prepare_tagged(self, conll: Path) -> Facts:
        settings = self.settings
        files = sorted(file for some in find_splits(conll).values() for file in some)

        def make() -> Facts:
            facts, _ = prepare_tagged(conll, self.conll, settings.task, settings.seed, settings.columns)
            return asdict(facts)

        return self.steps.step(
            "tagged",
            "checking the tagged sentences",
            {"files": file_identity(files), **self._given("task", "seed", "columns")},
            make,
            outputs=[self.conll / f"{split}.txt" for split in SPLITS],
        )

    def prepare_text(self) -> Facts:
        settings = self.settings
        files = text_files(settings.texts)

        def make() -> Facts:
            splits = self.splits()
            held = {sentence_key(s.words) for name in ("dev", "test") for s in splits.get(name, [])}
            facts, counts = prepare_text(files, self.text, held, settings.min_words)
            words = [w for s in splits.get("test", []) for w in s.words if is_word(w)]
            known = sum(normalize(word) in counts for word in words)
            covered = {"covered": round(known / len(words), 4)} if words else {}
            return asdict(facts) | covered | {"expectation": expectation(facts.words)}

        return self.steps.step(
            "text",
            "checking and counting the text",
            {"files": file_identity(files), **self._given("min_words")},
            make,
            after=["tagged"] if settings.conll else [],
            outputs=[self.text],
        )

    def splits(self) -> Splits:
        """The tagged sentences as they are used; none when there are none."""
        return read_splits(self.conll, self.settings.task) if self.settings.conll else {}

    # -- encoders ------------------------------------------------------------------------------------------------

    def teach(self) -> None:
        """Train the teacher, once."""
        if "teacher" in self.facts:
            return
        settings, words = self.settings, int(self.facts["text"]["words"])
        given = {**teacher_settings(words), **settings.teacher}

        def make() -> Facts:
            teacher = encoders.teach(
                self.text,
                self.teacher_file,
                words,
                settings.teacher,
                seed=settings.seed,
                threads=settings.threads,
                progress=settings.progress,
            )
            size = self.teacher_file.stat().st_size
            return {"words": len(teacher), "dim": teacher.dim, "bytes": size, "settings": given}

        self.facts["teacher"] = self.steps.step(
            "teacher",
            f"teaching fastText from {words:,} words",
            given | self._given("seed", "teacher_file"),
            make,
            after=["text"],
            outputs=[self.teacher_file],
        )

    def make_encoder(self, kind: str) -> None:
        """Distill an encoder, once."""
        if kind == BUNDLED or kind in self.facts["encoders"]:
            return
        self.teach()
        settings, out = self.settings, self.encoder(kind)
        given = {**student_settings(int(self.facts["teacher"]["words"])), **settings.student}

        def make() -> Facts:
            encoders.distill_encoder(
                kind,
                load_teacher(self.teacher_file),
                out,
                settings.student,
                text=self.text if settings.mine_text else None,
                seed=settings.seed,
                progress=settings.progress,
            )
            return {"bytes": encoder_bytes(out), "held_out": encoders.held_out_scores(out), "settings": given}

        self.facts["encoders"][kind] = self.steps.step(
            f"encoder {kind}",
            _MADE_FROM[kind],
            given | {"kind": kind, **self._given("seed", "mine_text")},
            make,
            after=["teacher"],
            outputs=[out],
        )

    def keep_encoder(self) -> Facts:
        """Copy the chosen encoder to its final name."""
        chosen, out = self.facts["chosen"], self.out / "encoder"

        def make() -> Facts:
            with atomic_directory(out, overwrite=True) as target:
                shutil.copytree(self.encoder(chosen), target, dirs_exist_ok=True)
            return {"kind": chosen, "bytes": encoder_bytes(out), "directory_bytes": directory_bytes(out)}

        return self.steps.step(
            "encoder",
            f"keeping the encoder: {chosen}",
            {"kind": chosen},
            make,
            after=[] if chosen == BUNDLED else [f"encoder {chosen}"],
            outputs=[out],
        )

    def evaluate(self) -> Facts:
        """Score all encoders beside the teacher, and draw the maps of the teacher and of the chosen one."""
        settings, chosen = self.settings, self.facts["chosen"]
        files = [self.work / f"map-{n}.svg" for n in range(2)]

        def make() -> Facts:
            teacher = load_teacher(self.teacher_file)
            ranks = {word: len(teacher) - row for row, word in enumerate(teacher.words)}
            shown = settings.words or encoders.words_to_show(ranks, list(self._named_words()))
            order = [chosen, *(kind for kind in settings.encoders if kind != chosen)]
            paths = {kind: self.encoder(kind) for kind in order}
            found = encoders.evaluate_encoders(paths, teacher, shown, maps=settings.maps, progress=settings.progress)
            if found.word_map and len(found.word_map.words) > 2:
                pictures = word_maps(found.word_map.words, found.word_map.vectors[:2])
                for file, svg in zip(files, pictures, strict=True):
                    file.write_text(svg, "utf-8")
            return found.to_dict()

        return self.steps.step(
            "evaluation",
            "evaluating the vectors",
            {"chosen": chosen, **self._given("encoders", "words", "maps")},
            make,
            after=["teacher", *(f"encoder {kind}" for kind in self.distilled)],
        )

    def _named_words(self) -> Iterator[str]:
        """The words of train that stand in entities."""
        if self.settings.task == "ner":
            for sentence in self.splits().get("train", []):
                yield from (w for w, tag in zip(sentence.words, sentence.tags, strict=True) if tag[0] in "BI")

    # -- spaCy taggers -------------------------------------------------------------------------------------------

    def compare(self) -> str:
        """Train a tagger without an encoder and one with each. Returns the encoder that is best on dev.

        What needs no text comes first, so that there is something to see early.
        """
        taggers = self.facts["taggers"] = {}
        for kind in (WITHOUT, *self.settings.encoders):
            if kind != WITHOUT:
                self.make_encoder(kind)
            taggers[kind] = self.train_tagger(kind)
            score = f"{SCORE_NAMES[self.settings.task]} on dev {tagger_name(kind)}"
            self.say(f"{score}: {taggers[kind]['dev']:.1f}")
        return self.settings.keep or max(self.settings.encoders, key=lambda kind: float(taggers[kind]["dev"]))

    def train_tagger(self, kind: str) -> Facts:
        settings = self.settings
        task, out = settings.task, self.tagger(kind)
        encoder = None if kind == WITHOUT else self.encoder(kind)

        def make() -> Facts:
            config = spacy_tagger.tagger_config(
                task,
                settings.language,
                self.conll,
                encoder,
                seed=settings.seed,
                steps=settings.steps,
                evaluations=settings.evaluations,
                overrides=settings.tagger,
            )
            seconds = spacy_tagger.train_tagger(config, out, name=tagger_name(kind), progress=settings.progress)
            dev = spacy_tagger.score_tagger(out, task, self.conll / "dev.txt")["score"]
            return {"dev": dev, "bytes": directory_bytes(out), "seconds": seconds}

        return self.steps.step(
            f"tagger {kind}",
            f"training a spaCy tagger {tagger_name(kind)}",
            self._given("task", "language", "steps", "evaluations", "seed", "tagger"),
            make,
            after=["tagged"] + ([f"encoder {kind}"] if kind in self.distilled else []),
            outputs=[out],
        )

    def score_test(self) -> Facts:
        """Score on test: the tagger without an encoder and the chosen one, or all of them when that is asked for."""
        settings = self.settings
        kinds = [WITHOUT, *(k for k in settings.encoders if settings.test_all or k == self.facts["chosen"])]

        def make() -> Facts:
            file = self.conll / "test.txt"
            return {kind: spacy_tagger.score_tagger(self.tagger(kind), settings.task, file) for kind in kinds}

        return self.steps.step(
            "test",
            "scoring taggers on test",
            {"kinds": kinds},
            make,
            after=[f"tagger {kind}" for kind in kinds],
        )

    def tag_examples(self) -> Facts:
        """Test sentences as annotated and as two taggers tag them, drawn evenly and not chosen."""
        kinds = (WITHOUT, self.facts["chosen"])

        def make() -> Facts:
            taggers = {kind: self.tagger(kind) for kind in kinds}
            sentences = self.splits()["test"]
            task = self.settings.task
            found = spacy_tagger.tag_examples(sentences, taggers, task, _EXAMPLES, _LONGEST_EXAMPLE)
            return {"sentences": found}

        return self.steps.step(
            "examples",
            "tagging example sentences",
            {"kinds": kinds},
            make,
            after=[f"tagger {kind}" for kind in kinds],
        )

    # -- what is given away --------------------------------------------------------------------------------------

    def package(self) -> Facts:
        settings, chosen = self.settings, self.facts["chosen"]
        name = packages.package_name(settings.language, settings.task if settings.conll else None)

        def make() -> Facts:
            pipeline = self.tagger(chosen)
            if not settings.conll:
                pipeline = packages.vectors_pipeline(self.out / "encoder", settings.language, self.work / "vectors")
            for old in self.out.glob("*.whl"):
                old.unlink()
            about = f"{settings.name}: made with distillemb-plugins."
            meta = {"version": VERSION, "description": about, "license": settings.license}
            wheel = packages.build_wheel(pipeline, self.out, name, meta)
            return {"file": wheel.name, "bytes": wheel.stat().st_size}

        return self.steps.step(
            "wheel",
            "packaging the spaCy pipeline as a wheel",
            {"name": name, "version": VERSION, **self._given("title", "license")},
            make,
            after=[f"tagger {chosen}"] if settings.conll else ["encoder"],
            outputs=list(self.out.glob("*.whl")) or [self.out / "none.whl"],
        )

    def hugging_face(self) -> Facts:
        settings, out = self.settings, self.out / "hf"

        def make() -> Facts:
            if settings.conll:
                from .hf_tagger import train_classifier

                return train_classifier(
                    self.out / "encoder", settings.task, self.conll, out, epochs=settings.epochs, seed=settings.seed
                )
            with atomic_directory(out, overwrite=True) as target:
                shutil.copytree(self.out / "encoder", target, dirs_exist_ok=True)
            return {"bytes": directory_bytes(out)}

        what = "training the Hugging Face tagger" if settings.conll else "writing the Hugging Face directory"
        return self.steps.step(
            "hf",
            what,
            {"kind": self.facts["chosen"], **self._given("epochs", "seed")},
            make,
            after=["encoder"] + (["tagged"] if settings.conll else []),
            outputs=[out],
        )

    def write_cards(self) -> None:
        """Write the cards of the encoder and of the Hugging Face directory, from what this run knows: always anew."""
        from . import cards

        encoder, hf = self.out / "encoder", self.out / "hf"
        if self.facts["chosen"] != BUNDLED:  # that one has a card of its own
            cards.write_encoder_facts(encoder, self.settings, self.facts)
        if self.settings.hf and self.settings.conll:
            cards.write_tagger_card(hf, encoder, self.facts, self.settings.task)
        elif self.settings.hf:
            for file in (FACTS_FILE, "README.md"):
                shutil.copyfile(encoder / file, hf / file)

    def open(self) -> Facts:
        """Open the wheel and the directory, each in a process of its own, and tag a sentence."""
        settings = self.settings

        def make() -> Facts:
            sentence = self._sentence()
            found: Facts = {"sentence": sentence}
            if settings.wheel:
                found["wheel"] = packages.open_wheel(self.out / self.facts["wheel"]["file"], sentence)
            if settings.hf:
                found["hf"] = packages.open_directory(self.out / "hf", sentence, bool(settings.conll))
            return found

        after = [name for name in ("wheel", "hf") if name in self.facts]
        return self.steps.step("opened", "opening them in a fresh process", {}, make, after=[*after, "text"])

    def _sentence(self) -> str:
        """A short test sentence with an entity, or a line of the text."""
        for s in self.splits().get("test", []):
            if 5 <= len(s) <= 25 and any(tag != "O" for tag in s.tags):
                return " ".join(s.words)
        lines = (line for line in iter_lines([self.text]) if 5 <= len(tokenize(line)) <= 25)
        return next(lines, "".join(self.facts["text"]["examples"][:1]))


def tagger_name(kind: str) -> str:
    """What a tagger is called in a sentence."""
    names = {WITHOUT: "without an encoder", "own": "with your own encoder", "joint": "with the joint encoder"}
    return names.get(kind, f"with {kind}")
