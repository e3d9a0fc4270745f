"""Fine-tuning Hugging Face heads with transformers' Trainer."""
