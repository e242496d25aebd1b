"""`gate explain`: the meaning of a name in a report or policy: detector, metric, condition or decision."""

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from gate.cli.glossary import TERMS
from gate.cli.wrapping import columns, wrapped
from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.detectors.contract import Detector
    from gate.records.declarations import Metric
    from gate.records.limit import Bound, Limit
    from gate.records.policy import Policy

_SOME_CLASSES = (10, 100, 1000)
"""Numbers of classes for which a limit's table is shown."""


@click.command()
@click.argument("name", nargs=-1)
def explain(name: tuple[str, ...]) -> None:
    """Say what NAME means: a detector, a metric, or what else a report names. Without one, list them all.

    \b
    gate explain neural-cleanse             what it measures, and is blind to
    gate explain size-ratio                 who measures it, and its limits
    gate explain neural-cleanse/size-ratio  as findings are named
    gate explain assurance                  a condition of the check

    The beginning of a name is enough where only one begins so.
    """  # noqa: D301  # \b is click's own sign
    for line in _lines(" ".join(name)) if name else _everything():
        click.echo(line)


def _lines(name: str) -> Iterator[str]:
    from gate import detectors
    from gate.policies.gone import gone_of_any_kind

    # As ids are written: reports show `size quantile` and `Neural Cleanse` too.
    asked = re.sub(r"[\s_]+", "-", name.strip().lower()).removeprefix("gate/")
    if replacement := gone_of_any_kind(asked):
        return _hanging(f"{asked}: {replacement}.", 0)
    subject, _, part = asked.partition("/")
    subject = _found(subject, {*detectors.names(), *_metrics(), *TERMS}, name)
    return _explained(subject, _part(subject, part))


def _found(asked: str, known: set[str], written: str) -> str:
    """Return the one known name that begins so; a `UsageError` with suggestions where there is none or several."""
    from gate.policies.suggestions import did_you_mean

    if asked in known:
        return asked
    beginning = [name for name in known if asked and name.startswith(asked)]
    if len(beginning) == 1:
        return beginning[0]
    hint = did_you_mean(asked, known)
    raise UsageError(
        f"unknown name {written[:80]!r}: no detector, metric or condition is called so" + (f"; {hint}" if hint else ""),
        what_to_do="`gate explain` alone lists every name.",
    )


def _part(subject: str, part: str) -> str:
    """Return the part of a subject that is meant: one of its metrics, or a kind of finding."""
    from gate import detectors

    if not part or part in {"limit", "silence", "condition"} or subject == "could-not-finish":
        return part
    ids = {metric.id for metric in detectors.load(subject).metrics} if subject in detectors.names() else set(TERMS)
    return _found(part, ids, f"{subject}/{part}")


def _explained(subject: str, part: str) -> Iterator[str]:
    from gate import detectors

    if part in TERMS:
        yield from _term(part)
        yield ""
    if subject in detectors.names():
        detector = detectors.load(subject)
        if (metric := detector.metric(part)) is not None:
            yield from _hanging(f"{subject}/{part}: a metric of {detector.title}", 2)
            yield from _metric(detector, metric)
            more = f"`gate explain {subject}` says what the detector measures, and what it is blind to."
            yield from _hanging(more, 0)
        else:
            yield from _detector(detector)
    elif subject in TERMS:
        yield from _term(subject)
    else:
        yield from _metric_of_all(subject)


def _term(name: str) -> Iterator[str]:
    term = TERMS[name]
    yield f"{name}: {term.title[:1].lower()}{term.title[1:]}"
    yield from _wrapped("Means", term.means)
    if term.mend:
        yield from _wrapped("To do", term.mend)


def _detector(detector: "Detector[Any]") -> Iterator[str]:
    from gate.cli.meanings import meanings
    from gate.detectors.contract import PARTS, parts, summary

    module = detector.module
    text = parts(module)
    yield from _hanging(f"{detector.id}: {detector.title}", 2)
    yield from _hanging(summary(module), 0)
    yield ""
    for part in PARTS:
        yield from _wrapped(part, text[part])
    yield from _wrapped("For", f"models that take {' or '.join(sorted(detector.spaces))}")
    yield ""
    yield "Metrics"
    for metric in detector.metrics:
        yield from _hanging(f"  {metric.id} ({_scale(metric)}): {metric.meaning}", 4)
    options = detector.options.model_json_schema(by_alias=True).get("properties", {})
    if options:
        yield ""
        yield "Options in the policy"
        told = meanings(detector.options)
        for name, schema in options.items():
            meaning = told.get(name.replace("-", "_"), "")
            yield from _hanging(f"  {name} (default {schema.get('default')})" + (f": {meaning}" if meaning else ""), 4)


def _metric_of_all(name: str) -> Iterator[str]:
    measured = _metrics()[name]
    if len(measured) == 1:
        yield from _hanging(f"{name}: a metric of {measured[0].id}, {measured[0].title}", 2)
    else:
        yield f"{name}: a metric of {len(measured)} detectors"
    for detector in measured:
        metric = detector.metric(name)
        assert metric is not None
        if len(measured) > 1:
            yield ""
            yield from _hanging(f"{detector.id}: {detector.title}", 2)
        yield from _metric(detector, metric)


def _metric(detector: "Detector[Any]", metric: "Metric") -> Iterator[str]:
    yield from _wrapped("Means", metric.meaning)
    yield from _wrapped("Unit", metric.unit)
    yield from _wrapped("Worse", {"neither": "neither; it is shown beside others"}.get(metric.worse, metric.worse))
    for label, text in judged(detector, metric):
        yield from _wrapped(label, text)


def judged(detector: "Detector[Any]", metric: "Metric") -> "Iterator[tuple[str, str]]":
    """Yield the rules of the packaged policies for a metric: *Limit* or *Suspect*, and a sentence."""
    for policy in _packaged():
        rule = policy.detectors.get(detector.id)
        limit = rule.limits.get(metric.id) if rule else None
        if limit is not None:
            source = f". Source: {limit.source}" if limit.source else ""
            yield "Limit", f"{policy.name} flags {_beyond(limit)}{source}"
        for stage in policy.stages:
            for wider in stage.suspects:
                if (wider.detector, wider.metric) == (detector.id, metric.id):
                    yield "Suspect", f"{policy.name} looks closer {_beyond(wider.limit())}"


def _beyond(limit: "Limit") -> str:
    """Return in words where a limit is exceeded; a table by number of classes is shown for some of them."""
    sides = [("below", limit.min), ("above", limit.max)]
    text = " or ".join(f"{side} {_bound(bound)}" for side, bound in sides if bound is not None)
    others = "".join(f", where {metric} is {_beyond(other)} too" for metric, other in limit.together_with.items())
    confirms = "; beside a believed p-value it only confirms" if limit.judges == "uncalibrated-only" else ""
    return text + others + confirms


def _bound(bound: "Bound") -> str:
    from gate.records.limit import Limit

    if not isinstance(bound, dict):
        return f"{bound:g}"
    some = [min(bound), *(classes for classes in _SOME_CLASSES if classes > min(bound))]
    return f"{', '.join(f'{Limit(max=bound).at(classes)[1]:g} at {classes}' for classes in some)} classes"


@cache
def _packaged() -> "tuple[Policy, ...]":
    from gate.policies.packaged import NAMES, policy_at
    from gate.policies.read import read_policy
    from gate.records.clock import today

    return tuple(read_policy(policy_at(name), on=today()) for name in NAMES)


@cache
def _metrics() -> "dict[str, list[Detector[Any]]]":
    from gate import detectors

    found: dict[str, list[Detector[Any]]] = {}
    for name in detectors.names():
        detector = detectors.load(name)
        for metric in detector.metrics:
            found.setdefault(metric.id, []).append(detector)
    return dict(sorted(found.items()))


def _everything() -> Iterator[str]:
    from gate import detectors
    from gate.detectors.contract import summary

    yield "Detectors"
    for name in detectors.names():
        yield from _hanging(f"  {name:24} {summary(detectors.load(name).module)}", 27)
    yield ""
    yield "Metrics"
    yield from _hanging("  " + ", ".join(_metrics()), 2)
    yield ""
    yield "What else a report names"
    for name, term in TERMS.items():
        yield from _hanging(f"  {name:24} {term.title}", 27)
    yield ""
    yield "`gate explain NAME` says what one means."


def _scale(metric: "Metric") -> str:
    return metric.unit if metric.worse == "neither" else f"{metric.unit}; {metric.worse} is worse"


def _wrapped(label: str, text: str) -> Iterator[str]:
    yield from _hanging(f"{label:<10}{text}", 10)


def _hanging(text: str, indent: int) -> Iterator[str]:
    begins = text[: len(text) - len(text.lstrip())]
    yield from wrapped(text.strip(), columns(), begins, " " * indent)
