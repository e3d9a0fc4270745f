"""Students that tell unknown characters apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from distillemb_plugins import DistillEmb
from distillemb_plugins.characters import CharTable
from distillemb_plugins.distill import DistillSettings, distill
from distillemb_plugins.distill.student import unseen_characters, with_unknown_characters
from distillemb_plugins.teachers import Teacher

SMALL = {"buckets": 300, "ngram_dim": 12, "channels": 8, "hidden": 16}
SETTINGS = DistillSettings(encoder_args=SMALL, epochs=20, batch_size=32, device="cpu", codebook_words=260)


def test_words_of_unknown_letters_differ_in_every_face(tiny_teacher: Teacher, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    import distillemb_plugins.hf  # noqa: F401

    path = distill([tiny_teacher], tmp_path / "encoder", SETTINGS, progress=False)
    words = ["ɔhene", "ɛhene", "ŋhene", "ߊߋ", "ߋߊ"]
    encoder = DistillEmb.from_pretrained(path)
    assert encoder.config["vocab_size"] == len(encoder.characters) and encoder.characters.hashed == 256
    vectors = encoder.encode(words)
    cosines = np.corrcoef(vectors)
    assert cosines[~np.eye(len(words), dtype=bool)].max() < 0.9999
    batch = AutoTokenizer.from_pretrained(path)([words], is_split_into_words=True, return_tensors="pt")
    states = AutoModel.from_pretrained(path)(**batch).last_hidden_state[0]
    np.testing.assert_allclose(states.detach().numpy(), vectors, atol=1e-5)


def test_unknown_characters_are_learned(tiny_teacher: Teacher, tmp_path: Path) -> None:
    first = distill([tiny_teacher], tmp_path / "first", SETTINGS, progress=False)
    again = distill([tiny_teacher], tmp_path / "again", SETTINGS, progress=False)
    one, two = (DistillEmb.from_pretrained(path).files.tensors["convolution.weight"] for path in (first, again))
    np.testing.assert_array_equal(one, two)
    torch.manual_seed(0)
    characters = DistillEmb.from_pretrained(first).characters
    hashed = one.reshape(3, len(characters), -1)[:, characters.first_hashed :]
    assert len(np.unique(hashed.reshape(-1))) > 0.9 * hashed.size
    rng = np.random.default_rng(0)
    ids = torch.from_numpy(characters.encode(tiny_teacher.words[:2]).astype(np.int64))
    unseen = unseen_characters(characters, ids)
    changed = with_unknown_characters(ids, characters, unseen, rng)
    new = changed != ids
    assert not np.isin(np.concatenate(unseen), ids).any() and np.isin(changed[new], np.concatenate(unseen)).all()
    assert new.any(1).all() and (changed[~new] == ids[~new]).all()
    for row, before, where in zip(changed, ids, new, strict=True):
        assert len(set(row[where].tolist())) == 1 and len(set(before[where].tolist())) == 1, "a character everywhere"
        assert not (row == before[where][0]).any()
    classes = torch.tensor(characters.classes)
    assert (classes[changed[new]] == classes[ids[new]].clamp(min=1)).all()


def test_the_presets_of_the_papers_have_one_unknown_character() -> None:
    assert DistillSettings(preset="distillemb").hashed_characters == 0
    assert DistillSettings().hashed_characters == 256
    assert CharTable(["a"]).encode(["ɔ", "ɛ"]).tolist()[0] == CharTable(["a"]).encode(["ɛ"]).tolist()[0]
