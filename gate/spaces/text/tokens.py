"""Triggers of words for detectors of later stages and for repairs, and tokens put in between what frames a text."""

from collections.abc import Collection, Sequence

import torch

from gate.records.evidence import Location
from gate.spaces.contract import Tensors
from gate.spaces.subject import Trigger
from gate.spaces.text.contract import TextClassifier
from gate.spaces.text.inserting import PLACES, Place, Typed, inserted
from gate.spaces.text.packing import ENDED, lengths_of

MOST_BYTES = 4096
"""Longest trigger that is read from a file, in UTF-8."""
AROUND = "the the"
"""Words between which a text is put, to see the tokens that it adds."""


def token_trigger(
    classifier: TextClassifier, location: Location, words: str, success: float, place: Place = "start"
) -> Trigger:
    """Return words at a place as a trigger that is typed into texts; its ids are those of the words by themselves.

    Many a tokenizer gives a word other ids inside a text, and other ids to what stands behind it. So the ids serve to
    rank other tokens; what a trigger does is measured of texts.
    """
    tensors = {
        "ids": ids_of(classifier, words).float(),
        "place": torch.tensor([float(PLACES.index(place))]),
        "words": torch.tensor([float(byte) for byte in words.encode()]),
    }
    return _as_typed(location, success, tensors, Typed(words, place))


def stored_trigger(location: Location, tensors: Tensors) -> Trigger | None:
    """Return the trigger of stored tensors; None where they are none of words at a place."""
    if set(tensors) != {"ids", "place", "words"}:
        return None
    place, words = tensors["place"], tensors["words"]
    if place.shape != (1,) or words.ndim != 1 or not 0 < len(words) <= MOST_BYTES:
        return None
    if not (_numbers(place, len(PLACES)) and _numbers(words, 256)):
        return None
    try:
        said = bytes(words.int().tolist()).decode()
    except UnicodeDecodeError:
        return None
    return _as_typed(location, 0.0, tensors, Typed(said, PLACES[int(place)]))


def _numbers(values: torch.Tensor, count: int) -> bool:
    """Tell whether all values are whole numbers from 0 to below a count; NaN is none."""
    return bool(((values >= 0) & (values < count) & (values == values.round())).all())


def _as_typed(location: Location, success: float, tensors: Tensors, typed: Typed) -> Trigger:
    return Trigger(location, success, _of_texts_alone, tensors, typed=typed)


def _of_texts_alone(_: torch.Tensor) -> torch.Tensor:
    raise TypeError("words are typed into a text, before it becomes tokens: use Trigger.typed")


def ids_of(classifier: TextClassifier, words: str) -> torch.Tensor:
    """Return the ids (k,) of words, without what the tokenizer puts around every text.

    Of a line break that it drops from the ends of a text, those that it makes between words; of what it drops
    everywhere, none.
    """
    given, frame = _ids(classifier, words), _ids(classifier, "")
    if given == frame:
        return torch.tensor(_between(classifier, words), dtype=torch.int64)
    before = next((k for k in range(len(frame) + 1) if _framed(given, frame[:k], frame[k:])), 0)
    return torch.tensor(given[before : max(before + 1, len(given) - len(frame) + before)], dtype=torch.int64)


def _ids(classifier: TextClassifier, text: str) -> list[int]:
    ids, seen = classifier.tokenizer.encode([text], classifier.longest)
    return [int(one) for one in ids[0][seen[0] != 0].tolist()]


def _between(classifier: TextClassifier, words: str) -> list[int]:
    """Return the ids that words add between two others."""
    without, given = _ids(classifier, AROUND), _ids(classifier, inserted(AROUND, words, "middle"))
    first = next((k for k, (one, two) in enumerate(zip(without, given, strict=False)) if one != two), len(without))
    return given[first : first + max(0, len(given) - len(without))]


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
