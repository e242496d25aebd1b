"""What one detector's outcome on one model depends on, as a key; and the least policy that measures what is missing.

Pure, between the policy and the cache. Detectors are added one by one and processor time is scarce, so an outcome is
kept until something that reaches the detector changes: the model, its options, the seed, the samples, or, for a
detector that looks at suspects, who named which suspect. Limits are no part of a key: they cost nothing to change.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gate.judging.stages import suspects_after
from gate.records.evidence import Outcome
from gate.records.policy import Policy, Stage


@dataclass(frozen=True)
class Conditions:
    """What every outcome on one model depends on."""

    manifest_digest: str
    seed: int
    samples_sha256: str
    model_name: str
    """As the policy's settings by model know it."""
    classes: int

    def of(self, policy: Policy) -> dict[str, Any]:
        """Return the conditions as plain values, with the policy's settings for these samples."""
        return {
            "model": self.manifest_digest,
            "seed": self.seed,
            "samples": self.samples_sha256,
            "settings": policy.samples.of(self.model_name).model_dump(mode="json", exclude_none=True),
        }


@dataclass(frozen=True)
class Found:
    """What of a policy is known already, and what is not."""

    keys: dict[str, str]
    """Of every detector whose key is known: those behind an unknown outcome are not."""
    known: dict[str, Outcome]
    missing: dict[str, frozenset[str]]
    """By detector without an outcome, the known ones that hand it suspects and triggers, and so must run again."""

    def to_run(self, wanted: Iterable[str]) -> frozenset[str]:
        """Return what must be scanned to have these detectors: those of them that are missing, and their sources."""
        missing = [name for name in wanted if name in self.missing]
        return frozenset(missing).union(*(self.missing[name] for name in missing))


def look_up(policy: Policy, conditions: Conditions, kept: Mapping[str, Outcome]) -> Found:
    """Walk the policy's stages and find each detector's outcome among those kept by key."""
    keys: dict[str, str] = {}
    known: dict[str, Outcome] = {}
    missing: dict[str, frozenset[str]] = {}
    for number, stage in enumerate(policy.plan(), start=1):
        naming = _naming(policy, number) if stage.over == "suspects" else frozenset()
        sources = {name for name in naming if _names_any(name, policy, number, known, conditions)}
        unknown = naming & set(missing)
        suspects = _suspects(policy, number, stage, known, conditions.classes, keys)
        for name in stage.detectors:
            if not unknown:
                keys[name] = _key(name, policy, conditions, suspects)
                if keys[name] in kept:
                    known[name] = kept[keys[name]]
                    continue
            missing[name] = frozenset(sources | unknown)
    return Found(keys, known, missing)


def _names_any(name: str, policy: Policy, number: int, known: Mapping[str, Outcome], conditions: Conditions) -> bool:
    """Tell whether a known detector names any suspect for a stage, or could drop one."""
    if name not in known:
        return False
    return bool(suspects_after(policy, number - 1, {name: known[name]}, conditions.classes)) or name in _narrowing(
        policy, number
    )


def reduced(policy: Policy, wanted: Iterable[str], *, deadline: float) -> Policy:
    """Return the policy with only these detectors, in their stages, each measured as the whole policy would."""
    chosen = set(wanted)
    for stage in policy.plan():
        # A rule may stand at a stage of which no detector is wanted; one of them then keeps the stage.
        if chosen & {rule.detector for rule in stage.suspects} and not chosen & set(stage.detectors):
            chosen.add(stage.detectors[0])
    stages = [
        stage.model_copy(
            update={
                "detectors": tuple(name for name in stage.detectors if name in chosen),
                "suspects": tuple(rule for rule in stage.suspects if rule.detector in chosen),
            }
        )
        for stage in policy.plan()
        if chosen & set(stage.detectors)
    ]
    values = policy.model_dump() | {
        "stages": [stage.model_dump() for stage in stages],
        "detectors": {name: rule.model_dump() for name, rule in policy.detectors.items() if name in chosen},
        "waivers": (),
        "deadline": deadline,
    }
    return Policy.model_validate(values)


def keys_after(policy: Policy, conditions: Conditions, outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Return the keys of the outcomes that a finished scan by this policy reached."""
    keys: dict[str, str] = {}
    for number, stage in enumerate(policy.plan(), start=1):
        suspects = _suspects(policy, number, stage, outcomes, conditions.classes, keys)
        keys |= {name: _key(name, policy, conditions, suspects) for name in stage.detectors}
    return keys


_Suspects = list[tuple[str, str, str]] | None


def _suspects(  # one call, close to the loops above
    policy: Policy,
    number: int,
    stage: Stage,
    outcomes: Mapping[str, Outcome],
    classes: int,
    keys: Mapping[str, str],
) -> _Suspects:
    """Return who names which location for this stage, and by which measurement; None where it looks at everything."""
    if stage.over == "all":
        return None
    named = suspects_after(policy, number - 1, outcomes, classes)
    return [(suspect.detector, str(suspect.location), keys.get(suspect.detector, "")) for suspect in named]


def _key(name: str, policy: Policy, conditions: Conditions, suspects: _Suspects) -> str:
    """Return the digest of everything that reaches a detector."""
    value = {
        "detector": name,
        "options": dict(policy.options_of(name)),
        "suspects": suspects,
        **conditions.of(policy),
    }
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _naming(policy: Policy, number: int) -> frozenset[str]:
    """Return the detectors by whose metrics the stages before this one name suspects."""
    return frozenset(rule.detector for stage in policy.plan()[: number - 1] for rule in stage.suspects)


def _narrowing(policy: Policy, number: int) -> set[str]:
    """Return the detectors by which earlier stages drop suspects again."""
    before = policy.plan()[: number - 1]
    return {rule.detector for stage in before if stage.over == "suspects" for rule in stage.suspects}
