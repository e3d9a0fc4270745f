"""The authors' checkpoints: every revision of their code, written as Lightning writes it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from distillemb_plugins.distill import convert_lightning_checkpoint
from distillemb_plugins.encoder import DistillEmb
from distillemb_plugins.errors import DistillEmbError

CHARSET = "ሰላምልጅabcdefgh-"
WORDS = ["ሰላም", "a", "abcdefghabcdefghabc", "ልጅ-ab"]


class Published(nn.Module):
    """The published network, written from its description; `head` lists (LayerNorm, Linear) names in order."""

    def __init__(self, positions: int, c3: int, c4: int, head: list[tuple[str, str, int]], activation: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(CHARSET) + 1, 64)
        self.norm0 = nn.LayerNorm([positions, 64])
        sizes = [positions, 64, 128, c3]
        for place, length in ((1, 30), (2, 13), (3, 4)):
            setattr(self, f"conv{place}", nn.Conv1d(sizes[place - 1], sizes[place], 5))
            setattr(self, f"norm{place}", nn.LayerNorm([sizes[place], length]))
        self.conv4 = nn.Conv1d(c3, c4, 3)
        width = 2 * c4
        for norm, linear, out in head:
            setattr(self, norm, nn.LayerNorm(width))
            setattr(self, linear, nn.Linear(width, out))
            width = out
        self.head, self.activation = head, activation
        for parameter in self.parameters():  # so that no norm is the identity
            nn.init.normal_(parameter, std=0.1)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.norm0(self.embedding(ids))
        for place in (1, 2, 3):
            x = functional.max_pool1d(getattr(self, f"conv{place}")(x), 2)
            x = getattr(self, f"norm{place}")(self.activation(x))
        x = self.conv4(x).reshape(len(ids), -1)
        for norm, linear, _ in self.head:
            x = getattr(self, linear)(getattr(self, norm)(self.activation(x)))
        output: Tensor = x
        return output


def published_ids(words: list[str], positions: int) -> Tensor:
    """As the authors' word2ids: cut, then half the padding on each side, the odd one at the end."""
    numbers = {character: number for number, character in enumerate([" ", *sorted(CHARSET)])}
    rows = []
    for word in words:
        ids = [numbers[c] for c in word[:positions]]
        pad = (positions - len(ids)) // 2
        rows.append([0] * pad + ids + [0] * (positions - len(ids) - pad))
    return torch.tensor(rows)


SMALL, LARGE = (13, 192, 256), (15, 256, 384)
REVISIONS: dict[str, tuple[tuple[int, int, int], list[tuple[str, str, int]], Any]] = {
    "distillemb-small": (SMALL, [("output_norm", "output_layer", 300)], functional.leaky_relu),
    "distillemb-mid": ((15, 192, 256), [("norm4", "fc1", 512), ("output_norm", "output_layer", 300)], functional.mish),
    "distillemb-large": (LARGE, [("norm4", "fc1", 512), ("output_norm", "output_layer", 300)], functional.mish),
    "old, two linear layers": (SMALL, [("norm4", "fc1", 384), ("norm5", "fc2", 300)], torch.relu),
    "old, one linear layer": (SMALL, [("norm4", "fc1", 300)], torch.relu),
}


def lightning(module: nn.Module) -> dict[str, Any]:
    """What pl.Trainer saves, as far as it matters."""
    return {
        "epoch": 63,
        "pytorch-lightning_version": "1.6.4",
        "state_dict": {f"model.{name}": tensor for name, tensor in module.state_dict().items()},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.1)}},
        "hyper_parameters": {"learning_rate": 0.001, "charset_path": None, "args": argparse.Namespace(x=1)},
    }


@pytest.mark.parametrize("name", REVISIONS)
def test_converted_encoder_gives_the_published_vectors(name: str, tmp_path: Path) -> None:
    sizes, head, activation = REVISIONS[name]
    torch.manual_seed(0)
    module = Published(*sizes, head, activation)
    torch.save(lightning(module), tmp_path / "a.ckpt")
    charset = tmp_path / "charset.txt"
    charset.write_text(CHARSET + "\n", "utf-8")
    encoder = DistillEmb.from_pretrained(convert_lightning_checkpoint(tmp_path / "a.ckpt", charset, tmp_path / "out"))
    with torch.no_grad():
        expected = module(published_ids(WORDS, sizes[0])).numpy()
    assert np.allclose(encoder.encode(WORDS), expected, atol=1e-5)
    if name.startswith("distillemb"):
        assert encoder.config["encoder_type"] == name
    assert np.isfinite(encoder.encode("漢字")).all()


def test_a_plain_torch_file_opens_too(tmp_path: Path) -> None:
    module = Published(*SMALL, [("output_norm", "output_layer", 300)], functional.leaky_relu)
    torch.save({"model_state_dict": module.state_dict()}, tmp_path / "a.pt")
    out = convert_lightning_checkpoint(tmp_path / "a.pt", list(CHARSET), tmp_path / "out")
    assert DistillEmb.from_pretrained(out).dim == 300


class Foreign:
    """Something a checkpoint could hold that is not plain data."""


def test_files_that_cannot_be_are_refused_in_one_sentence(tmp_path: Path) -> None:
    module = Published(*SMALL, [("output_norm", "output_layer", 300)], functional.leaky_relu)
    torch.save(lightning(module) | {"extra": Foreign()}, tmp_path / "foreign.ckpt")
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, tmp_path / "other.ckpt")
    torch.save(lightning(module), tmp_path / "good.ckpt")
    (tmp_path / "text.ckpt").write_text("no torch file")
    cases = [
        ("foreign.ckpt", CHARSET, "not loaded, because they could run code"),
        ("other.ckpt", CHARSET, "holds no conv1.weight"),
        ("text.ckpt", CHARSET, "text.ckpt"),
        ("missing.ckpt", CHARSET, "There is no checkpoint"),
        ("good.ckpt", CHARSET + "xyz", "the character set has 17"),
        ("good.ckpt", CHARSET[:-1] + "a", "holds 'a' twice"),
    ]
    for name, characters, words in cases:
        with pytest.raises(DistillEmbError, match=words) as caught:
            convert_lightning_checkpoint(tmp_path / name, list(characters), tmp_path / "out")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
