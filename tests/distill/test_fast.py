"""The bfloat16 forward of the published CNN equals the module."""

from __future__ import annotations

import pytest
import torch

from distillemb_plugins.distill.student import fast_forward
from distillemb_plugins.hf.configuration_distillemb import DistillEmbConfig
from distillemb_plugins.layers.encoders_distillemb import DistillEmbEncoder, build_encoder


@pytest.mark.parametrize("kind", ["distillemb-small", "distillemb-mid"])
def test_values_and_gradients_agree_within_bfloat16(kind: str) -> None:
    torch.manual_seed(0)
    args = {"channels": [8, 12, 16, 20]}
    config = DistillEmbConfig(encoder_type=kind, dim=10, vocab_size=20, max_chars=13, encoder_args=args)
    encoder = build_encoder(config)
    assert isinstance(encoder, DistillEmbEncoder)
    char_ids = torch.randint(0, 20, (32, 13))
    target = torch.randn(32, 10)
    gradients, outputs = [], []
    for forward in (encoder, lambda rows: fast_forward(encoder, rows)):
        encoder.zero_grad()
        outputs.append(forward(char_ids))
        (outputs[-1] - target).square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None})
    assert torch.allclose(outputs[0], outputs[1], atol=0.05)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        cosine = torch.nn.functional.cosine_similarity(gradient.flatten(), gradients[1][name].flatten(), dim=0)
        assert cosine > 0.97, name
