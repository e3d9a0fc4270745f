"""What users set in transformers is honored, warned of or refused, and never passed over in silence."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
    pipeline,
)

from distillemb_plugins import DistillEmb
from distillemb_plugins.characters import CharTable
from distillemb_plugins.hf.tokenization_distillemb import build_tokenizer

from .conftest import make_tagger

WORDS = ["kitani", "nyota", "ilé", "rafiki", "ndege", "omwana"]


def classifier(directory: Path, **settings: Any) -> Any:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(directory, head="linear", **settings)


# Outputs


@pytest.mark.parametrize("where", ["from_pretrained", "config", "forward"])
def test_hidden_states(where: str, tiny_encoder_dir: Path, batch: Any) -> None:
    given = {"output_hidden_states": True}
    for load in (AutoModel.from_pretrained, make_tagger, classifier):
        model = load(tiny_encoder_dir, **(given if where == "from_pretrained" else {})).eval()  # type: ignore[operator]
        if where == "config":
            model.config.output_hidden_states = True
        words = model.base_model(**batch).last_hidden_state
        asked = given if where == "forward" else {}
        states = model(**batch, **asked).hidden_states
        assert torch.equal(states[0], words)  # the static vectors come first
        assert torch.equal(model(**batch, return_dict=False, **asked)[-1][0], words)
        assert model(**batch, output_hidden_states=False).hidden_states is None


@pytest.mark.parametrize("load", [AutoModel.from_pretrained, make_tagger, classifier])
def test_there_are_no_attentions(load: Any, tiny_encoder_dir: Path, batch: Any) -> None:
    model = load(tiny_encoder_dir, output_attentions=True).eval()
    assert model(**batch).attentions is None and model(**batch, output_attentions=True).attentions is None


def test_tuples_where_the_config_says_so(tiny_encoder_dir: Path, batch: Any) -> None:
    model = make_tagger(tiny_encoder_dir, return_dict=False)
    assert isinstance(model(**batch), tuple) and model(**batch, return_dict=True).logits is not None


# Losses outside the model


def tagged(tokenizer: Any) -> list[dict[str, Any]]:
    """Sentences whose labels follow from the label before, so that transitions are worth learning."""
    encoded = tokenizer([" ".join(WORDS[at:] + WORDS[:at]) for at in range(6)])
    return [
        {"input_ids": ids, "char_ids": chars, "attention_mask": mask, "labels": [0, 1, 2, 0, 3, 4]}
        for ids, chars, mask in zip(encoded["input_ids"], encoded["char_ids"], encoded["attention_mask"], strict=True)
    ]


def weighted(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
    """Classes with weights, as transformers' documentation shows it."""
    weight = torch.tensor([0.2, 1.0, 1.0, 1.0, 1.0])
    return torch.nn.functional.cross_entropy(outputs.logits.flatten(0, 1), labels.flatten(), weight=weight)


@pytest.mark.parametrize("head", ["linear", "bilstm", "bilstm-crf"])
@pytest.mark.parametrize("outside", ["label_smoothing", "compute_loss_func", "neither"])
def test_a_loss_outside_the_model_trains_every_head(
    head: str, outside: str, tiny_encoder_dir: Path, tokenizer: Any, tmp_path: Path
) -> None:
    model = make_tagger(tiny_encoder_dir, head=head, freeze_encoder=head == "bilstm")
    before = {name: value.clone() for name, value in model.named_parameters()}
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        label_smoothing_factor=0.1 if outside == "label_smoothing" else 0.0,
        num_train_epochs=25,
        per_device_train_batch_size=3,
        gradient_accumulation_steps=2,
        learning_rate=0.02,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        bf16=head == "linear",
    )
    data = tagged(tokenizer)
    trainer = Trainer(
        model,
        arguments,
        train_dataset=data,  # type: ignore[arg-type]
        eval_dataset=data,  # type: ignore[arg-type]
        processing_class=tokenizer,
        compute_loss_func=weighted if outside == "compute_loss_func" else None,
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1),
        compute_metrics=lambda found: {"accuracy": float((found.predictions == found.label_ids).mean())},
    )
    first = trainer.evaluate()
    trainer.train()
    last = trainer.evaluate()
    assert last["eval_loss"] < first["eval_loss"]
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]) != value.requires_grad, name
    if head == "bilstm-crf":
        assert last["eval_accuracy"] > first["eval_accuracy"] + 0.2


def test_log_marginals_are_what_an_outside_loss_gets(tiny_encoder_dir: Path, batch: Any) -> None:
    model = make_tagger(tiny_encoder_dir, head="bilstm-crf", head_dropout=0.0, encoder_dropout=0.0)
    model.distillemb.eval()
    model.training = True
    logits = model(**batch).logits
    mask = batch["attention_mask"].bool()
    assert torch.allclose(logits.exp().sum(-1)[mask], torch.ones(int(mask.sum())), atol=1e-5)
    assert (logits[~mask] == 0).all()
    labels = batch["attention_mask"] - 1
    assert not torch.allclose(model(**batch, labels=labels * 100).logits, logits)  # emissions: they cost less


# What labels are


@pytest.mark.parametrize(
    ("labels", "num_labels", "kind"),
    [
        (torch.tensor([0, 2, 1]), 3, "single_label_classification"),
        (torch.tensor([0, 2, 1], dtype=torch.int32), 3, "single_label_classification"),
        (torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]]), 3, "multi_label_classification"),
        (torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]]).bool(), 3, "multi_label_classification"),
        (torch.tensor([0.5, 2.0, 1.0]), 1, "regression"),
        (torch.tensor([[0.5], [2.0], [1.0]]), 1, "regression"),
        (torch.tensor([1, 2, 3]), 1, "regression"),
    ],
)
def test_the_kind_of_problem_is_inferred_and_saved(
    labels: Any, num_labels: int, kind: str, tiny_encoder_dir: Path, batch: Any, tmp_path: Path
) -> None:
    model = classifier(tiny_encoder_dir, num_labels=num_labels).eval()
    logits = model(**batch).logits
    assert model.config.problem_type is None
    loss = model(**batch, labels=labels).loss
    losses = {
        "single_label_classification": lambda: torch.nn.functional.cross_entropy(logits, labels.long()),
        "multi_label_classification": lambda: torch.nn.BCEWithLogitsLoss()(logits, labels.float()),
        "regression": lambda: torch.nn.MSELoss()(logits.view(-1), labels.float().view(-1)),
    }
    assert torch.allclose(loss, losses[kind]())
    model.save_pretrained(tmp_path)
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path).config.problem_type == kind


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (torch.tensor([0.0, 1.0, 2.0]), {"num_labels": 3}, r"\[3\], and multi_label.* needs \[3, 3\]: .* or whole"),
        (torch.zeros(3, 2), {"num_labels": 3}, r"has the shape \[3, 2\], and multi_label"),
        (torch.zeros(3, 3).long(), {"num_labels": 3}, "for several labels of a text, floats"),
        (torch.zeros(3, 2), {"num_labels": 1}, r"and regression needs \[3, 1\]"),
        (torch.zeros(3), {"num_labels": 2, "problem_type": "single_label_classification"}, "labels is torch.float32"),
        (torch.zeros(2), {"num_labels": 1}, "There are 2 labels for 3 texts"),
        (torch.tensor(1.0), {"num_labels": 1}, "There are 1 labels for 3 texts"),
    ],
)
def test_labels_of_another_shape_are_refused(
    labels: Any, settings: Any, message: str, tiny_encoder_dir: Path, batch: Any
) -> None:
    model = classifier(tiny_encoder_dir, **settings)
    with pytest.raises(ValueError, match=message):
        model(**batch, labels=labels)
    assert model.config.problem_type == settings.get("problem_type")  # what did not fit decides nothing
    if settings["num_labels"] == 3:  # the advice
        assert model(**batch, labels=torch.zeros(3, 3)).loss > 0


def test_float_tags_are_refused(tiny_encoder_dir: Path, batch: Any) -> None:
    model = make_tagger(tiny_encoder_dir)
    with pytest.raises(ValueError, match=r"labels is torch.float32: give whole numbers \(int64\)"):
        model(**batch, labels=batch["attention_mask"].float())
    assert model(**batch, labels=batch["attention_mask"]).loss > 0


# Weights


@pytest.mark.parametrize("dtype", ["auto", "bfloat16", torch.float16, torch.bfloat16])
@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_every_storage_opens_in_every_dtype(
    storage: Any, dtype: Any, tiny_encoder_dir: Path, tokenizer: Any, batch: Any, tmp_path: Path
) -> None:
    DistillEmb.from_pretrained(tiny_encoder_dir).save_pretrained(tmp_path / "stored", storage=storage)
    expected = AutoModel.from_pretrained(tmp_path / "stored").eval()(**batch).last_hidden_state
    model = AutoModel.from_pretrained(tmp_path / "stored", dtype=dtype).eval()
    names = {"auto": torch.float32, "bfloat16": torch.bfloat16}
    assert model.dtype == names.get(dtype, dtype)
    assert torch.allclose(model(**batch).last_hidden_state.float(), expected, atol=0.1)
    for size in ("5GB", "4KB"):  # one file, several files
        saved = tmp_path / size
        model.save_pretrained(saved, max_shard_size=size)
        tokenizer.save_pretrained(saved)
        again = AutoModel.from_pretrained(saved, low_cpu_mem_usage=True, device_map="cpu").eval()
        assert torch.allclose(again(**batch).last_hidden_state.float(), expected, atol=0.1)


def test_int8_in_several_files(tiny_encoder_dir: Path, batch: Any, tmp_path: Path) -> None:
    DistillEmb.from_pretrained(tiny_encoder_dir).save_pretrained(tmp_path, storage="int8")
    expected = AutoModel.from_pretrained(tmp_path).eval()(**batch).last_hidden_state
    tensors = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    places = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(tensors)}
    for file in set(places.values()):
        save_file({name: tensors[name] for name in tensors if places[name] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert torch.equal(AutoModel.from_pretrained(tmp_path).eval()(**batch).last_hidden_state, expected)


def test_pickles_are_never_read(tiny_encoder_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leave use_safetensors out"):
        AutoModel.from_pretrained(tiny_encoder_dir, use_safetensors=False)
    copied = shutil.copytree(tiny_encoder_dir, tmp_path / "copied")
    state = AutoModel.from_pretrained(tiny_encoder_dir).state_dict()
    (copied / "model.safetensors").unlink()
    torch.save(state, copied / "pytorch_model.bin")
    with pytest.raises(OSError, match="model.safetensors"):
        AutoModel.from_pretrained(copied)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("settings", [{"head": "linear"}, {"head_cell": "gru"}, {"head": "bilstm-crf"}])
def test_half_precision(dtype: Any, settings: Any, tiny_encoder_dir: Path, batch: Any) -> None:
    model = make_tagger(tiny_encoder_dir, **settings)
    logits = model(**batch).logits
    assert torch.allclose(model.to(dtype)(**batch).logits.float(), logits, atol=0.3)


def test_there_is_no_table_of_tokens(tiny_encoder_dir: Path) -> None:
    model = make_tagger(tiny_encoder_dir)
    for call in (model.get_input_embeddings, lambda: model.resize_token_embeddings(100)):
        with pytest.raises(NotImplementedError, match="has no table of tokens"):
            call()


# The tokenizer and the pipelines


@pytest.mark.parametrize("nested", [[["a"], ["b"]], [[["a"]]], [[]], [["a", "b", "c"]]])
def test_other_nesting_is_refused(nested: Any, tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="list of strings or of pairs"):
        tokenizer(nested)
    with pytest.raises(ValueError, match="lists of words with is_split_into_words"):
        tokenizer([[["a"]]], is_split_into_words=True)
    assert len(tokenizer([["a", "b"], ["c"]], is_split_into_words=True)["input_ids"]) == 2  # the advice
    assert len(tokenizer([["a", "b"], ["c", "d"]])["input_ids"]) == 2


def test_words_are_not_added(tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="'rafiki' needs no adding"):
        tokenizer.add_tokens(["rafiki"])
    assert tokenizer.add_special_tokens({"cls_token": "[CLS]"}) == 1


def test_long_texts(tiny_encoder_dir: Path, tokenizer: Any) -> None:
    model = make_tagger(tiny_encoder_dir, head="linear")
    tokenizer.model_max_length = model.config.max_words = 8
    text = " ".join(WORDS * 2)
    tagger = pipeline("token-classification", model=model, tokenizer=tokenizer, ignore_labels=[], device="cpu")

    def end(**settings: Any) -> int:
        return max(entity["end"] for entity in tagger(text, **settings))

    with pytest.warns(UserWarning, match="more than 8 words, and the rest is left out"):
        assert end() < len(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert end(aggregation_strategy="simple", stride=2) == len(text)
        tokenizer(text, truncation=True, max_length=3)  # it was asked for
        vectors = pipeline("feature-extraction", model=model.distillemb, tokenizer=tokenizer, device="cpu")
        with pytest.raises(ValueError, match="A sentence has 12 words, and max_words is 8.*truncation=True"):
            vectors(text)
        tokenizer.model_max_length = model.config.max_words = 12
        assert end() == len(text) and len(vectors(text)[0]) == 12
    tokenizer.model_max_length = 8
    with pytest.warns(UserWarning, match="left out"):
        assert len(vectors(text, truncation=True)[0]) == 8


@pytest.mark.parametrize("text", ["", "   ", "\t\n", "kitani 😀 a\u0000b \u200d x\u0007y ilé", "👩🏾‍🌾 mji"])
@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_strange_texts(text: str, strategy: Any, tiny_encoder_dir: Path, tokenizer: Any) -> None:
    tagger = pipeline(
        "token-classification",
        model=make_tagger(tiny_encoder_dir, head="bilstm-crf"),
        tokenizer=tokenizer,
        aggregation_strategy=strategy,
        ignore_labels=[],
        device="cpu",
    )
    for found in (tagger(text), *tagger([text, "mji"], batch_size=2)[:1]):
        assert [text[e["start"] : e["end"]].split() for e in found if not text[e["start"] : e["end"]].strip()] == []
        if strategy == "none":
            assert [text[e["start"] : e["end"]] for e in found] == tokenizer.tokenize(text)
        assert bool(found) == bool(text.strip())


def test_classes_and_vectors_of_empty_texts(tiny_encoder_dir: Path, tokenizer: Any) -> None:
    classify = pipeline(
        "text-classification", model=classifier(tiny_encoder_dir, num_labels=3), tokenizer=tokenizer, device="cpu"
    )
    alone = [classify(text, top_k=None) for text in ("", "kitani nyota", " ")]
    together = classify(["", "kitani nyota", " "], top_k=None, batch_size=3)
    for one, other in zip(alone, together, strict=True):
        assert len(one) == 3 and one[0]["score"] == pytest.approx(other[0]["score"], abs=1e-5)
    vectors = pipeline(
        "feature-extraction", model=AutoModel.from_pretrained(tiny_encoder_dir), tokenizer=tokenizer, device="cpu"
    )
    assert [len(rows[0]) for rows in vectors(["", "kitani nyota"])] == [1, 2]


def test_the_tokenizer_of_another_encoder(tiny_encoder_dir: Path, batch: Any) -> None:
    model = AutoModel.from_pretrained(tiny_encoder_dir)
    other = build_tokenizer(CharTable(list("abcdefghijk"), max_chars=5))
    with pytest.raises(ValueError, match="as this encoder's tokenizer gives it"):
        model(**other("abc", return_tensors="pt"))
    assert model(**AutoTokenizer.from_pretrained(tiny_encoder_dir)("abc", return_tensors="pt"))
