"""The published way, as the yardstick: Mersha & Wu 2022 as one would write it down, and as their code does it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from distillemb_plugins import Teacher
from distillemb_plugins.text import tokenize
from recipes.results import Row

WORDS_A_CALL = 512
MAX_CHARS = 13
BATCH = 64
WINDOW = 32


def padded(word: str, ids: dict[str, int]) -> list[int]:
    """The ids of a word's first 13 characters through a dict, half of the padding on each side."""
    row = [ids.get(character, 1) for character in word[:MAX_CHARS]]
    left = (MAX_CHARS - len(row)) // 2
    return [0] * left + row + [0] * (MAX_CHARS - len(row) - left)


def character_ids(words: list[str]) -> dict[str, int]:
    """A number from 2 on for each character: 0 is the padding, 1 an unknown one."""
    return {character: place + 2 for place, character in enumerate(sorted(set("".join(words))))}


def published_network(characters: int, dim: int) -> tuple[Row, Any]:
    """Configuration and torch module of `distillemb-small` with random weights."""
    import torch

    from distillemb_plugins.hf import DistillEmbConfig
    from distillemb_plugins.hf.encoders_distillemb import build_encoder

    sizes: Row = {"dim": dim, "vocab_size": characters, "max_chars": MAX_CHARS}
    config = DistillEmbConfig(encoder_type="distillemb-small", **sizes)
    torch.manual_seed(0)
    return config.to_dict(), build_encoder(config)


def published_encoder(words: list[str], dim: int) -> Callable[[list[str]], np.ndarray]:
    """`distillemb-small` in torch eager, 512 words a call: words to vectors float32 ``[n, dim]``."""
    import torch

    ids = character_ids(words)
    module = published_network(len(ids) + 2, dim)[1].eval()

    @torch.no_grad()
    def encode(wanted: list[str]) -> np.ndarray:
        calls = (wanted[start : start + WORDS_A_CALL] for start in range(0, len(wanted), WORDS_A_CALL))
        return np.concatenate([module(torch.tensor([padded(word, ids) for word in some])).numpy() for some in calls])

    return encode


class PublishedItems:
    """One example an item: the word's characters, its vector, and the nearest word of a random window of the text.

    As in the published code: vectors in a dict, the window's stacked, compared and sorted in NumPy for each item.
    """

    def __init__(self, teacher: Teacher, corpus: Path) -> None:
        self.vectors = dict(zip(teacher.words, teacher.vectors, strict=True))
        self.tokens = [token for token in tokenize(corpus.read_text("utf-8")) if token in self.vectors]
        self.words, self.ids = teacher.words, character_ids(teacher.words)

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, place: int) -> tuple[Any, Any, Any]:
        import torch

        word = self.words[place]
        near: list[str] = []
        while not near:
            start = random.randint(0, len(self.tokens) - WINDOW)
            near = list(set(self.tokens[start : start + WINDOW]) - {word})
        distances = np.linalg.norm(np.stack([self.vectors[other] for other in near]) - self.vectors[word], axis=1)
        negative = near[int(np.argsort(distances)[0])]
        rows = torch.LongTensor(padded(word, self.ids))
        return rows, torch.Tensor(self.vectors[word]), torch.Tensor(self.vectors[negative])


def published_training_speed(teacher: Teacher, corpus: Path, seconds: float, warmup_steps: int = 3) -> float:
    """Examples a second of processor time of the published training: batches of 64, float32, triplet loss."""
    import torch
    from torch.utils.data import DataLoader

    items: Any = PublishedItems(teacher, corpus)
    module = published_network(len(items.ids) + 2, teacher.dim)[1].train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    loss = torch.nn.TripletMarginLoss(margin=1.0)
    loader = DataLoader(items, batch_size=BATCH, shuffle=True, drop_last=True)
    step = examples = 0
    start = time.process_time()
    while True:
        for rows, positive, negative in loader:
            if step == warmup_steps:
                start, examples = time.process_time(), 0
            optimizer.zero_grad()
            loss(module(rows), positive, negative).backward()
            optimizer.step()
            step, examples = step + 1, examples + len(rows)
            if step > warmup_steps and time.process_time() - start > seconds:
                return examples / (time.process_time() - start)
