"""Triggers of words as tokens, for detectors of later stages and for repairs: put in between what frames a text."""

from collections.abc import Collection, Sequence

import torch

from gate.records.evidence import Location
from gate.spaces.contract import Apply, Tensors
from gate.spaces.subject import Trigger
from gate.spaces.text.contract import TextClassifier
from gate.spaces.text.inserting import PLACES, Place
from gate.spaces.text.packing import ENDED, lengths_of

MOST_IDS = 64
"""Most tokens of a trigger that is read from a file."""


def token_trigger(
    classifier: TextClassifier, location: Location, words: str, success: float, place: Place = "start"
) -> Trigger:
    """Return words at a place as a trigger that acts on tokens (N, L)."""
    tensors = {"ids": ids_of(classifier, words).float(), "place": torch.tensor([float(PLACES.index(place))])}
    apply = applying(tensors, classifier)
    assert apply is not None
    return Trigger(location, success, apply, tensors)


def applying(tensors: Tensors, classifier: TextClassifier) -> Apply | None:
    """Return the function that puts these ids in at their place; None where they are no trigger of this vocabulary."""
    # A NaN is no whole number below a count.
    if set(tensors) != {"ids", "place"}:
        return None
    ids, place = tensors["ids"], tensors["place"]
    tokens, places = len(classifier.tokenizer.vocabulary()), len(PLACES)
    if ids.ndim != 1 or not 0 < len(ids) <= MOST_IDS or place.shape != (1,):
        return None
    if not (_numbers(ids, tokens) and _numbers(place, places)):
        return None
    put, at = ids.long(), PLACES[int(place)]
    special, longest = classifier.tokenizer.special_ids, classifier.longest
    return lambda x: put_in(x, put, special, longest, at)


def _numbers(values: torch.Tensor, count: int) -> bool:
    """Tell whether all values are whole numbers from 0 to below a count."""
    return bool(((values >= 0) & (values < count) & (values == values.round())).all())


def ids_of(classifier: TextClassifier, words: str) -> torch.Tensor:
    """Return the ids (k,) of words, without what the tokenizer puts around every text."""
    row = classifier.tokens([words])[0]
    given = [one for one in row.tolist() if one != ENDED]
    around, seen = classifier.tokenizer.encode([""], classifier.longest)
    frame = around[0][seen[0] != 0].tolist()
    before = next((k for k in range(len(frame) + 1) if _framed(given, frame[:k], frame[k:])), 0)
    return row[before : max(before + 1, len(given) - len(frame) + before)]


def _framed(row: Sequence[int], before: Sequence[int], after: Sequence[int]) -> bool:
    """Tell whether a row begins and ends with these tokens, and holds others between."""
    long = len(row) > len(before) + len(after)
    return long and list(row[: len(before)]) == before and list(row[len(row) - len(after) :]) == after


def put_in(
    x: torch.Tensor, ids: torch.Tensor, special: Collection[int], longest: int, place: Place = "start"
) -> torch.Tensor:
    """Return tokens (N, L) with ids (k,) at a place between the special ones around a text, of at most so many tokens.

    Where a text is too long with them, its own last words make way.
    """
    known, put = set(special), ids.tolist()
    rows = []
    for row, length in zip(x.tolist(), lengths_of(x).tolist(), strict=True):
        first, last = inside(row[:length], known)
        words = row[first:last][: max(0, longest - len(put) - first - (length - last))]
        at = {"start": 0, "middle": (len(words) + 1) // 2, "end": len(words)}[place]
        rows.append([*row[:first], *words[:at], *put, *words[at:], *row[last:length]][:longest])
    width = max(map(len, rows), default=1)
    return torch.tensor([row + [ENDED] * (width - len(row)) for row in rows], dtype=torch.int64, device=x.device)


def inside(words: Sequence[int], special: Collection[int]) -> tuple[int, int]:
    """Return the columns between which a text's own tokens lie, behind and before special ones."""
    first, last = 0, len(words)
    while first < last - 1 and words[first] in special:
        first += 1
    while last > first + 1 and words[last - 1] in special:
        last -= 1
    return first, last
