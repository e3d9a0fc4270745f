"""The torch modules that spaCy, distillation and the Hugging Face face share: encoders, context layers, heads.

They need torch alone. ``import distillemb_plugins.hf`` takes seconds, because it registers models with transformers,
and spaCy needs none of that. Saved directories carry these files beside those of ``hf/``, for ``trust_remote_code``.
"""
