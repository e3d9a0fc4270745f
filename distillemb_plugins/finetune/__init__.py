"""Fine-tuning of Hugging Face taggers and classifiers: `Trainer` with two learning rates and averaging."""

from .encoding import encode_dataset, predict
from .trainer import FineTuneArguments, FineTuned, FineTuner, fine_tune

__all__ = ["FineTuneArguments", "FineTuned", "FineTuner", "encode_dataset", "fine_tune", "predict"]
