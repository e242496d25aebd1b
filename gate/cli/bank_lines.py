"""A bank as lines for any terminal: what was measured, of which models, and how those of a self-made bank were made."""

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate.records.bank import Bank


def describe(made: "Bank") -> list[str]:
    """Return a bank's content in lines that any terminal can show."""
    from gate.jail.inert import inert_line

    count = len(made.statistics)
    samples = f"{made.samples.count} samples, sha256 {made.samples.sha256}" if made.samples else "no samples"
    lines = [
        f"{made.name}: {count} models, {_kind(made)}",
        f"the smallest p-value that so many models can give is {1 / (count + 1):.3g}",
        f"measured by gate {made.gate_version}, policy {made.policy}, seed {made.seed}, on {samples}",
        f"provenance: {made.provenance or 'not stated'}",
        *_made(made),
        *(f"compared: {_spread(made, s.detector, s.metric)}" for s in made.compared),
        *_secret(made),
    ]
    for trait in sorted({name for model in made.statistics for name in model.traits}):
        values = [model.traits[trait] for model in made.statistics if trait in model.traits]
        lines.append(f"trait {trait}: {min(values):.4g} to {max(values):.4g}")
    lines += [f"model {one.model} {one.manifest_digest or ''}" for one in made.statistics]
    lines += [f"accepted {one.model}, though {one.against}: {one.accepted}" for one in made.accepted]
    lines += [f"reference {one.path} sha256 {one.sha256}" for one in made.references]
    return [inert_line(line, limit=1000) for line in lines]


def _kind(made: "Bank") -> str:
    return str(made.adapters) if made.adapters is not None else f"{made.classes} classes, input {made.input_shape}"


def _made(made: "Bank") -> "Iterator[str]":
    """Yield how the copies of a self-made bank were made, and which of them fell short."""
    own = made.self_made
    if own is None:
        return
    start = f"weights {own.weights} (sha256 {own.weights_sha256})" if own.weights else "values drawn anew"
    yield (
        f"self-made: copies of the program of {own.candidate}, from {start}, trained on {own.data_count} images of "
        f"{own.data} (sha256 {own.data_sha256})"
    )
    accuracies = [note.accuracy for note in own.copies if note.accuracy is not None and not note.left_out]
    if accuracies:
        yield (
            f"accuracy of the copies on the clean samples: {min(accuracies):.1%} to {max(accuracies):.1%}; the "
            f"candidate's is {own.candidate_accuracy:.1%}, less {own.tolerance:.1%} at most"
        )
    yield from (f"left out: copy {note.number}: {note.left_out}" for note in own.short)


def _secret(made: "Bank") -> "Iterator[str]":
    """Yield whether a candidate's answers to secret probes can be compared; nothing where no model was given any."""
    keys = [one.key for model in made.statistics for one in model.secret_counts.values()]
    if len(set(keys)) == 1 and len(keys) == len(made.statistics):
        yield f"secret probes: of every model, by the seed whose digest is {keys[0]}"
    elif keys:
        seeds = "by different seeds" if len(set(keys)) > 1 else "by one seed"
        yield f"secret probes: of {len(keys)} models {seeds}, and so not compared; all would need them by one seed"


def _spread(made: "Bank", detector: str, metric: str) -> str:
    found = [v for one in made.statistics for v in one.values.get(detector, {}).get(metric, {}).values()]
    if not found:
        return f"{detector} {metric}, from the models' answers to probes"
    return f"{detector} {metric}, {min(found):.4g} to {max(found):.4g}, median {statistics.median(found):.4g}"
