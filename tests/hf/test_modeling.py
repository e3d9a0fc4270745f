"""The models: encoding, heads, loading, saving, and one clear sentence for every bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
)

from distillemb_plugins import DistillEmb
from distillemb_plugins.hf import (
    DistillEmbConfig,
    DistillEmbForSequenceClassification,
    DistillEmbForTokenClassification,
    DistillEmbModel,
)
from distillemb_plugins.layers import encoders_distillemb as encoders

from .conftest import SENTENCES, make_tagger

HEADS: list[dict[str, Any]] = [
    {"head": "linear"},
    {"head": "bilstm", "shape_features": True},
    {"head": "bilstm", "head_cell": "gru", "head_layers": 2, "head_activation": "gelu"},
    {"head": "bilstm-crf"},
]
HEAD_NAMES = ["linear", "bilstm", "bigru2", "bilstm-crf"]


@pytest.mark.parametrize("kind", ["distillemb-small", "char-cnn", "char-rnn", "ngram-bag", "ngram-sam", "cnn"])
def test_vectors_equal_those_of_numpy(tiny_encoder_dirs: dict[str, Path], kind: str, batch: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder_dirs[kind])
    encoded = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        found = AutoModel.from_pretrained(tiny_encoder_dirs[kind])(**encoded).last_hidden_state
    expected = DistillEmb.from_pretrained(tiny_encoder_dirs[kind])
    for row, sentence in zip(found, SENTENCES, strict=True):
        words = tokenizer.tokenize(sentence)
        np.testing.assert_allclose(row[: len(words)].numpy(), expected.encode(words), atol=1e-4)
        assert not row[len(words) :].any()


def test_distinct_words_are_encoded_once(tiny_encoder_dir: Path, tokenizer: Any) -> None:
    model = AutoModel.from_pretrained(tiny_encoder_dir).eval()
    seen: list[int] = []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    encoded = tokenizer(
        ["kita mji kita kita", "mji", "kita soma"], padding="max_length", max_length=50, return_tensors="pt"
    )
    vectors = model(**encoded).last_hidden_state
    assert seen == [3]  # kita, mji, soma; no padding
    assert torch.equal(vectors[0, 0], vectors[2, 0])
    without_mask = model(char_ids=encoded["char_ids"]).last_hidden_state
    assert torch.equal(vectors, without_mask)
    assert model(**tokenizer(["", " "], return_tensors="pt")).last_hidden_state.shape == (2, 1, 24)
    assert model(char_ids=torch.zeros(2, 0, 13, dtype=torch.long)).last_hidden_state.shape == (2, 0, 24)
    assert len(seen) == 2


def test_distinct_rows_survive_colliding_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.tensor([[1, 2], [2, 1], [1, 2], [3, 3]])
    for factor in (encoders._MIX, 2**63):  # the second makes every hash the same
        monkeypatch.setattr(encoders, "_MIX", factor)
        distinct, places = encoders.distinct_rows(rows)
        assert len(distinct) == 3 and torch.equal(distinct[places], rows)


def test_gradients_pass_through_shared_words(tiny_encoder_dir: Path, tokenizer: Any) -> None:
    model = AutoModel.from_pretrained(tiny_encoder_dir).eval()
    char_ids = tokenizer("kita mji kita", return_tensors="pt")["char_ids"]
    factors = torch.randn(1, 3, 24)
    (model(char_ids=char_ids).last_hidden_state * factors).sum().backward()
    found = model.encoder.output.weight.grad.clone()
    model.zero_grad()
    (model.encoder(char_ids[0]) * factors[0]).sum().backward()
    torch.testing.assert_close(found, model.encoder.output.weight.grad)


@pytest.mark.parametrize("settings", HEADS, ids=HEAD_NAMES)
def test_alone_and_in_a_batch(tiny_encoder_dir: Path, tokenizer: Any, batch: Any, settings: dict[str, Any]) -> None:
    model = make_tagger(tiny_encoder_dir, **settings)
    left = tokenizer(SENTENCES, padding="max_length", max_length=11, padding_side="left", return_tensors="pt")
    with torch.no_grad():
        together, from_left = model(**batch).logits, model(**left).logits
        for number, sentence in enumerate(SENTENCES):
            alone = model(**tokenizer(sentence, return_tensors="pt")).logits[0]
            torch.testing.assert_close(together[number, : len(alone)], alone, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(from_left[number, -len(alone) :], alone, atol=1e-5, rtol=1e-5)
    assert together.std() > 0.01


@pytest.mark.parametrize("settings", HEADS, ids=HEAD_NAMES)
def test_save_and_reload(tiny_encoder_dir: Path, batch: Any, tmp_path: Path, settings: dict[str, Any]) -> None:
    model = make_tagger(tiny_encoder_dir, **settings)
    model.save_pretrained(tmp_path)
    again, info = AutoModelForTokenClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert type(again) is DistillEmbForTokenClassification
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert torch.equal(again.eval()(**batch).logits, model(**batch).logits)
    for name, value in model.config.to_dict().items():
        assert name.startswith("_") or again.config.to_dict()[name] == value, name
    # a tagger's encoder opens in the other faces, and is the fine-tuned one
    bare = AutoModel.from_pretrained(tmp_path).eval()
    assert torch.equal(bare(**batch).last_hidden_state, model.distillemb(**batch).last_hidden_state)


def test_saved_directory_is_complete(tiny_encoder_dir: Path, tokenizer: Any, tmp_path: Path) -> None:
    model = make_tagger(tiny_encoder_dir)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    expected = {file.name for file in tiny_encoder_dir.iterdir()} - {"README.md"}
    assert {file.name for file in tmp_path.iterdir()} >= expected
    assert json.loads((tmp_path / "config.json").read_text("utf-8"))["auto_map"].keys() == {
        "AutoConfig",
        "AutoModel",
        "AutoModelForMaskedLM",
        "AutoModelForTokenClassification",
        "AutoModelForSequenceClassification",
    }
    for name in expected:
        if name.endswith(".py"):
            assert (tmp_path / name).read_text("utf-8") == (tiny_encoder_dir / name).read_text("utf-8")
            assert "from .." not in (tmp_path / name).read_text("utf-8")
    assert DistillEmb.from_pretrained(tmp_path).encode("kita").shape == (24,)


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_compact_storage_opens(tiny_encoder_dir: Path, tmp_path: Path, batch: Any, storage: Any) -> None:
    encoder = DistillEmb.from_pretrained(tiny_encoder_dir)
    encoder.save_pretrained(tmp_path / "small", storage=storage)
    small = DistillEmb.from_pretrained(tmp_path / "small")
    model = AutoModel.from_pretrained(tmp_path / "small").eval()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    expected = small.encode("kitani")
    np.testing.assert_allclose(model(**batch).last_hidden_state[0, 0].detach().numpy(), expected, atol=1e-5)
    tagger = AutoModelForTokenClassification.from_pretrained(tmp_path / "small", num_labels=7, head="linear")
    assert tagger.config.num_labels == 7
    np.testing.assert_allclose(tagger.distillemb(**batch).last_hidden_state[0, 0].detach().numpy(), expected, atol=1e-5)
    tagger.save_pretrained(tmp_path / "tagger")
    assert json.loads((tmp_path / "tagger" / "config.json").read_text("utf-8"))["storage"] == "float32"
    again = AutoModel.from_pretrained(tmp_path / "tagger").eval()
    assert torch.equal(again(**batch).last_hidden_state, model(**batch).last_hidden_state)


def test_parameter_groups_and_freezing(tiny_encoder_dir: Path, batch: Any) -> None:
    model = make_tagger(tiny_encoder_dir, head="bilstm-crf")
    groups = model.parameter_groups(lr=0.1, encoder_lr=0.01, weight_decay=0.5)
    assert {(g["lr"], g["weight_decay"]) for g in groups} == {(0.1, 0.5), (0.1, 0.0), (0.01, 0.5), (0.01, 0.0)}
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    encoder = {id(p) for p in model.distillemb.parameters()}
    assert all((id(p) in encoder) == (g["lr"] == 0.01) for g in groups for p in g["params"])

    frozen = make_tagger(tiny_encoder_dir, freeze_encoder=True)
    assert {g["lr"] for g in frozen.parameter_groups(lr=0.1, encoder_lr=0.01)} == {0.1}
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    frozen.train()
    assert frozen.context.training and not frozen.distillemb.encoder.training
    optimiser = torch.optim.AdamW(frozen.parameter_groups(lr=0.1))
    frozen(**batch, labels=batch["input_ids"]).loss.backward()
    optimiser.step()
    changed = {name for name, value in frozen.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and not any(name.startswith("distillemb.") for name in changed)


def test_a_head_reads_word_vectors_beside_states(tiny_context_dir: Path, tmp_path: Path) -> None:
    plain, both = (make_tagger(tiny_context_dir, head="linear", static_vectors=reads) for reads in (False, True))
    dim, size = both.config.dim, both.config.context_size
    assert (plain.classifier.in_features, both.classifier.in_features) == (size, size + dim)
    char_ids = torch.randint(2, both.config.vocab_size, (1, 3, both.config.max_chars))
    both.save_pretrained(tmp_path / "both")
    again = AutoModelForTokenClassification.from_pretrained(tmp_path / "both").eval()
    torch.testing.assert_close(again(char_ids).logits, both(char_ids).logits)
    with torch.no_grad():
        both.classifier.weight[:, :size] = 0  # so that the vectors decide, which know nothing of their neighbors
        both.norm = torch.nn.Identity()  # it takes the mean over all
        alone, among = both(char_ids[:, :1]).logits, both(char_ids).logits
    torch.testing.assert_close(alone[0, 0], among[0, 0])
    assert (among[0, 0] != among[0, 1]).any()


def test_a_masked_word_head_is_begun_when_its_size_is_given(tiny_context_dir: Path, batch: Any) -> None:
    with pytest.raises(ValueError, match="context_layers is 2 and word_vocabulary 0: .* word_vocabulary=25000 begins"):
        AutoModelForMaskedLM.from_pretrained(tiny_context_dir)
    model = AutoModelForMaskedLM.from_pretrained(tiny_context_dir, word_vocabulary=9)
    assert model(**batch).logits.shape[-1] == 9


def test_lower_context_layers_learn_more_slowly(tiny_context_dir: Path) -> None:
    model = make_tagger(tiny_context_dir, head="linear")
    owners = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = model.parameter_groups(1.0, 2.0, context_lr=8.0, context_layer_decay=0.5)
    rates = {owners[id(p)]: group["lr"] for group in groups for p in group["params"]}
    parts = {
        "classifier": 1.0,
        "distillemb.encoder": 2.0,
        "distillemb.context_layers.output_norm": 8.0,
        "distillemb.context_layers.layers.1": 8.0,
        "distillemb.context_layers.layers.0": 4.0,
        "distillemb.context_layers.input": 2.0,
        "distillemb.context_layers.mask_vector": 2.0,
    }
    for part, rate in parts.items():
        assert {r for name, r in rates.items() if name.startswith(part)} == {rate}, part


def test_low_rank_adapters_of_the_context_layers_are_saved_and_merged(
    tiny_context_dir: Path, batch: Any, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    settings: dict[str, Any] = {
        "target_modules": ["attention_in", "attention_out", "feed_forward_in", "feed_forward_out"],
        "modules_to_save": ["classifier"],
    }
    plain = make_tagger(tiny_context_dir, head="linear")
    before = plain(**batch).logits
    model = peft.get_peft_model(plain, peft.LoraConfig(r=2, init_lora_weights=False, **settings)).eval()
    learned = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert len(learned) == 2 * 4 * 2 + 2 and not any(".encoder." in name for name in learned)
    adapted = model(**batch).logits
    assert not torch.allclose(adapted, before, atol=1e-3)
    model.save_pretrained(tmp_path / "adapter")
    again = peft.PeftModel.from_pretrained(make_tagger(tiny_context_dir, head="linear"), tmp_path / "adapter").eval()
    torch.testing.assert_close(again(**batch).logits, adapted)
    again.merge_and_unload().save_pretrained(tmp_path / "merged")
    merged = AutoModelForTokenClassification.from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(merged(**batch).logits, adapted, rtol=1e-4, atol=1e-4)


def test_dropouts_are_separate(tiny_encoder_dir: Path, batch: Any) -> None:
    model = make_tagger(tiny_encoder_dir, head="linear", head_dropout=0.0, encoder_dropout=0.0)
    model.distillemb.encoder.eval()
    for name in ("encoder_dropout", "dropout"):
        model.train()
        model.distillemb.encoder.eval()
        assert torch.equal(model(**batch).logits, model(**batch).logits)
        getattr(model, name).p = 0.5
        assert not torch.equal(model(**batch).logits, model(**batch).logits)
        getattr(model, name).p = 0.0


@pytest.mark.parametrize("head", ["linear", "bilstm", "bilstm-crf"])
def test_loss_counts_labelled_words_only(tiny_encoder_dir: Path, batch: Any, head: str) -> None:
    model = make_tagger(tiny_encoder_dir, head=head)
    labels = torch.full(batch["input_ids"].shape, 1)  # padding labelled too: the mask must win
    loss = model(**batch, labels=labels).loss
    words = int(batch["attention_mask"].sum())
    padded = labels.masked_fill(batch["attention_mask"] == 0, -100)
    torch.testing.assert_close(model(**batch, labels=padded).loss, loss)
    torch.testing.assert_close(model(**batch, labels=labels, num_items_in_batch=2 * words).loss, loss / 2)
    labels[0, 1] = -100
    assert not torch.isclose(model(**batch, labels=labels).loss, loss)
    nothing = model(**batch, labels=torch.full_like(labels, -100)).loss
    nothing.backward()
    assert nothing.abs() < 1e-5 and all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("head", ["linear", "bilstm", "bilstm-crf"])
def test_bf16_autocast_trains(tiny_encoder_dir: Path, batch: Any, head: str) -> None:
    model = make_tagger(tiny_encoder_dir, head=head).train()
    expected = model.eval()(**batch, labels=batch["input_ids"]).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(**batch, labels=batch["input_ids"])
        loss = model.train()(**batch, labels=batch["input_ids"]).loss
    loss.backward()
    torch.testing.assert_close(output.loss, expected, rtol=0.05, atol=0.05)
    gradients = [p.grad for p in model.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients) and any(g.any() for g in gradients)


@pytest.mark.parametrize("kind", ["single", "multi", "regression"])
@pytest.mark.parametrize("head", ["linear", "bilstm"])
def test_text_classification(tiny_encoder_dir: Path, tokenizer: Any, batch: Any, kind: str, head: str) -> None:
    settings: dict[str, Any] = {
        "single": {"num_labels": 3},
        "multi": {"num_labels": 2, "problem_type": "multi_label_classification"},
        "regression": {"num_labels": 1},
    }[kind]
    labels = {
        "single": torch.tensor([0, 2, 1]),
        "multi": torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]),
        "regression": torch.tensor([0.5, 1.0, -2.0]),
    }[kind]
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        tiny_encoder_dir, head=head, head_hidden_size=8, **settings
    )
    assert type(model) is DistillEmbForSequenceClassification
    output = model.eval()(**batch, labels=labels)
    output.loss.backward()
    assert output.logits.shape == (3, settings["num_labels"]) and output.loss.isfinite()
    expected = {
        "single": torch.nn.functional.cross_entropy,
        "multi": torch.nn.functional.binary_cross_entropy_with_logits,
        "regression": lambda x, y: torch.nn.functional.mse_loss(x[:, 0], y),
    }[kind](output.logits, labels)
    torch.testing.assert_close(output.loss, expected)
    alone = torch.cat([model(**tokenizer(s, return_tensors="pt")).logits for s in SENTENCES])
    torch.testing.assert_close(output.logits, alone, atol=1e-5, rtol=1e-5)
    assert model(**tokenizer("", return_tensors="pt")).logits.isfinite().all()
    assert model(char_ids=torch.zeros(2, 0, 13, dtype=torch.long)).logits.isfinite().all()


def test_outputs_as_tuples_and_states(tiny_encoder_dir: Path, batch: Any) -> None:
    model = make_tagger(tiny_encoder_dir)
    output = model(**batch, labels=batch["input_ids"], output_hidden_states=True)
    loss, logits, states = model(**batch, labels=batch["input_ids"], output_hidden_states=True, return_dict=False)
    assert torch.equal(loss, output.loss) and torch.equal(logits, output.logits)
    assert states[0].shape == (*logits.shape[:2], 24) and states[1].shape == (*logits.shape[:2], 16)
    (vectors,) = model.distillemb(**batch, return_dict=False)
    assert torch.equal(vectors, states[0])


def test_fresh_models_keep_the_encoders_own_start() -> None:
    config = DistillEmbConfig(dim=8, vocab_size=9, encoder_args={"buckets": 500})
    torch.manual_seed(0)
    weights = AutoModel.from_config(config).encoder.table.weight
    assert not weights[0].any() and 0.08 < weights[1:].std().item() < 0.12


def test_head_weights_are_initialised_when_a_head_is_put_on(tiny_encoder_dir: Path) -> None:
    """Built on the meta device and not in the checkpoint: norm weights must be ones, the table of shapes filled."""
    model = AutoModelForTokenClassification.from_pretrained(tiny_encoder_dir, head="bilstm-crf", shape_features=True)
    assert torch.equal(model.norm.weight, torch.ones_like(model.norm.weight))
    assert model.shapes.classes.tolist() == model.config.character_classes and model.shapes.classes.max() <= 4
    assert all(p.isfinite().all() and p.abs().max() < 2 for p in (*model.crf.parameters(), *model.context.parameters()))


def test_bad_inputs(tiny_encoder_dir: Path, batch: Any) -> None:
    model = make_tagger(tiny_encoder_dir, max_words=10)
    ids = batch["char_ids"]
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "char_ids is missing"),
        ({"char_ids": ids[0]}, r"\[7, 13\]: it must be \[batch, words, 13\]"),
        ({"char_ids": ids[:, :, :5]}, r"must be \[batch, words, 13\]"),
        ({"char_ids": ids.float()}, "give whole numbers"),
        ({"char_ids": ids - 1}, "char_ids holds -1"),
        ({"char_ids": ids + 500}, r"char_ids holds \d+, and the encoder knows ids 0 to"),
        ({"char_ids": ids.repeat(1, 2, 1)}, "A sentence has 14 words, and max_words is 10"),
        ({"char_ids": ids, "attention_mask": torch.ones(3, 2)}, "attention_mask has the shape"),
        ({"char_ids": ids, "labels": torch.zeros(3, 2).long()}, r"labels has the shape \[3, 2\], not \[3, 7\]"),
        ({"char_ids": ids, "labels": torch.full((3, 7), 5)}, r"labels holds 5, and the model has 5 labels"),
    ]
    for inputs, message in cases:
        with pytest.raises(ValueError, match=message):
            model(**inputs)
    classifier = AutoModelForSequenceClassification.from_pretrained(tiny_encoder_dir, head="linear", num_labels=2)
    for labels, message in (([0, 1], "2 labels for 3 texts"), ([0, 1, 2], "labels holds 2")):
        with pytest.raises(ValueError, match=message):
            classifier(char_ids=ids, labels=torch.tensor(labels))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "lstm"}, "head is 'lstm': choose one of linear, bilstm, bilstm-crf"),
        ({"head_cell": "rnn"}, "head_cell is 'rnn'"),
        ({"head_dropout": 1.5}, "head_dropout is 1.5"),
        ({"head_layers": 0}, "head_layers is 0"),
        ({"head_activation": "mish"}, "head_activation is 'mish'"),
    ],
)
def test_bad_settings(tiny_encoder_dir: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DistillEmbConfig(**settings)
    with pytest.raises(ValueError, match=message):
        AutoModelForTokenClassification.from_pretrained(tiny_encoder_dir, **settings)


def test_a_crf_cannot_classify_texts(tiny_encoder_dir: Path) -> None:
    with pytest.raises(ValueError, match="labels words"):
        AutoModelForSequenceClassification.from_pretrained(tiny_encoder_dir, head="bilstm-crf")
    with pytest.raises(ValueError, match="character_classes"):
        DistillEmbForTokenClassification(DistillEmbConfig(shape_features=True))


def test_other_architectures_and_formats_are_refused(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    BertConfig(hidden_size=8, num_attention_heads=1).save_pretrained(tmp_path / "bert")
    with pytest.raises(ValueError, match="holds a model of type 'bert', not 'distillemb'"):
        DistillEmbModel.from_pretrained(tmp_path / "bert")

    newer = shutil.copytree(tiny_encoder_dir, tmp_path / "newer")
    config = json.loads((newer / "config.json").read_text("utf-8"))
    (newer / "config.json").write_text(json.dumps({**config, "format_version": 99}), "utf-8")
    with pytest.raises(ValueError, match="written in format 99"):
        AutoConfig.from_pretrained(newer)

    (newer / "config.json").write_text(json.dumps({**config, "dim": 30}), "utf-8")
    with pytest.raises(ValueError, match=r"do not fit the sizes in config\.json"):
        AutoModel.from_pretrained(newer)

    (newer / "config.json").write_text(json.dumps(config), "utf-8")
    weights = load_file(newer / "model.safetensors")
    weights = {f"bert.{name}": weight for name, weight in weights.items()}
    save_file(weights, newer / "model.safetensors", metadata={"format": "pt"})
    for auto in (AutoModel, AutoModelForTokenClassification):
        with pytest.raises(ValueError, match="holds no weights for"):
            auto.from_pretrained(newer)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_models_run_in_half_precision(tiny_encoder_dir: Path, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    whole = DistillEmbModel.from_pretrained(tiny_encoder_dir, dtype=torch.float32).eval()
    half = DistillEmbModel.from_pretrained(tiny_encoder_dir, dtype=dtype).eval()
    char_ids = torch.randint(1, 20, (2, 3, whole.config.max_chars))
    with torch.no_grad():
        vectors = [model(char_ids=char_ids).last_hidden_state.float() for model in (whole, half)]
    assert half.dtype == dtype
    assert torch.allclose(*vectors, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, {"max_shard_size": "3KB"}])
def test_a_saved_model_alone_opens_in_numpy(
    tiny_encoder_dir: Path, tmp_path: Path, dtype: torch.dtype, options: dict[str, Any]
) -> None:
    from distillemb_plugins import DistillEmb

    model = DistillEmbModel.from_pretrained(tiny_encoder_dir, dtype=dtype)
    model.save_pretrained(tmp_path / "saved", **options)
    found = DistillEmb.from_pretrained(tmp_path / "saved").encode(["kita", "ndege"])
    wanted = DistillEmb.from_pretrained(tiny_encoder_dir).encode(["kita", "ndege"])
    np.testing.assert_allclose(found, wanted, atol=1e-6 if dtype == torch.float32 else 0.05)


def test_only_a_new_head_is_reported_as_missing(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    """What transformers' LOAD REPORT lists; the page on troubleshooting explains it."""
    model, info = DistillEmbForTokenClassification.from_pretrained(
        tiny_encoder_dir, head="linear", num_labels=3, output_loading_info=True
    )
    assert info["missing_keys"] and not [key for key in info["missing_keys"] if ".encoder." in key]
    model.save_pretrained(tmp_path)
    _, info = DistillEmbForTokenClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
