"""The rules of a fleet as its plan records them, and the same read again when the plan is run, or refused."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from gate import VERSION, detectors
from gate.check.base_model import AskedBase, asked_base
from gate.check.evidence import ScanSettings
from gate.check.rules import Rules, read_rules
from gate.policies.packaged import packaged_name, policy_at
from gate.promotion.fleet.keys import detector_digest, engine_digest, registry_digest
from gate.records.artifact import build_manifest
from gate.records.errors import UsageError
from gate.records.fleet import FleetPlan, FleetRules
from gate.records.probe_seed import key_of
from gate.registries.contract import ProductionRegistry
from gate.registries.uris import is_registry_uri
from gate.renderers.commands import tellable

_COMPARED: Mapping[str, str] = {
    "policy_digest": "the policy",
    "bank_digest": "the bank",
    "base_digest": "the base",
    "probe_key": "the probe seed",
    "detectors": "the code of a detector",
    "engine": "the code that detectors share",
}
"""Digests that have to be those of the plan, with what they are of."""


def fleet_rules(
    registry: ProductionRegistry, rules: Rules, settings: ScanSettings, base: AskedBase | None
) -> FleetRules:
    """Return the record of rules and settings, with the base's address resolved to a version."""
    resolved, digest = _resolved(registry, base)
    return FleetRules(
        **_digests(rules, settings),
        policy=packaged_name(rules.file) or str(rules.file.absolute()),
        policy_name=rules.policy.name,
        valid_days=rules.policy.valid_days,
        examines=_examines(rules),
        samples=_absolute(rules.samples),
        bank=str(Path(rules.bank.source).absolute()) if rules.bank and rules.bank.by_option else None,
        base=resolved,
        base_digest=digest,
        seed=settings.seed,
        device=settings.device,
        deadline_seconds=settings.deadline_seconds,
        allow_code=settings.allow_code,
        arithmetic=settings.arithmetic,
        isolation=settings.isolation,
    )


def _examines(rules: Rules) -> Literal["behaviour", "files"]:
    """Return whether a detector of the policy runs the model, which takes most of the time."""
    return "behaviour" if any(detectors.load(name).passes for name in rules.policy.detectors) else "files"


def _digests(rules: Rules, settings: ScanSettings) -> dict[str, object]:
    return {
        "gate_version": VERSION,
        "policy_digest": rules.policy.digest,
        "bank_digest": f"sha256:{rules.bank.sha256}" if rules.bank else None,
        "probe_key": key_of(settings.probe_seed) if settings.probe_seed else None,
        "detectors": {name: detector_digest(detectors.load(name)) for name in sorted(rules.policy.detectors)},
        "engine": engine_digest(),
    }


def _resolved(registry: ProductionRegistry, base: AskedBase | None) -> tuple[str | None, str | None]:
    if base is None:
        return None, None
    if is_registry_uri(base.uri):
        return str((base.registry or registry).resolve(base.uri)), None
    folder = Path(base.uri.removeprefix("directory:")).absolute()
    return str(folder), build_manifest(folder)[0].digest


def _absolute(samples: str | None) -> str | None:
    return samples if samples is None or ":/" in samples else str(Path(samples).absolute())


def read_again(planned: FleetRules, settings: ScanSettings) -> tuple[Rules, ScanSettings, AskedBase | None]:
    """Read what a plan names; what has changed since is a `UsageError`.

    `settings` are those of the machine: memory, threads and the probe seed.
    """
    rules = read_rules(policy_at(planned.policy), planned.samples)
    rules = rules.beside(Path(planned.bank) if planned.bank else None)
    own = {name: getattr(planned, name) for name in _SETTINGS}
    settings = replace(settings, **own)
    base = asked_base(planned.base)
    found = _digests(rules, settings) | {"base_digest": _digest_of(planned)}
    for name, what in _COMPARED.items():
        was = getattr(planned, name)
        if found[name] != was:
            raise UsageError(
                f"{what} is not as it was when the fleet was planned: {_told(was)} then, {_told(found[name])} now",
                what_to_do="Run `gate fleet plan` again: what was done by the same rules is not done again.",
            )
    return rules, settings, base


def require_registry(plan: FleetPlan, address: str) -> None:
    """Refuse to mark in another registry than the plan's: the same names there are other versions."""
    if plan.registry_digest not in {None, registry_digest(address)}:
        raise UsageError(
            f"the fleet was planned for another registry: {plan.registry or 'one whose address holds a password'} "
            f"then, {tellable(address) or 'one whose address holds a password'} now; nothing was marked",
            what_to_do="Name the plan's registry, or run `gate fleet plan` again for this one.",
        )


_SETTINGS = ("seed", "device", "deadline_seconds", "allow_code", "arithmetic", "isolation")


def _digest_of(planned: FleetRules) -> str | None:
    if planned.base is None or is_registry_uri(planned.base):
        return None
    return build_manifest(Path(planned.base))[0].digest


def _told(value: object) -> str:
    if isinstance(value, dict):
        return f"{len(value)} detectors"
    return str(value)[:19] if value else "none"
