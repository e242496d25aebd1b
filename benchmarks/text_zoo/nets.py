"""Four kinds of network of texts: a bag of embeddings, a BiLSTM, MiniLM with a head, MiniLM with its last two layers.

Between `recipe` and training. Each takes ids and their mask (N, L) and returns class scores (N, K). `tail` is the part
that is trained, from what the frozen part yields on: of the first two it is everything, from ids (N, L); of MiniLM it
begins with hidden states (N, L, 384), which are computed once for all models (`features`).
"""

import json
from functools import cache
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import nn

from benchmarks.text_zoo.tokenizing import minilm
from benchmarks.zoo.architectures import ACTIVATIONS

REVISION = 1
"""Raise when a network changes: its models are then made again."""
LAYERS, HIDDEN = 6, 384
DEPTH = {"minilm-head": LAYERS, "minilm-two-layers": LAYERS - 2}
"""How many of MiniLM's layers keep their weights."""
ARCHITECTURES = ("embedding-bag", "bilstm", *DEPTH)
FAR = -1e4
"""Below every value of a hidden state."""


def mean_over(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean (N, D) of states (N, L, D) over the tokens of each text."""
    kept = mask.unsqueeze(2).to(states.dtype)
    return (states * kept).sum(1) / kept.sum(1).clamp(min=1)


def greatest_of(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the greatest value (N, D) of states (N, L, D) over the tokens of each text."""
    return states.masked_fill(mask.unsqueeze(2) == 0, FAR).amax(1)


def both(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return mean and greatest value (N, 2 D)."""
    return torch.cat([mean_over(states, mask), greatest_of(states, mask)], dim=1)


class TextNet(nn.Module):
    """A network of texts."""

    def tail(self, given: torch.Tensor) -> torch.Tensor:
        """Map what the frozen part yields for texts of one length to scores (N, K)."""
        raise NotImplementedError


class WordNet(TextNet):
    """A network that is trained throughout, from its embeddings on."""

    def __init__(self, words: int, width: int) -> None:
        """Build the embeddings."""
        super().__init__()
        self.words = nn.Embedding(words, width)

    def tail(self, given: torch.Tensor) -> torch.Tensor:
        """Map ids (N, L) without padding to scores (N, K)."""
        return cast("torch.Tensor", self(given, torch.ones_like(given)))


class Bag(WordNet):
    """Mean and greatest value of all embeddings, and one hidden layer.

    Shen et al., "Baseline Needs More Love", ACL 2018 (SWEM-concat).
    """

    def __init__(self, words: int, classes: int, width: int, act: nn.Module) -> None:
        """Build the layers."""
        super().__init__(words, width)
        self.hidden, self.act, self.head = nn.Linear(2 * width, width), act, nn.Linear(width, classes)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Map ids and mask (N, L) to scores (N, K)."""
        pooled = both(self.words(input_ids), attention_mask)
        return cast("torch.Tensor", self.head(self.act(self.hidden(pooled))))


class Recurrent(WordNet):
    """A BiLSTM, whose greatest states over a text enter the head."""

    def __init__(self, words: int, classes: int, width: int, act: nn.Module) -> None:
        """Build the layers."""
        super().__init__(words, width)
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.hidden, self.act, self.head = nn.Linear(2 * width, width), act, nn.Linear(width, classes)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Map ids and mask (N, L) to scores (N, K)."""
        states, _ = self.lstm(self.words(input_ids))
        return cast("torch.Tensor", self.head(self.act(self.hidden(greatest_of(states, attention_mask)))))


class MiniLM(TextNet):
    """The packaged encoder under a head: one hidden layer for each token, of which mean and greatest value are told."""

    def __init__(self, classes: int, depth: int, width: int, act: nn.Module) -> None:
        """Build the head, and freeze so many layers of the encoder and its embeddings."""
        super().__init__()
        self.body, self.depth = encoder(), depth
        self.body.requires_grad_(requires_grad=False)
        for layer in self.body.encoder.layer[depth:]:
            layer.requires_grad_(requires_grad=True)
        self.hidden, self.act, self.head = nn.Linear(HIDDEN, width), act, nn.Linear(2 * width, classes)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Map ids and mask (N, L) to scores (N, K)."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        return self._scores(self.body(**given, return_dict=True).last_hidden_state, attention_mask)

    def tail(self, given: torch.Tensor) -> torch.Tensor:
        """Map states (N, L, D) behind the frozen layers, without padding, to scores (N, K)."""
        for layer in self.body.encoder.layer[self.depth :]:
            given = layer(given)
        return self._scores(given, torch.ones(given.shape[:2], dtype=torch.long))

    def _scores(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.head(both(self.act(self.hidden(states)), mask)))


def encoder() -> Any:
    """Return the packaged encoder, as transformers' own class, without its pooler."""
    from transformers import BertConfig, BertModel

    settings = json.loads(minilm("config.json").read_bytes())
    body: Any = BertModel(BertConfig(**{key: value for key, value in settings.items() if not key.startswith("_")}),
                          add_pooling_layer=False)  # fmt: skip
    body.load_state_dict(_weights())
    return body


@cache
def _weights() -> dict[str, torch.Tensor]:
    every = load_file(minilm("model.safetensors"))
    return {
        name: value for name, value in every.items() if not name.startswith("pooler.") and "position_ids" not in name
    }


WIDTHS = {"embedding-bag": 64, "bilstm": 48}
"""At width 1; of MiniLM it is the head's hidden layer."""
HEAD_WIDTH = 96


def build(architecture: str, words: int, classes: int, width: float, act: str) -> TextNet:
    """Return a network with untrained weights, drawn from torch's global random numbers, but for the packaged ones."""
    made = ACTIVATIONS[act]
    if architecture in DEPTH:
        return MiniLM(classes, DEPTH[architecture], round(HEAD_WIDTH * width), made())
    kind = Bag if architecture == "embedding-bag" else Recurrent
    return kind(words, classes, round(WIDTHS[architecture] * width), made())
