"""`gate fleet plan`: the chosen versions hashed, gathered by their bytes into tasks, ordered by what they will take.

The plan reads no model: it downloads, hashes and forgets. A version that cannot be read is in the plan as such, since
what nobody looked at is not approved.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gate.check.base_model import AskedBase
from gate.check.evidence import ScanSettings
from gate.check.files import CheckFiles, private_directory
from gate.check.previous import Against
from gate.check.pull import downloaded
from gate.check.rules import Rules
from gate.check.samples import bring_samples, named_by_operator
from gate.promotion.fleet.choose import Choice, Chosen, choose
from gate.promotion.fleet.cost import Known, known_of, predict
from gate.promotion.fleet.folder import PLAN, FleetFolder
from gate.promotion.fleet.keys import registry_digest, task_key
from gate.promotion.fleet.ruling import fleet_rules
from gate.promotion.fleet.seen import Seen
from gate.records.activity import Tell
from gate.records.artifact import Manifest, ModelRef, build_manifest
from gate.records.errors import CannotFinishError, GateError, RegistryError, UnknownVersionError
from gate.records.fleet import FleetPlan, FleetRules, FleetTask, Unread
from gate.records.previous import NONE
from gate.registries.contract import ProductionRegistry
from gate.renderers.commands import tellable

ALONE = Against(NONE)
"""A fleet looks at each version by itself: a comparison with what serves belongs to a promotion."""
_TELL_EVERY = 15.0


@dataclass(frozen=True)
class PlanRequest:
    """What to plan."""

    folder: FleetFolder
    rules: Rules
    settings: ScanSettings
    choice: Choice
    registry: str = field(repr=False)
    """Address of the registry, which may hold a password."""
    base: AskedBase | None = None


@dataclass(frozen=True)
class _Read:
    """A version that was hashed."""

    ref: ModelRef
    manifest: Manifest
    alone: bool
    """Whether its folder holds what no digest covers, such as a link."""


@dataclass
class _Samples:
    """Digests of clean samples by registered model; each address is fetched and looked at once."""

    registry: ProductionRegistry
    request: PlanRequest
    known: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def digest(self, ref: ModelRef) -> str | None:
        """Return the digest of a version's clean samples; None where there are none."""
        rules = self.request.rules
        of_model = rules.policy.samples.of(ref.name)
        named = named_by_operator(rules.samples, rules.policy, ref.name)
        key = (rules.samples or of_model.uri or "", of_model.reading) if named else ("", ref.name)
        if key not in self.known:
            asked = rules.pull_of(str(ref), ALONE, self.request.base)
            with private_directory() as private:
                brought = bring_samples(self.registry, asked, private, ref, self.request.settings)
            self.known[key] = brought.samples.sha256 if brought.samples else None
        return self.known[key]


def make_plan(registry: ProductionRegistry, request: PlanRequest, at: dt.datetime, tell: Tell) -> FleetPlan:
    """Hash what is chosen, plan its tasks, and write `plan.json`."""
    CheckFiles.create(request.folder.root)
    rules = fleet_rules(registry, request.rules, request.settings, request.base)
    chosen = choose(registry, request.choice)
    samples, told = _Samples(registry, request), time.monotonic()
    place, groups = registry_digest(request.registry), dict[str, list[tuple[_Read, str | None]]]()
    unread: list[Unread] = []
    for number, ref in enumerate(chosen, start=1):
        seen = _guarded(registry, ref, lambda ref=ref: (_read(registry, request, ref), samples.digest(ref)))  # type: ignore[misc]
        if isinstance(seen, Unread):
            unread.append(seen)
        else:
            groups.setdefault(_key(rules, request, place, *seen), []).append(seen)
        if time.monotonic() - told >= _TELL_EVERY:
            told = time.monotonic()
            tell(f"{number} of {len(chosen)} versions are hashed")
    known = known_of(Seen(request.folder).results(), rules.policy_digest)
    plan = FleetPlan(
        made_at=at,
        registry=tellable(request.registry),
        registry_digest=place,
        chosen=str(request.choice),
        rules=rules,
        tasks=tuple(sorted(_tasks(groups, chosen, known, rules), key=_order)),
        unread=tuple(unread),
    )
    request.folder.write(PLAN, plan)
    return plan


def _read(registry: ProductionRegistry, request: PlanRequest, ref: ModelRef) -> _Read:
    policy = request.rules.policy
    with downloaded(registry.allowing(policy.artifact_stores), ref, policy.download) as folder:
        manifest, problems = build_manifest(folder)
    return _Read(ref, manifest, bool(problems))


def _guarded(
    registry: ProductionRegistry, ref: ModelRef, read: Callable[[], tuple[_Read, str | None]]
) -> tuple[_Read, str | None] | Unread:
    """Return what was read, or why a version could not be; raise where the registry itself is away."""
    try:
        return read()
    except (UnknownVersionError, CannotFinishError) as error:
        if isinstance(error, RegistryError) and not isinstance(error, UnknownVersionError):
            _require_answer(registry, ref)
        return Unread(version=str(ref), why=str(error)[:2000])
    except GateError:
        raise
    except Exception as error:  # noqa: BLE001  # what one version holds must not keep the others from being planned
        return Unread(version=str(ref), why=f"internal error: {type(error).__name__}: {str(error)[:500]}")


def _require_answer(registry: ProductionRegistry, ref: ModelRef) -> None:
    """Raise the registry's error if it does not answer; it may lack this version's files alone."""
    try:
        registry.facts(ref)
    except UnknownVersionError:
        return


def _key(rules: FleetRules, request: PlanRequest, registry: str, read: _Read, samples: str | None) -> str:
    reading = request.rules.policy.samples.of(read.ref.name).content_sha256
    return task_key(rules, read.manifest.digest, samples, reading, str(read.ref) if read.alone else "", registry)


def _tasks(
    groups: Mapping[str, list[tuple[_Read, str | None]]], chosen: Chosen, known: list[Known], rules: FleetRules
) -> Iterator[FleetTask]:
    for key, reads in groups.items():
        first, samples = reads[0]
        refs = [read.ref for read, _ in reads]
        places = dict.fromkeys(place for ref in refs for place in chosen[ref])
        yield FleetTask(
            key=key,
            digest=first.manifest.digest,
            size_bytes=first.manifest.size_bytes,
            samples_digest=samples,
            versions=tuple(map(str, refs)),
            places=tuple(places)[:1000],
            predicted=predict({ref.name for ref in refs}, first.manifest.size_bytes, known, rules.examines),
        )


def _order(task: FleetTask) -> tuple[float, int, str]:
    """Order the longest first, so that no worker begins a long task when the others have ended."""
    return -task.predicted.seconds, -task.size_bytes, task.key
