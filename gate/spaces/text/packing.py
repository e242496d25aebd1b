"""Tokens of texts as one tensor: (N, L) ids, with `ENDED` where a text has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

ENDED: Final = -1
"""No id: what stands after a text's last token."""

AT_ONCE: Final = 4096
CHARACTERS: Final = 1 << 18
"""Texts, and characters of them together, that become tokens at once. The library tokenizers needs 65 to 900 bytes a
character, since it holds all tokens of a text, also those that are cut off; a longer text is alone."""


def in_parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield texts in their order, some at a time; one empty part of none.

    No text is cut before: a normaliser may take away or move letters, so that any of them may stand in the first token.
    """
    first, characters = 0, 0
    for row, text in enumerate(texts):
        if row > first and (row - first == AT_ONCE or characters + len(text) > CHARACTERS):
            yield texts[first:row]
            first, characters = row, 0
        characters += len(text)
    yield texts[first:]


def packed(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return tokens of ids and mask (N, L), which ends each text where it is 0; on the left it may be padded too."""
    import torch  # noqa: PLC0415  # a space's names are read without torch

    # A stable sort by the mask brings tokens that are padded on the left to the front, in their order.
    order = mask.ne(0).long().argsort(dim=1, descending=True, stable=True)
    rows = torch.where(mask != 0, ids, torch.full_like(ids, ENDED)).gather(1, order)
    return rows[:, : max(1, int(mask.ne(0).sum(dim=1).max()))] if len(rows) else rows


def stacked(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return tokens (n, l) of several kinds as one tensor (N, L)."""
    import torch  # noqa: PLC0415  # likewise

    width = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1]), value=ENDED) for part in parts])


def lengths_of(tokens: torch.Tensor) -> torch.Tensor:
    """Return the number of tokens of each text, (N,)."""
    return tokens.ne(ENDED).sum(dim=1)


def by_length(lengths: torch.Tensor, most: int) -> Sequence[torch.Tensor]:
    """Return the rows of texts of equal lengths, shortest first, in groups of at most `most` tokens together.

    Each group alone needs no padding, so that every text gets the answer that it gets by itself.
    """
    import torch  # noqa: PLC0415  # likewise

    found: list[torch.Tensor] = []
    for length in torch.unique(lengths).tolist():
        rows = (lengths == length).nonzero().flatten()
        found += torch.split(rows, max(1, most // max(1, length)))
    return found
