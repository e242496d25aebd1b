"""The detectors' declarations as plain tables, for judge, scan and banks; a declaration imports no torch."""

import hashlib
import json
from functools import cache
from typing import Final

from gate import detectors
from gate.records.bank import Statistic
from gate.records.comparison import OneNumber
from gate.records.evidence import Evidence, Measured
from gate.records.policy import Policy
from gate.records.record import canonical_json

P_VALUE: Final = frozenset(
    {"level", "least_references", "few_references", "pooled_alike", "exchange_margin", "other_task"}
)
"""Keys of a policy that decide a p-value over a bank, and whether it judges."""


@cache
def before_loading() -> frozenset[str]:
    """Return the ids of the detectors whose findings forbid loading a model, and can be waived by nobody."""
    return frozenset(name for name in detectors.names() if detectors.load(name).before_loading)


@cache
def compared_statistics() -> tuple[Statistic, ...]:
    """Return by which metrics a bank compares models, as their detectors declare it."""
    return tuple(
        Statistic(detector=name, metric=metric.id, worse=metric.worse, scale=how.scale, at=how.at)
        for name in detectors.names()
        for metric in detectors.load(name).metrics
        if (how := metric.compared) is not None and metric.worse != "neither"
    )


@cache
def bounded_metrics() -> frozenset[tuple[str, str]]:
    """Return the metrics, with their detectors, whose measurements state how bad they could have been."""
    return frozenset(
        (name, metric.id) for name in detectors.names() for metric in detectors.load(name).metrics if metric.bounded
    )


@cache
def metrics_by_class() -> frozenset[tuple[str, str]]:
    """Return the metrics, with their detectors, that are measured at classes or pairs, and so can name suspects."""
    return frozenset(
        (name, metric.id) for name in detectors.names() for metric in detectors.load(name).metrics if metric.by_class
    )


def can_name_suspects(policy: Policy, before: int) -> bool:
    """Tell whether a stage before this one, counted from 1, has a rule that could name a suspect for it."""
    ran: set[str] = set()
    for stage in policy.plan()[: before - 1]:
        ran |= {*stage.detectors}
        if any(rule.detector in ran and (rule.detector, rule.metric) in metrics_by_class() for rule in stage.suspects):
            return True
    return False


@cache
def numbers_within() -> tuple[OneNumber, ...]:
    """Return by which metrics models of any task are compared, one number each, as their detectors declare it."""
    return tuple(
        OneNumber(detector=name, metric=metric.id, worse=metric.worse, by=metric.within)
        for name in detectors.names()
        for metric in detectors.load(name).metrics
        if metric.within is not None and metric.worse != "neither"
    )


def option_digests(policy: Policy) -> dict[str, str]:
    """Return the digest of each detector's options as a policy states them."""
    return {name: digest_of(name, dict(policy.options_of(name))) for name in policy.detectors}


def suspects_at_most(name: str, policy: Policy) -> int | None:
    """Return at how many classes of suspects, those named first, a policy has a detector look; None: at all."""
    if name not in detectors.names():  # in evidence of another gate
        return None
    stated = detectors.load(name).options.model_validate(dict(policy.options_of(name)))
    most: int | None = stated.suspects_at_most
    return most


def measured_digests(evidence: Evidence) -> dict[str, str]:
    """Return the digest of the options with which each detector measured."""
    found = evidence.outcomes.items()
    return {name: digest_of(name, outcome.options) for name, outcome in found if isinstance(outcome, Measured)}


def digest_of(name: str, options: dict[str, object]) -> str:
    """Return the digest of options, those included that are gone since: they are what was measured with."""
    kind = detectors.load(name).options
    stated = kind.model_validate({key: value for key, value in options.items() if key not in kind.retired})
    gone = {key: options.get(key, value) for key, value in kind.retired.items()}
    return hashlib.sha256(canonical_json(stated.model_dump(mode="json", by_alias=True) | gone)).hexdigest()


def rules_sha256(policy: Policy) -> str:
    """Return the digest of the parts of a policy that decide by limits: not its name, waivers or samples."""
    return _sha256(_by_limits(policy))


def within_rules_sha256(policy: Policy) -> str:
    """Return the digest of the parts that decide by a p-value within the model: those by limits, and the level."""
    return _sha256(_by_limits(policy) | {key: getattr(policy, key) for key in ("within", "level")})


def bank_rules_sha256(policy: Policy) -> str:
    """Return the digest of the parts that decide beside a bank: those without one, the p-value and when it judges."""
    # By value: the canonical form leaves out some defaults, and another default would be another rule.
    return _sha256(_by_limits(policy) | {key: getattr(policy, key) for key in P_VALUE})


def _by_limits(policy: Policy) -> dict[str, object]:
    return policy.model_dump(mode="json", include={"detectors", "stages", "uncalibrated", "seed"})


def _sha256(rules: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()
