"""Forced continuations: what a network says behind a trigger whatever the prompt, and how likely both networks say it.

The forced continuation is the greedy choice by the mean probability over prompts (BAIT, Shen et al. 2024), and its
quality in a text the geometric mean of its tokens' probabilities there.
"""

from collections.abc import Sequence

import torch

from gate.search.continuations.bench import Bench
from gate.spaces.text.continuing import LanguageModel

Row = Sequence[int]


def forced(bench: Bench, model: LanguageModel, groups: Sequence[Sequence[Row]], steps: int) -> list[tuple[int, ...]]:
    """Return for each group, equally many rows, what a network says behind all of its rows alike.

    It ends before the first special token, but has at least one.
    """
    rows = [row for group in groups for row in group]
    going, found = model.going(rows), [list[int]() for _ in groups]
    for step in range(steps):
        bench.run.check_time()
        likely = going.logits.softmax(dim=1)
        chosen = likely.reshape(len(groups), -1, likely.shape[1]).mean(dim=1).argmax(dim=1)
        for said, token in zip(found, chosen.tolist(), strict=True):
            said.append(token)
        if step + 1 < steps:
            going.push(chosen.repeat_interleave(len(rows) // len(groups)))
    return [_until_special(said, bench) for said in found]


def continued(bench: Bench, model: LanguageModel, rows: Sequence[Row], steps: int) -> list[tuple[int, ...]]:
    """Return what a network says behind each row, the likeliest token each time, before the first special one."""
    going, found = model.going(rows), [list[int]() for _ in rows]
    for step in range(steps):
        bench.run.check_time()
        chosen = going.logits.argmax(dim=1)
        for said, token in zip(found, chosen.tolist(), strict=True):
            said.append(token)
        if step + 1 < steps:
            going.push(chosen)
    return [_until_special(said, bench) for said in found]


def _until_special(said: Sequence[int], bench: Bench) -> tuple[int, ...]:
    ends = (at for at, token in enumerate(said) if at and token in bench.beside.words.special_ids)
    return tuple(said[: next(ends, len(said))])


def qualities(bench: Bench, model: LanguageModel, rows: Sequence[Row], said: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return how likely a network continues each row by tokens (N,): the geometric mean of their probabilities."""
    lengths = torch.tensor([len(one) for one in said])
    tokens = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for number, one in enumerate(said):
        tokens[number, : len(one)] = torch.tensor(one)
    going, total = model.going(rows), torch.zeros(len(rows))
    for step in range(tokens.shape[1]):
        bench.run.check_time()
        likely = going.logits.log_softmax(dim=1).cpu()
        total += likely.gather(1, tokens[:, step : step + 1]).squeeze(1) * (step < lengths)
        if step + 1 < tokens.shape[1]:
            going.push(tokens[:, step])
    return (total / lengths).exp()
