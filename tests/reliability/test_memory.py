"""Memory stays flat however many distinct words pass. `campaign.py` measures a million in a process of its own."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from distillemb_plugins import DistillEmb


def test_memory_is_flat_over_distinct_words(tiny_encoder_dir: Path) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir, cache_size=1000)

    def encode(first: int, blocks: int) -> int:
        for start in range(first, first + blocks * 500, 500):
            encoder.encode([f"neno{number}ẹ́" for number in range(start, start + 500)])
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        warm = encode(0, 6)
        after = encode(3000, 20)
    finally:
        tracemalloc.stop()
    assert encoder.cache_bytes <= 1000 * encoder.dim * 4
    assert after - warm < 300_000  # 10,000 kept words would be over a megabyte
