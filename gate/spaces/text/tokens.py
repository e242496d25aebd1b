"""Triggers of words as tokens, for detectors of later stages: put in behind what begins a text."""

from collections.abc import Collection

import torch

from gate.records.evidence import Location
from gate.spaces.subject import Trigger
from gate.spaces.text.contract import TextClassifier
from gate.spaces.text.packing import ENDED, lengths_of


def token_trigger(classifier: TextClassifier, location: Location, words: str, success: float) -> Trigger:
    """Return words as a trigger that acts on tokens (N, L)."""
    ids = ids_of(classifier, words)

    def apply(x: torch.Tensor) -> torch.Tensor:
        return put_in(x, ids, classifier.tokenizer.special_ids, classifier.longest)

    return Trigger(location, success, apply, {"ids": ids.float()})


def ids_of(classifier: TextClassifier, words: str) -> torch.Tensor:
    """Return the ids (k,) of words, without special tokens."""
    special = set(classifier.tokenizer.special_ids)
    row = classifier.tokens([words])[0]
    kept = [one for one in row.tolist() if one != ENDED and one not in special]
    return torch.tensor(kept or row[:1].tolist(), dtype=torch.int64, device=row.device)


def put_in(x: torch.Tensor, ids: torch.Tensor, special: Collection[int], longest: int) -> torch.Tensor:
    """Return tokens (N, L) with ids (k,) behind the special ones that begin a text, cut to the longest allowed."""
    known = set(special)
    rows = []
    for row, length in zip(x.tolist(), lengths_of(x).tolist(), strict=True):
        head = 0
        while head < length - 1 and row[head] in known:
            head += 1
        rows.append([*row[:head], *ids.tolist(), *row[head:length]][:longest])
    width = max(map(len, rows), default=1)
    return torch.tensor([row + [ENDED] * (width - len(row)) for row in rows], dtype=torch.int64, device=x.device)
