"""The package's network in torch: a BiLSTM over a hundred places, the last of which a text fills, and six sigmoids."""

from typing import Final

import torch
from torch import nn

LABELS: Final = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
PLACES: Final = 100
"""Tokens that the package gives its network: zeros, and behind them the text."""
WORDS: Final = 20_000
"""Words that it knows, the padding among them."""
WIDTH: Final = 50


class Comments(nn.Module):
    """Maps ids and mask (N, L), L at most `PLACES`, to six logits, (N, 6)."""

    empty: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS + 1, WIDTH)  # the last row is of words that the package leaves out
        self.register_buffer("empty", torch.zeros(WIDTH))
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True, bidirectional=True)
        self.hidden, self.head = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(WIDTH, len(LABELS))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        words = self.embedding(input_ids)
        first = PLACES - attention_mask.sum(dim=1, keepdim=True)
        source = torch.arange(PLACES, device=words.device) - first
        taken = words.gather(1, source.clamp(min=0).unsqueeze(2).expand(-1, -1, WIDTH))
        placed = torch.where((source >= 0).unsqueeze(2), taken, self.empty)
        states, _ = self.lstm(placed)
        logits: torch.Tensor = self.head(self.hidden(states.amax(dim=1)).relu())
        return logits


class Sigmoids(nn.Module):
    """All six labels, as the package gives them."""

    def __init__(self, body: Comments) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return their probabilities, (N, 6)."""
        logits: torch.Tensor = self.body(input_ids, attention_mask)
        return logits.sigmoid()


class OneLabel(nn.Module):
    """One label as two classes: the scores are 0 and the label's own, whose softmax is its sigmoid."""

    def __init__(self, body: Comments, label: int) -> None:
        super().__init__()
        self.body, self._label = body, label

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the two scores, (N, 2)."""
        own = self.body(input_ids, attention_mask)[:, self._label : self._label + 1]
        return torch.cat([torch.zeros_like(own), own], dim=1)
