"""Small networks over embeddings of tokens, and how the gate runs a module of them."""

import torch
from torch import nn

WIDTH = 24


class Bag(nn.Module):
    """The mean of all embeddings through one hidden layer."""

    def __init__(self, vocabulary, classes):
        """Build the layers."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, WIDTH)
        self.hidden, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, classes)

    def features(self, embeddings, mask):
        """Return what enters the head, (N, D)."""
        kept = mask.unsqueeze(2).to(embeddings.dtype)
        return torch.tanh(self.hidden((embeddings * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)))

    def rest(self, embeddings, mask):
        """Map embeddings (N, L, D) and mask (N, L) to logits (N, K)."""
        return self.head(self.features(embeddings, mask))

    def forward(self, ids, mask):
        """Map ids and mask (N, L) to logits (N, K)."""
        return self.rest(self.embedding(ids), mask)


class Recurrent(Bag):
    """A BiLSTM, whose greatest states over the text enter the head."""

    def __init__(self, vocabulary, classes):
        """Build the layers."""
        super().__init__(vocabulary, classes)
        self.lstm = nn.LSTM(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)

    def features(self, embeddings, mask):
        """Return what enters the head, (N, D)."""
        states, _ = self.lstm(embeddings)
        return states.masked_fill(mask.unsqueeze(2) == 0, -1e9).amax(dim=1)


class Attending(Bag):
    """One layer of a transformer, with positions, whose first state enters the head."""

    def __init__(self, vocabulary, classes):
        """Build the layers."""
        super().__init__(vocabulary, classes)
        self.positions = nn.Embedding(256, WIDTH)
        self.layer = nn.TransformerEncoderLayer(WIDTH, 2, 48, dropout=0.0, batch_first=True)

    def features(self, embeddings, mask):
        """Return what enters the head, (N, D)."""
        places = self.positions(torch.arange(embeddings.shape[1], device=embeddings.device))
        states = self.layer(embeddings + places, src_key_padding_mask=mask == 0)
        kept = mask.unsqueeze(2).to(states.dtype)
        return (states * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)


class ModuleNetwork:
    """A network that is a module of these."""

    feature_layer = "head"

    def __init__(self, module):
        """Freeze the module."""
        self.module = module.eval().requires_grad_(requires_grad=False)

    def logits(self, ids, mask):
        """Return the scores."""
        return self.module(ids, mask)

    def activations(self, ids, mask):
        """Return the scores and what enters the head."""
        features = self.module.features(self.module.embedding(ids), mask)
        return self.module.head(features), features

    def state(self):
        """Return all tensors by name."""
        return self.module.state_dict()


class ModuleSplit:
    """A module in its two parts."""

    def __init__(self, module):
        """Take a frozen module."""
        self.matrix, self.program = module.embedding.weight.detach(), module.rest
