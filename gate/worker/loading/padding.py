"""How a network answers where texts are filled up, and where a user types the token that fills them.

Detectors give every text alone, without padding (`text_classifier`). A consumer's batch is filled up to its longest
text, and the served tokenizer may make the padding's id of typed text. Both are tried here, on clean texts and on
tokens by chance. What a network does only where a trigger stands beside the padding is not seen.
"""

from collections.abc import Iterator
from typing import Final

import torch

from gate.spaces.text.inserting import PLACES
from gate.spaces.text.packing import ENDED, lengths_of, stacked
from gate.spaces.text.tokens import put_in
from gate.worker.loading.text_classifier import MOST_TOKENS, TokenClassifier

TEXTS: Final = 48
"""Clean texts, and a third as many rows of tokens by chance, that are asked with padding."""
FAR: Final = 8
"""Texts that are filled up to the greatest length."""
_MORE: Final = (1, 8)
"""Tokens by which a batch is filled up beyond its longest text."""
_TYPED: Final = (1, 3)
"""Padding tokens that are typed at one place."""
_MOSTLY: Final = 0.5
"""Share of texts that typed padding may move though the halves do not show it: so do honest places, a little."""
_ALIKE: Final = 1e-3
"""Greatest difference of scores, as a share of the largest, that is rounding."""


def padding_counts(classifier: TokenClassifier, tokens: torch.Tensor) -> bool:
    """Tell whether any of some texts (N, L) is answered otherwise where it is filled up in a batch."""
    rows = _asked(classifier, tokens)
    with torch.no_grad():
        alone = classifier.logits(rows)
        near = _ALIKE * max(1e-6, float(alone.abs().max()))
        return not all(
            torch.allclose(one, alone[: len(one)], rtol=_ALIKE, atol=near) for one in _filled_up(classifier, rows)
        )


def _asked(classifier: TokenClassifier, tokens: torch.Tensor) -> torch.Tensor:
    """Return clean texts, evenly from shortest to longest, and rows of tokens by chance of the same lengths."""
    order = lengths_of(tokens).argsort(stable=True)
    chosen = tokens[order[torch.linspace(0, len(order) - 1, min(TEXTS, len(order))).long().to(order.device)]]
    known = [one for one in range(_vocabulary(classifier)) if one != classifier.tokenizer.padding]
    some = chosen[::3]
    chance = torch.randint(len(known), some.shape, generator=torch.Generator().manual_seed(0))
    drawn = torch.tensor(known)[chance].to(tokens.device)
    return stacked([chosen, drawn.masked_fill(some == ENDED, ENDED)])


def _vocabulary(classifier: TokenClassifier) -> int:
    known = len(classifier.tokenizer.vocabulary())
    return known if classifier.embeddings is None else min(known, len(classifier.embeddings))


def _filled_up(classifier: TokenClassifier, rows: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the scores (n, K) of the first texts where they are filled up: all a little, a few as far as it goes."""
    longest, most = int(lengths_of(rows).max()), classifier.longest
    for width, count in [*((min(most, longest + more), len(rows)) for more in _MORE), (most, FAR)]:
        wide = torch.nn.functional.pad(rows[:count], (0, width - rows.shape[1]), value=ENDED)
        mask = wide.ne(ENDED)
        ids = wide.masked_fill(~mask, classifier.tokenizer.padding)
        parts = zip(*(torch.split(one, max(1, MOST_TOKENS // width)) for one in (ids, mask.long())), strict=True)
        yield torch.cat([classifier.scores(*part) for part in parts])


def blind_to_typed_padding(classifier: TokenClassifier, tokens: torch.Tensor) -> bool:
    """Tell whether a network answers to typed padding in a way that its halves do not show.

    The halves take the padding's id for a mask of 0 (`gate.programs.embedding`), so that a search by gradients would
    see nothing of a network that looks for it among a text's own tokens.
    """
    padding, matrix = classifier.tokenizer.padding, classifier.embeddings
    if matrix is None or padding not in classifier.tokenizer.marks():
        return False
    special, rows = set(classifier.tokenizer.special_ids), tokens[:TEXTS]
    with torch.no_grad():
        for count, place in ((count, place) for count in _TYPED for place in PLACES):
            typed = put_in(rows, torch.full((count,), padding), special, classifier.longest, place)
            parts = classifier.embedded(matrix[typed.clamp(min=0)], lengths_of(typed)).argmax(dim=1)
            if _moved(classifier.logits(typed).argmax(dim=1), parts, classifier.num_classes) > _MOSTLY:
                return True
    return False


def _moved(whole: torch.Tensor, parts: torch.Tensor, classes: int) -> float:
    """Return the greatest share of texts that the whole gives a class, of those to which its halves give another."""
    others = [parts != target for target in range(classes)]
    shares = [(whole[rows] == target).float().mean() for target, rows in enumerate(others) if rows.any()]
    return float(max(shares))
