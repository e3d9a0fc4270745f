"""The torch module of `distillemb.BiLSTMEncoder.v1`, imported only when one is built."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence


class BiLSTM(nn.Module):
    """LayerNorm(x + BiLSTM(x)) over packed sentences."""

    def __init__(self, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            width, width // 2, depth, batch_first=True, bidirectional=True, dropout=dropout if depth > 1 else 0.0
        )
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, flat: Tensor, lengths: list[int]) -> Tensor:
        """Put words into context: float ``[tokens, width]``, documents of `lengths` words one after the other."""
        filled = [length for length in lengths if length]
        if not filled:
            return self.norm(flat)
        padded = pad_sequence(list(torch.split(flat, filled)), batch_first=True)
        packed = pack_padded_sequence(padded, torch.tensor(filled), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        places = torch.arange(states.shape[1])[None, :] < torch.tensor(filled)[:, None]
        return self.norm(flat + self.dropout(states[places.to(states.device)]))
