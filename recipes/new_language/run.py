"""The whole way for one language, step after step."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from distillemb_plugins.errors import DistillEmbError, require
from distillemb_plugins.evaluate.plots import word_maps
from distillemb_plugins.files import atomic_directory, atomic_file, directory_bytes, encoder_bytes, iter_lines
from distillemb_plugins.persistence import resolve
from distillemb_plugins.teachers import load_teacher
from distillemb_plugins.text import tokenize

from . import encoders, spacy_side
from .encoders import BUNDLED, STARTS, Effort
from .journal import Facts, Journal, identity
from .raw_text import LEAST_WORDS, expectation, is_word, prepare_text, sentence_key, text_files
from .tagged import SPLITS, Splits, find_splits, prepare_tagged
from .tagged import read as read_tagged

# Without tagged sentences nothing can be chosen; the comparison in README.md tells what this is worth.
DEFAULT_START = "joint"
AUTO = "auto"
REPORT, RESULTS, STEPS = "report.html", "report.json", "work/steps.json"
VERSION = "0.1.0"  # of the wheel
_EXAMPLES = 8
_LONGEST_EXAMPLE = 30  # words


@dataclass(frozen=True)
class Options:
    """What a run is asked for; see the command's help.

    starts: which encoders are made and compared on dev. steps: updates of each spaCy tagger. epochs: of the Hugging
    Face model. effort: smaller sizes for tests.
    """

    text: Path
    out: Path
    language: str
    conll: Path | None = None
    task: str = "ner"
    starts: tuple[str, ...] = STARTS
    title: str = ""
    licence: str = ""
    sources: tuple[str, ...] = ()
    seed: int = 0
    steps: int = 1000
    epochs: int = 20
    columns: int = 2
    least_words: int = LEAST_WORDS
    threads: int = 1
    progress: bool = True
    quiet: bool = False
    command: str = ""
    effort: Effort = field(default_factory=Effort)


def run(options: Options) -> Facts:
    """Go the whole way into ``options.out``, doing only what is not there yet; returns what ``report.json`` holds.

    Raises `DistillEmbError` for text and tagged sentences that cannot be used, `MissingExtraError` for what is not
    installed.
    """
    for module in ("spacy", "torch", "transformers", "accelerate", "gensim", "datasets", "seqeval"):
        require(module, "recipes")  # now, and not after minutes of work
    return _Run(_checked(options)).go()


def _checked(options: Options) -> Options:
    out = options.out
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / STEPS).is_file())):
        raise DistillEmbError(f"{out} holds something else than a run of this recipe: give another folder with -o.")
    unknown = [start for start in options.starts if start not in STARTS]
    if unknown or not options.starts:
        raise DistillEmbError(f"There is no start {', '.join(unknown)}: choose from {', '.join(STARTS)}, or {AUTO}.")
    if options.task not in spacy_side.SCORES:
        raise DistillEmbError(f"There is no task {options.task}: choose from {', '.join(spacy_side.SCORES)}.")
    if not options.language.strip():
        raise DistillEmbError("--language is empty: give the language's code, such as luo.")
    if options.conll is None and len(options.starts) > 1:
        return replace(options, starts=(DEFAULT_START,))
    return options


class _Run:
    """One run: its options, its folders, and the journal of its steps."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.out = options.out
        self.work = options.out / "work"
        self.data = self.out / "conll"
        self.text = self.work / "text.txt"
        self.teacher_file = self.work / "teacher.npz"
        self.made = [start for start in options.starts if start != BUNDLED]
        tagged = 4 + len(options.starts) if options.conll else 0
        self.journal = Journal(self.out / STEPS, 7 + len(self.made) + tagged, options.quiet)
        self.facts: Facts = {}

    def go(self) -> Facts:
        facts = self.facts
        if self.options.conll:
            facts["tagged"] = self.check_tagged(self.options.conll)
        facts["text"] = self.check_text()
        facts["teacher"] = self.teach()
        facts["encoders"] = {start: self.distil(start) for start in self.made}
        facts["start"] = self.compare() if self.options.conll else self.options.starts[0]
        facts["encoder"] = self.keep_encoder(facts["start"])
        facts["evaluation"] = self.evaluate(facts["start"])
        if self.options.conll:
            facts["test"] = self.test(facts["start"])
            facts["examples"] = self.examples(facts["start"])
        facts["wheel"] = self.package()
        facts["hf"] = self.hugging_face()
        self.write_cards()
        facts["opened"] = self.open_both()
        return self.report()

    def encoder(self, start: str) -> Path:
        return resolve(BUNDLED) if start == BUNDLED else self.work / f"encoder-{start}"

    def tagger(self, start: str) -> Path:
        return self.work / f"tagger-{start}"

    # -- what is given -----------------------------------------------------------------------------------------------

    def check_tagged(self, conll: Path) -> Facts:
        options = self.options
        files = sorted(file for some in find_splits(conll).values() for file in some)

        def make() -> Facts:
            facts, _ = prepare_tagged(conll, self.data, options.task, options.seed, options.columns)
            return asdict(facts)

        return self.journal.step(
            "tagged",
            "checking the tagged sentences",
            {"files": identity(files), "task": options.task, "seed": options.seed, "columns": options.columns},
            make,
            outputs=[self.data / f"{split}.txt" for split in SPLITS],
        )

    def check_text(self) -> Facts:
        options = self.options
        files = text_files(options.text)

        def make() -> Facts:
            splits = self.splits()
            held = {sentence_key(s.words) for name in ("dev", "test") for s in splits.get(name, [])}
            facts, counts = prepare_text(files, self.text, held, options.least_words)
            words = [w for s in splits.get("test", []) for w in s.words if is_word(w)]
            known = sum(unicodedata.normalize("NFC", word) in counts for word in words)
            coverage = {"covered": round(known / len(words), 4)} if words else {}
            return asdict(facts) | coverage | {"expectation": expectation(facts.words)}

        return self.journal.step(
            "text",
            "checking and counting the text",
            {"files": identity(files), "least": options.least_words},
            make,
            after=["tagged"] if options.conll else [],
            outputs=[self.text],
        )

    def splits(self) -> Splits:
        return read_tagged(self.data, self.options.task) if self.options.conll else {}

    # -- the encoder -------------------------------------------------------------------------------------------------

    def teach(self) -> Facts:
        options, words = self.options, int(self.facts["text"]["words"])
        settings = encoders.teacher_settings(words) | options.effort.teacher

        def make() -> Facts:
            teacher = encoders.teach(
                self.text,
                self.teacher_file,
                words,
                options.effort,
                seed=options.seed,
                threads=options.threads,
                progress=options.progress,
            )
            return {"words": len(teacher), "dim": teacher.dim, "bytes": self.teacher_file.stat().st_size, **settings}

        return self.journal.step(
            "teacher",
            f"teaching fastText from {words:,} words",
            settings | {"seed": options.seed},
            make,
            after=["text"],
            outputs=[self.teacher_file],
        )

    def distil(self, start: str) -> Facts:
        options, out = self.options, self.encoder(start)
        what = {"own": "distilling the table", "joint": f"distilling the table together with {BUNDLED}"}
        settings = encoders.student_settings(int(self.facts["teacher"]["words"])) | options.effort.student

        def make() -> Facts:
            teacher = load_teacher(self.teacher_file)
            encoders.distil(start, teacher, out, options.effort, seed=options.seed, progress=options.progress)
            return {"bytes": encoder_bytes(out), "held_out": encoders.held_out_scores(out), **settings}

        return self.journal.step(
            f"distil {start}",
            what[start],
            settings | {"start": start, "seed": options.seed},
            make,
            after=["teacher"],
            outputs=[out],
        )

    def keep_encoder(self, start: str) -> Facts:
        """The chosen encoder under its final name."""
        out = self.out / "encoder"

        def make() -> Facts:
            with atomic_directory(out, overwrite=True) as target:
                shutil.copytree(self.encoder(start), target, dirs_exist_ok=True)
            return {"start": start, "bytes": encoder_bytes(out), "directory_bytes": directory_bytes(out)}

        after = [] if start == BUNDLED else [f"distil {start}"]
        return self.journal.step(
            "encoder", f"keeping the encoder: {start}", {"start": start}, make, after=after, outputs=[out]
        )

    def evaluate(self, start: str) -> Facts:
        """Intrinsic scores of all encoders beside the teacher, and the maps of the teacher and the chosen one."""
        options = self.options
        maps = [self.work / f"map-{n}.svg" for n in range(2)]

        def make() -> Facts:
            teacher = load_teacher(self.teacher_file)
            named = [
                w for s in self.splits().get("train", []) for w, t in zip(s.words, s.tags, strict=True) if t[0] in "BI"
            ]
            counts = {word: len(teacher) - row for row, word in enumerate(teacher.words)}  # ranks do as well
            shown = encoders.words_to_show(counts, named if options.task == "ner" else ())
            paths = {one: self.encoder(one) for one in [start, *(o for o in options.starts if o != start)]}
            found = encoders.judge(paths, teacher, shown, progress=options.progress)
            if found.word_map and len(found.word_map.words) > 2:
                pictures = word_maps(found.word_map.words, found.word_map.vectors[:2])
                for file, svg in zip(maps, pictures, strict=True):
                    file.write_text(svg, "utf-8")
            return found.to_dict()

        after = ["teacher", *(f"distil {one}" for one in self.made)]
        settings = {"starts": options.starts, "chosen": start}
        return self.journal.step("evaluation", "evaluating the vectors", settings, make, after=after)

    # -- spaCy -------------------------------------------------------------------------------------------------------

    def compare(self) -> str:
        """Train a tagger without an encoder and one with each; the start with the best dev score."""
        self.facts["taggers"] = {start: self.train(start) for start in ("without", *self.options.starts)}
        return max(self.options.starts, key=lambda start: self.facts["taggers"][start]["dev"])

    def train(self, start: str) -> Facts:
        options = self.options
        encoder = None if start == "without" else self.encoder(start)
        name = "without an encoder" if encoder is None else f"with the encoder {start}"

        def make() -> Facts:
            config = spacy_side.tagger_config(
                options.task, options.language, self.data, encoder, seed=options.seed, steps=options.steps
            )
            out = self.tagger(start)
            return asdict(
                spacy_side.train_tagger(config, options.task, self.data, out, name=name, progress=options.progress)
            )

        after = ["tagged"] + ([f"distil {start}"] if start in self.made else [])
        settings = {"task": options.task, "language": options.language, "steps": options.steps, "seed": options.seed}
        return self.journal.step(
            f"tagger {start}",
            f"training a spaCy tagger {name}",
            settings,
            make,
            after=after,
            outputs=[self.tagger(start)],
        )

    def test(self, start: str) -> Facts:
        """The last measurement: test scores of the tagger without and of the chosen one."""

        def make() -> Facts:
            import spacy

            pair = {"without": "without", "with": start}
            return {
                name: spacy_side.score(spacy.load(self.tagger(of)), self.options.task, self.data / "test.txt")
                for name, of in pair.items()
            }

        after = ["tagger without", f"tagger {start}"]
        return self.journal.step("test", "scoring the two taggers on test", {"start": start}, make, after=after)

    def examples(self, start: str) -> Facts:
        """Test sentences as annotated and as both taggers tag them, drawn evenly and not chosen."""

        def make() -> Facts:
            from .examples import tag_examples

            taggers = {"without": self.tagger("without"), "with": self.tagger(start)}
            sentences = self.splits()["test"]
            return {"sentences": tag_examples(sentences, taggers, self.options.task, _EXAMPLES, _LONGEST_EXAMPLE)}

        after = ["tagger without", f"tagger {start}"]
        return self.journal.step("examples", "tagging example sentences", {"start": start}, make, after=after)

    def package(self) -> Facts:
        options = self.options
        name = spacy_side.package_name(options.language, options.task if options.conll else None)

        def make() -> Facts:
            pipeline = self.tagger(self.facts["start"])
            if not options.conll:
                pipeline = spacy_side.vectors_pipeline(self.out / "encoder", options.language, self.work / "vectors")
            for old in self.out.glob("*.whl"):
                old.unlink()
            about = f"{options.title or options.language}: made with distillemb-plugins."
            wheel = spacy_side.build_wheel(
                pipeline, self.out, name, {"version": VERSION, "description": about, "license": options.licence}
            )
            return {"file": wheel.name, "bytes": wheel.stat().st_size}

        settings = {"name": name, "title": options.title, "licence": options.licence, "version": VERSION}
        after = [f"tagger {self.facts['start']}"] if options.conll else ["encoder"]
        wheels = list(self.out.glob("*.whl")) or [self.out / "none.whl"]
        return self.journal.step(
            "wheel", "packaging the spaCy pipeline as a wheel", settings, make, after=after, outputs=wheels
        )

    # -- Hugging Face ------------------------------------------------------------------------------------------------

    def hugging_face(self) -> Facts:
        from . import hf_side

        options, out = self.options, self.out / "hf"

        def make() -> Facts:
            if not options.conll:
                hf_side.copy_encoder(self.out / "encoder", out)
                return {"bytes": directory_bytes(out)}
            settings = hf_side.settings_for(options.epochs, options.seed)
            found = hf_side.train_classifier(
                self.out / "encoder", options.task, self.data, out, settings, progress=False
            )
            return asdict(found) | {"bytes": found.size}

        what = "training the Hugging Face model" if options.conll else "writing the Hugging Face directory"
        after = ["encoder"] + (["tagged"] if options.conll else [])
        settings = {
            "start": self.facts["start"],
            "epochs": options.epochs,
            "seed": options.seed,
            "heads": hf_side.HEADS,
        }
        return self.journal.step("hf", what, settings, make, after=after, outputs=[out])

    def write_cards(self) -> None:
        """The cards of the encoder and of the Hugging Face directory, from what this run knows: always anew."""
        from . import cards

        start = self.facts["start"]
        if start != BUNDLED:  # that one has a card of its own
            cards.write_encoder_facts(self.options, self.facts, self.out / "encoder")
        if self.options.conll:
            cards.write_tagger_card(self.out / "hf", self.out / "encoder", self.facts, self.options.task)
        elif start != BUNDLED:
            shutil.copyfile(self.out / "encoder" / "README.md", self.out / "hf" / "README.md")

    def open_both(self) -> Facts:
        """Open the wheel and the directory, each in a process of its own, and tag a sentence."""

        def make() -> Facts:
            from . import hf_side

            sentence = self.sentence()
            wheel = self.out / self.facts["wheel"]["file"]
            return {
                "sentence": sentence,
                "wheel": spacy_side.open_wheel(wheel, sentence),
                "hf": hf_side.open_directory(self.out / "hf", sentence, bool(self.options.conll)),
            }

        return self.journal.step("opened", "opening both in a fresh process", {}, make, after=["wheel", "hf", "text"])

    def sentence(self) -> str:
        """A short test sentence with an entity, or a line of the text."""
        for s in self.splits().get("test", []):
            if 5 <= len(s) <= 25 and any(tag != "O" for tag in s.tags):
                return " ".join(s.words)
        lines = (line for line in iter_lines([self.text]) if 5 <= len(tokenize(line)) <= 25)
        return next(lines, self.facts["text"]["examples"][0] if self.facts["text"]["examples"] else "")

    # -- the report --------------------------------------------------------------------------------------------------

    def report(self) -> Facts:
        from .report import render

        options = self.options
        asked = {
            "language": options.language,
            "title": options.title,
            "task": options.task if options.conll else None,
            "licence": options.licence,
            "sources": list(options.sources),
            "seed": options.seed,
            "steps": options.steps,
            "out": options.out.as_posix(),
            "command": options.command,
        }
        facts = {"asked": asked, **self.facts, "seconds": self.journal.seconds()}
        maps = [file.read_text("utf-8") for file in sorted(self.work.glob("map-*.svg"))]
        with atomic_file(self.out / RESULTS, "w") as stream:
            json.dump(facts, stream, ensure_ascii=False, indent=1)
        with atomic_file(self.out / REPORT, "w") as stream:
            stream.write(render(facts, maps))
        return facts


def parse_starts(names: Sequence[str]) -> tuple[str, ...]:
    """``auto`` stands for all."""
    return STARTS if AUTO in names else tuple(dict.fromkeys(names))
