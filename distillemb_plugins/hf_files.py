"""The Hugging Face files of an encoder directory, written without torch, transformers or tokenizers.

The tokenizer's backend is the same for every encoder (`hf/tokenizer_template.json`): it finds the words, and every
word has one id. What differs, the character table, stands in `tokenizer_config.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MODEL_MAX_LENGTH = 4096  # words of a sentence, the default limit of tokenizer and model
_HERE = Path(__file__).parent

# Complete, because a saved model must open through every Auto class that fits. The same as in
# hf/configuration_distillemb.py, which cannot be imported without transformers; a test holds them together.
AUTO_MAP: dict[str, str] = {
    "AutoConfig": "configuration_distillemb.DistillEmbConfig",
    "AutoModel": "modeling_distillemb.DistillEmbModel",
    "AutoModelForTokenClassification": "modeling_distillemb.DistillEmbForTokenClassification",
    "AutoModelForSequenceClassification": "modeling_distillemb.DistillEmbForSequenceClassification",
}
TOKENIZER_AUTO_MAP: dict[str, list[str | None]] = {
    "AutoTokenizer": [None, "tokenization_distillemb.DistillEmbTokenizer"],  # [slow, fast]
}


def tokenizer_files(char_table: dict[str, Any], model_max_length: int = MODEL_MAX_LENGTH) -> dict[str, str]:
    """Names and texts of the tokenizer files.

    char_table: what `CharTable.to_dict` gives. model_max_length: words a sentence may have before it is cut.
    """
    template = (_HERE / "hf" / "tokenizer_template.json").read_text(encoding="utf-8")
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
        "tokenizer.json": template,
        "tokenizer_config.json": json.dumps(config, ensure_ascii=False, indent=1) + "\n",
    }


def remote_code_files() -> dict[str, str]:
    """Names and texts of the modules that ``trust_remote_code=True`` runs where this package is not installed."""
    sources = {path.name: path for path in sorted((_HERE / "hf").glob("*_distillemb.py"))}
    sources["characters_distillemb.py"] = _HERE / "characters.py"  # the one in hf/ is a shim
    return {name: path.read_text(encoding="utf-8") for name, path in sources.items()}
