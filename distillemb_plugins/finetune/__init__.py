"""Fine-tuning of Hugging Face taggers and classifiers: `Trainer` with two learning rates and averaging."""

from .encoding import encode_dataset, predict
from .models import build_model, random_encoder
from .trainer import FineTuneArguments, FineTuned, FineTuner, fine_tune

__all__ = ["FineTuneArguments", "FineTuned", "FineTuner", "build_model", "encode_dataset", "fine_tune", "predict",
           "random_encoder"]  # fmt: skip
