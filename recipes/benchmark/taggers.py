"""Words a second of taggers, with words in context and without, beside transformers of known shapes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from distillemb_plugins.evaluate import entity_scores
from distillemb_plugins.locations import bundled, bundled_names
from distillemb_plugins.tagging import Tagger, open_tagger
from recipes.benchmark.harness import Bench, Work, installed, interleaved, ratio_row, threads
from recipes.benchmark.pipelines import Corpus, computed
from recipes.results import Row

LENGTHS = (8, 48)  # words of a sentence
YARDSTICK = "a transformer of AfriBERTa-small's shape"
SHAPES = {YARDSTICK: (4, 6), "a transformer of XLM-R-base's shape": (12, 12)}  # layers, heads; 768 wide
TOKENS_A_WORD = 1.6  # of AfriBERTa-small's tokenizer
AT_LEAST = 6  # times the yardstick, over context layers
BATCH = 32  # sentences
HEAD: Row = {"head": "bilstm-crf", "shape_features": True, "head_activation": "relu"}
LABELS = ["O", *(f"{place}-{name}" for name in ("PER", "LOC", "ORG", "DATE") for place in "BI")]
Tag = Callable[[Sequence[Sequence[str]]], Any]


def tagging_rows(bench: Bench) -> list[Row]:
    """Words a second by the length of the sentences, and dev F1 where there is a trained tagger; one thread."""
    corpus, rows = Corpus(bench, bench.sizes.sentences, "dev"), []
    words = [word for sentence in corpus.sentences for word in sentence.words]
    with threads(1), tempfile.TemporaryDirectory() as folder:
        tags: dict[str, Tag] = {}
        more: dict[str, Row] = {}
        for name, tagger, trained in _taggers(bench, corpus, Path(folder)):
            tags[name] = tagger.tag_words
            more[name] = {"at_least": AT_LEAST} if "context" in name and "int8" not in name else {}
            if trained:
                found = [one.tags["ner"] for one in tagger.tag_words([s.words for s in corpus.sentences])]
                more[name]["ner_f1"] = round(entity_scores([s.tags for s in corpus.sentences], found)["f1"], 2)
        tags |= {name: _transformer(*shape) for name, shape in SHAPES.items()}
        for length in LENGTHS:
            cut = [words[start : start + length] for start in range(0, len(words), length)]
            some = {name: cut[:BATCH] if name in SHAPES else cut for name in tags}  # the slow ones read less
            cases: dict[str, Work] = {name: partial(_run, tag, some[name]) for name, tag in tags.items()}
            rates = interleaved(cases, bench.sizes.rounds)
            for name, each in rates.items():
                about, unit = more.get(name, {}), f"times {YARDSTICK}"
                section = f"tagging, 1 thread, sentences of {length} words"
                rows.append(ratio_row(section, name, unit, each, rates[YARDSTICK], **about))
    return rows


def _run(tag: Tag, sentences: Sequence[Sequence[str]]) -> int:
    tag(sentences)
    return sum(map(len, sentences))


def _taggers(bench: Bench, corpus: Corpus, folder: Path) -> Iterator[tuple[str, Tagger, bool]]:
    """Our taggers, and whether they are trained: those of recipes/tagging where they are there, else random heads."""
    from distillemb_plugins.finetune import build_model

    pipeline = folder / "spacy"
    corpus.pipeline(computed(bench.write(folder / "encoder"))).to_disk(pipeline)
    yield "spaCy, static vectors", open_tagger(pipeline), False
    for encoder in bundled_names():
        path = bench.taggers / f"hf-joint-{encoder}-0"
        if not (trained := path.is_dir()):
            path = folder / encoder
            for part in build_model(bundled(encoder), LABELS, **HEAD):
                part.save_pretrained(path)
        yield f"BiLSTM-CRF on {encoder}", open_tagger(path), trained
        if installed("onnx", "onnxruntime", "onnxscript"):
            for kind, exported in _exported(path, folder / f"{encoder}-onnx").items():
                yield f"BiLSTM-CRF on {encoder}, {kind}", open_tagger(exported), trained


def _exported(tagger: Path, out: Path) -> dict[str, Path]:
    """The tagger as ONNX, and with the weights of all that stands over the encoder in int8."""
    from onnxruntime.quantization import quantize_dynamic

    from distillemb_plugins.tagging.export import export_model
    from distillemb_plugins.tagging.exported import HEAD_FILE

    export_model(tagger, out)
    small = out.with_name(f"{out.name}-int8")
    shutil.copytree(out, small)
    quantize_dynamic(out / HEAD_FILE, small / HEAD_FILE)
    return {"onnx": out, "onnx, head in int8": small}


def _transformer(layers: int, heads: int) -> Tag:
    """A RoBERTa tagger with random weights, which reads made-up tokens. The size of its vocabulary costs no time."""
    import torch
    from transformers import RobertaConfig, RobertaForTokenClassification

    sizes: Row = {"hidden_size": 768, "intermediate_size": 3072, "vocab_size": 1000, "num_labels": len(LABELS)}
    model = RobertaForTokenClassification(
        RobertaConfig(num_hidden_layers=layers, num_attention_heads=heads, **sizes)
    ).eval()

    @torch.inference_mode()
    def tag(sentences: Sequence[Sequence[str]]) -> None:
        for start in range(0, len(sentences), BATCH):
            some = sentences[start : start + BATCH]
            tokens = round(TOKENS_A_WORD * max(map(len, some))) + 2
            model(torch.full((len(some), tokens), 7)).logits.argmax(-1)

    return tag
