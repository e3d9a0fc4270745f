"""What an encoder directory holds for transformers alone: where its classes are, the tokenizer, and remote code.

It is written without transformers or tokenizers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TOKENIZER_FILE = "tokenizer_config.json"
MODEL_MAX_LENGTH = 4096  # words of a sentence, the default limit of tokenizer and model
_HERE = Path(__file__).parent

# Complete, because a saved model must open through every Auto class that fits. The same as in
# hf/configuration_distillemb.py, which cannot be imported without transformers; a test holds them together.
AUTO_MAP: dict[str, str] = {
    "AutoConfig": "configuration_distillemb.DistillEmbConfig",
    "AutoModel": "modeling_distillemb.DistillEmbModel",
    "AutoModelForMaskedLM": "modeling_distillemb.DistillEmbForMaskedLM",
    "AutoModelForTokenClassification": "modeling_distillemb.DistillEmbForTokenClassification",
    "AutoModelForSequenceClassification": "modeling_distillemb.DistillEmbForSequenceClassification",
}
TOKENIZER_AUTO_MAP: dict[str, list[str | None]] = {
    "AutoTokenizer": [None, "tokenization_distillemb.DistillEmbTokenizer"]  # [slow, fast]
}


def tokenizer_files(char_table: dict[str, Any], model_max_length: int = MODEL_MAX_LENGTH) -> dict[str, str]:
    """Make the tokenizer files of an encoder directory, without tokenizers or transformers.

    The tokenizer's backend is the same for every encoder (`hf/tokenizer_template.json`): it finds the words, and every
    word has one id. What differs, the character table, stands in `tokenizer_config.json`.

    Args:
        char_table: What `CharTable.to_dict` gives.
        model_max_length: Words that a sentence may have before it is cut.

    Returns:
        Texts by file name.
    """
    config = {
        "tokenizer_class": "DistillEmbTokenizer",
        "auto_map": TOKENIZER_AUTO_MAP,
        "model_max_length": model_max_length,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "padding_side": "right",
        "truncation_side": "right",
        "split_special_tokens": True,  # "[PAD]" in a text is text
        "clean_up_tokenization_spaces": False,
        "char_table": char_table,
    }
    return {
        "tokenizer.json": (_HERE / "hf" / "tokenizer_template.json").read_text("utf-8"),
        TOKENIZER_FILE: json.dumps(config, ensure_ascii=False, indent=1) + "\n",
    }


def remote_code_files() -> dict[str, str]:
    """Return the modules that ``trust_remote_code=True`` runs where this package is not installed, by file name."""
    # What hf/ only imports stands in layers/, and the character table above both.
    sources = {path.name: path for room in ("hf", "layers") for path in sorted((_HERE / room).glob("*_distillemb.py"))}
    sources["characters_distillemb.py"] = _HERE / "characters.py"
    return {name: path.read_text("utf-8") for name, path in sources.items()}
