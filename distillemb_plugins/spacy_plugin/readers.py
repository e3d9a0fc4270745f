"""`distillemb.ConllCorpus.v1`: CoNLL files straight into spaCy examples, without a conversion step."""

# No `from __future__ import annotations` here: confection reads the signatures' types to validate the config.

import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from ..data.conll import conll_files, read_sentences
from ..data.layout import UPOS, Layout, Sentence
from ..errors import DistillEmbError
from .pretrained import warn_of_unread_encoder

Paths = str | Path | list[str | Path]


class ConllCorpus:
    """CoNLL files as a spaCy corpus, `distillemb.ConllCorpus.v1`: one `Doc` for each sentence.

    Args:
        path: A file (plain, .gz, .xz, .bz2, .zip), a pattern (``data/*/train.txt``), a directory (searched), or a
            list of those.
        task: ``"ner"`` (tags to entities) or ``"pos"`` (part of speech to both ``token.pos`` and ``token.tag``;
            CoNLL-U files also give morphology).
        columns: How many a plain file has; what is None is found out. See `Layout`, as for the next six.
        tag_column: The column with the tag.
        labels: The only tags or types allowed.
        word_column: The column with the word.
        scheme: How the tags mark entities, such as ``"BIOES"``.
        comments: Whether lines that begin with ``#`` are comments.
        words: ``"syntactic"`` or ``"surface"`` words of CoNLL-U.
        max_length: Leave out sentences with more words; 0 keeps all.
        limit: The most sentences to read; 0 reads all.
        augmenter: A spaCy augmenter, applied to each example.
        shuffle: Shuffle the sentences before `limit`, always alike for one `seed`. Reads all into memory.
        gold_tokens: Let the pipeline see the file's words; when false, it tokenizes the text itself.
        xpos: Take ``token.tag`` from a CoNLL-U file's own tag (XPOS) instead of the universal one.
        more: Another reader whose examples follow, such as a ConllCorpus of the other task. What a sentence is not
            annotated with is ignored in training and scoring.
    """

    def __init__(
        self,
        path: Paths | None,
        *,
        task: str = "ner",
        columns: int | None = None,
        tag_column: int | None = None,
        labels: list[str] | None = None,
        word_column: int | None = None,
        scheme: str | None = None,
        comments: bool | None = None,
        words: str = "syntactic",
        max_length: int = 0,
        limit: int = 0,
        augmenter: Callable | None = None,
        shuffle: bool = False,
        seed: int = 0,
        gold_tokens: bool = True,
        xpos: bool = False,
        more: Callable | None = None,
    ) -> None:
        if path is None or path == []:
            raise DistillEmbError(
                "ConllCorpus: path is not set: give a file in [corpora.train] and [corpora.dev], or --paths.train FILE."
            )
        self.paths = list(path) if isinstance(path, list | tuple) else [path]
        self.layout = Layout(
            task=task,
            columns=columns,
            tag_column=tag_column,
            labels=None if labels is None else frozenset(labels),
            word_column=word_column,
            scheme=scheme,
            comments=comments,
            words=words,
        )
        self.max_length, self.limit = max_length, limit
        self.augmenter = augmenter
        self.shuffle, self.seed = shuffle, seed
        self.gold_tokens, self.xpos = gold_tokens, xpos
        self.more = more

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples. Raises `DistillEmbError` when there is no sentence at all."""
        warn_of_unread_encoder()  # where no block names an encoder, this is the only place that can
        empty = True
        for sentence in self.sentences():
            empty = False
            example = self._example(nlp, sentence)
            yield from [example] if self.augmenter is None else self.augmenter(nlp, example)
        if empty:
            raise DistillEmbError(f"ConllCorpus: no sentence in {', '.join(map(str, self.paths))}: check the files.")
        if self.more is not None:
            yield from self.more(nlp)

    def sentences(self) -> Iterator[Sentence]:
        """Yield the sentences that are kept, in their order."""
        found = (s for file in conll_files(self.paths) for s in read_sentences(file, self.layout))
        kept = (s for s in found if not self.max_length or len(s) <= self.max_length)
        if self.shuffle:
            everything = list(kept)
            random.Random(self.seed).shuffle(everything)
            kept = (s for s in everything)
        return islice(kept, self.limit or None)

    def _example(self, nlp: Language, sentence: Sentence) -> Example:
        reference = self._reference(nlp.vocab, sentence)
        if self.gold_tokens:
            return Example(Doc(nlp.vocab, words=sentence.words, spaces=sentence.spaces), reference)
        return Example(nlp.make_doc(reference.text), reference)

    def _reference(self, vocab: Vocab, sentence: Sentence) -> Doc:
        starts: list[bool | int | None] = [index == 0 for index in range(len(sentence))]
        if self.layout.task == "ner":
            return Doc(vocab, words=sentence.words, spaces=sentence.spaces, ents=sentence.tags, sent_starts=starts)
        return Doc(
            vocab,
            words=sentence.words,
            spaces=sentence.spaces,
            tags=sentence.xpos if self.xpos and sentence.xpos else sentence.tags,
            pos=[tag if tag in UPOS else "" for tag in sentence.tags],
            morphs=sentence.morphs or None,
            sent_starts=starts,
        )


create_conll_corpus = ConllCorpus  # where an installation of an earlier version looks for it
