"""The search by pairs: the smallest trigger that sends one source class to one target, for backdoors that spare others.

A backdoor for one source class needs only a small trigger for that pair; one that moves every class to its own target
does so for a whole permutation of pairs. In clean models too some pairs are near (a shirt and a coat), some sources are
easy to move and some targets easy to reach. So a pair's measure is what its source and target leave unexplained in log
size (Tukey's median polish), and its difference from the opposite pair, which is as near but carries no planted trigger
(the symmetry of K-Arm, Shen et al., ICML 2021).
"""

import statistics
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gate.records.errors import UnexaminableError
from gate.records.evidence import Measurement
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.search.families import FamilySearch, pair_settings
from gate.search.goals import PairGoal, every_pair, predictions
from gate.search.inversion import Inversion
from gate.search.options import LEAST_SOURCES, TriggerSearch
from gate.spaces.subject import Classifier, Samples

LEAST_SAMPLES = 4
"""Fewest samples of a source class."""
POLISH_ROUNDS = 10
Matrix = NDArray[np.float64]


def search_pairs(search: FamilySearch, run: Run) -> Generator[Measurement, None, Inversion]:
    """Yield size, success and unexplained part of the pairs searched; return the inversion."""
    goals = chosen_pairs(search.classifier, search.given, search.options, run)
    found = search.invert(goals, pair_settings(search.options), run)
    for row, goal in enumerate(goals):
        yield Measurement(metric="size", value=float(found.sizes[row]), location=goal.location)
        yield Measurement(metric="attack-success-rate", value=float(found.success[row]), location=goal.location)
    largest, sizes = search.triggers.largest, found.sizes.tolist()
    # Pairs that were not moved count as the largest.
    logs = {goal: float(np.log(max(size / largest, 1e-9))) for goal, size in zip(goals, sizes, strict=True)}
    yield from unexplained(logs, goals)
    return found


def pairs_passes(search: FamilySearch) -> Passes:
    """Return the passes that `search_pairs` would make; where too few classes have samples, none."""
    samples, options = len(search.rows), search.options
    sources = min(search.classifier.num_classes, samples // LEAST_SAMPLES)
    goals = sources * (sources - 1)
    goals = goals if options.pairs == "all" else min(goals, options.pairs_most)
    # A source has a pair with every other class, and its samples are moved in each; ranking pairs asks for all once.
    found = search.passes(goals, pair_settings(options), Span.up_to(samples * max(0, sources - 1)))
    return (found + Passes(Span.exactly(2 * samples))).perhaps


def chosen_pairs(classifier: Classifier, samples: Samples, options: TriggerSearch, run: Run) -> tuple[PairGoal, ...]:
    """Return all pairs of classes with samples, or as many as allowed: half of them near ones, half by chance."""
    labels = samples.labels if samples.labels is not None else predictions(classifier, samples.inputs, run)
    sources = movable_classes(labels)
    if len(sources) < LEAST_SOURCES:
        raise UnexaminableError(
            f"pairs need {LEAST_SOURCES} classes with at least {LEAST_SAMPLES} samples each; got {len(sources)}"
        )
    goals = every_pair(sources)
    if options.pairs == "all" or len(goals) <= options.pairs_most:
        return goals
    near = nearness(classifier, samples, labels, run)
    ranked = sorted(goals, key=lambda goal: -float(near[goal.source, goal.target]))
    best = ranked[: options.pairs_most // 2]
    order = torch.randperm(len(ranked) - len(best), generator=torch.Generator().manual_seed(run.seed))
    others = [ranked[len(best) + place] for place in order[: options.pairs_most - len(best)].tolist()]
    return tuple(sorted([*best, *others], key=lambda goal: (goal.source, goal.target)))


def movable_classes(labels: torch.Tensor) -> list[int]:
    """Return the classes with enough samples to be moved, given the samples' labels (N,)."""
    return [index for index, count in enumerate(torch.bincount(labels.cpu()).tolist()) if count >= LEAST_SAMPLES]


def nearness(classifier: Classifier, samples: Samples, labels: torch.Tensor, run: Run) -> torch.Tensor:
    """Return the mean log-probability (K, K) that the model gives class j on clean samples of class i."""
    with torch.no_grad():
        chunks = [classifier.logits(chunk).log_softmax(dim=1) for chunk in torch.split(samples.inputs, run.max_batch)]
    scores = torch.cat(chunks)
    sums = torch.zeros(classifier.num_classes, scores.shape[1], device=scores.device).index_add_(0, labels, scores)
    return sums / torch.bincount(labels, minlength=classifier.num_classes).clamp_min(1).unsqueeze(1)


def nearest_class(classifier: Classifier, samples: Samples, labels: torch.Tensor, target: int, run: Run) -> int | None:
    """Return the other class with enough samples that scores highest on samples of the target, or None.

    `labels` (N,) are the samples' own or the model's first choices.
    """
    others = [index for index in movable_classes(labels) if index != target]
    if not others or not bool((labels == target).any()):
        return None
    scores = nearness(classifier, samples, labels.to(samples.inputs.device), run)[target]
    return max(others, key=lambda index: float(scores[index]))


def polish(sizes: dict[PairGoal, float]) -> tuple[tuple[int, ...], Matrix]:
    """Return n classes, and log sizes by source and target less what rows and columns explain, (n, n).

    NaN where a pair was not searched. Tukey, Exploratory Data Analysis, 1977, chapter 11.
    """
    classes = tuple(sorted({goal.target for goal in sizes} | {goal.source for goal in sizes}))
    place = {index: row for row, index in enumerate(classes)}
    table = np.full((len(classes), len(classes)), np.nan)
    for goal, size in sizes.items():
        table[place[goal.source], place[goal.target]] = size
    # Means first, which converge to exactly what rows and columns explain; then medians, which no single pair moves.
    for centre in (np.mean, np.median):
        for _ in range(POLISH_ROUNDS):
            for axis in (1, 0):
                table = table - _centres(table, axis, centre)
    return classes, table


def _centres(table: Matrix, axis: int, centre: Callable[[Matrix], np.floating[Any]]) -> Matrix:
    lines = table if axis == 1 else table.T
    found = np.array([centre(line[~np.isnan(line)]) if (~np.isnan(line)).any() else 0.0 for line in lines])
    return found[:, None] if axis == 1 else found[None, :]


def unexplained(sizes: dict[PairGoal, float], goals: tuple[PairGoal, ...]) -> Iterator[Measurement]:
    """Yield residual and asymmetry by pair, and the mean residual of the best permutation."""
    classes, table = polish(sizes)
    place = {index: row for row, index in enumerate(classes)}
    for goal in goals:
        row, column = place[goal.source], place[goal.target]
        residual, opposite = table[row, column], table[column, row]
        yield Measurement(metric="pair-residual", value=float(residual), location=goal.location)
        if not np.isnan(opposite):
            yield Measurement(metric="pair-asymmetry", value=float(residual - opposite), location=goal.location)
    if not np.isnan(table[~np.eye(len(table), dtype=bool)]).any():
        yield Measurement(metric="permutation", value=best_permutation(table))


def best_permutation(residuals: Matrix) -> float:
    """Return the least mean residual of an assignment of one other class to every class."""
    cost = np.where(np.eye(len(residuals), dtype=bool), 1e6, np.nan_to_num(residuals))
    rows, columns = linear_sum_assignment(cost)
    return statistics.fmean(cost[rows, columns].tolist())
