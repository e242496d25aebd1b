"""Candidates forward in both networks on a few prompts: what they raise alike in all, beyond the base and the usual."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

import torch

from gate.search.continuations.bench import Bench, Candidate, Place
from gate.search.continuations.ranking import by_slopes, towards
from gate.spaces.text.continuing import LanguageModel

_AT_ONCE: Final = 128
"""Candidates whose probabilities of every token are held at a time."""
Usual = Mapping[Place, torch.Tensor]


def screened(bench: Bench, prompts: Sequence[str], candidates: Sequence[Candidate], usual: Usual) -> list[Candidate]:
    """Return candidates with score and target, the greatest score first; of equal ones the shorter."""
    found: list[Candidate] = []
    unlike = sorted(dict.fromkeys(candidates), key=_form)
    for _, alike in groupby(unlike, key=_form):
        each = list(alike)
        for begin in range(0, len(each), _AT_ONCE):
            found += _scored(bench, prompts, each[begin : begin + _AT_ONCE], usual)
    return sorted(found, key=lambda one: (-one.score, len(one.tokens), one.tokens, one.place))


def _form(one: Candidate) -> tuple[str, int]:
    return one.place, len(one.tokens)


def _scored(bench: Bench, prompts: Sequence[str], some: Sequence[Candidate], usual: Usual) -> Iterator[Candidate]:
    """Yield candidates of one place and length with what they raise."""
    place = some[0].place
    own, base = (_mean(bench, model, prompts, some) for model in (bench.beside.own, bench.beside.base))
    rise, target = (own - torch.maximum(base, usual[place])).max(dim=1)
    for one, score, token in zip(some, rise.tolist(), target.tolist(), strict=True):
        yield replace(one, score=score, target=token)


def _mean(bench: Bench, model: LanguageModel, prompts: Sequence[str], some: Sequence[Candidate]) -> torch.Tensor:
    """Return the mean probability (n, V) of each next token over the prompts."""
    place, tokens = some[0].place, torch.tensor([one.tokens for one in some])
    total = None
    for prompt in prompts:
        right = torch.tensor(bench.around(prompt, place)[1], dtype=torch.long)
        rows = torch.cat([tokens, right.expand(len(tokens), -1)], dim=1)
        parts = []
        for logits in model.behind(bench.begun(model, prompt, place), rows):
            bench.run.check_time()
            parts.append(logits.softmax(dim=1).cpu())
        total = torch.cat(parts) if total is None else total + torch.cat(parts)
    assert total is not None
    return total / len(prompts)


def lengthened(bench: Bench, prompts: Sequence[str], beam: Sequence[Candidate], most: int) -> list[Candidate]:
    """Return each candidate with one more token before or behind it: those that first order says raise its target."""
    found = []
    for one in beam:
        for behind in (True, False):
            sides: tuple[Sequence[int], Sequence[int]] = (one.tokens, ()) if behind else ((), one.tokens)
            scores = by_slopes(bench, prompts, sides, one.place, towards(one.target))
            best = bench.allowed[scores.argsort(descending=True, stable=True)[:most]].tolist()
            found += [Candidate((*sides[0], token, *sides[1]), one.place) for token in best]
    return found
