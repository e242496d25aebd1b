"""The versions beside a candidate: the one that serves now, and earlier approved ones, pulled as the candidate is.

What an alias or a tag says is a claim. That a version was approved is known by a trusted key's signature over its bytes
alone; the evidence says on which ground each was called so. Nothing here is loaded, and a version that cannot be had is
a reason, never the end of the check.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gate import detectors
from gate.attestations.envelope import open_envelope
from gate.attestations.keys import PublicKey
from gate.attestations.log import ReviewLog
from gate.check.files import PREVIOUS_FOLDER, remove
from gate.detectors.contract import Need
from gate.records.artifact import ModelRef, build_manifest, make_read_only
from gate.records.errors import CannotFinishError, UnknownVersionError
from gate.records.finding import Decision
from gate.records.policy import DownloadBounds, Policy
from gate.records.previous import NONE, SERVES, Approved, PulledPrevious, PulledVersion
from gate.registries.contract import Registry
from gate.registries.downloading import bounded

Versions = Callable[[str], Sequence[tuple[ModelRef, Mapping[str, str]]]]
"""Lists a registered model's versions with their tags, as `Registry.versions` does."""
ATTESTATION, _DECISION = "gate.attestation", "gate.decision"
_GIB = 2**30


@dataclass(frozen=True)
class Against:
    """What a candidate is compared with."""

    uri: str | None = None
    """URI or folder, `none` for nothing; None for the alias by which versions of the candidate's own model serve."""
    registry: Registry | None = field(default=None, repr=False)
    """Registry that holds it; None for the candidate's own."""
    keys: Sequence[PublicKey] = ()
    """Trusted keys, by whose signatures an approval is known."""
    log: ReviewLog | None = field(default=None, repr=False)
    """Review log that knows decisions which a tag no longer shows."""


BY_ALIAS: Final = Against()
"""The version that the alias of the candidate's own model names, whose tags are not verified."""


@dataclass(frozen=True)
class _Errand:
    registry: Registry
    versions: Versions
    against: Against
    policy: Policy
    candidate: ModelRef
    folder: Path


def bring_previous(
    registry: Registry, versions: Versions, against: Against, policy: Policy, candidate: ModelRef, base: Path
) -> PulledPrevious | None:
    """Pull the versions below `base`; None where no detector of the policy asks for them.

    `versions` lists those of `registry`, once for the whole check. A version that the operator names by number and that
    is not there raises `UnknownVersionError`.
    """
    earlier = _earlier_asked(policy)
    if earlier is None:
        return None
    lists = versions if against.registry is None else against.registry.versions
    errand = _Errand(against.registry or registry, lists, against, policy, candidate, base / PREVIOUS_FOLDER)
    remove(errand.folder)
    uri = against.uri or (f"models:/{candidate.name}@{SERVES}" if candidate.version is not None else "")
    if uri in {"", NONE}:
        return PulledPrevious(why=f"--against {NONE}" if uri else "a folder on disk has no alias; --against names one")
    try:
        return _bring(errand, uri, earlier)
    except UnknownVersionError:
        if "@" not in uri:
            raise
        other = "" if against.uri else f" (--against models:/NAME@{SERVES} names it where production has another name)"
        return PulledPrevious(asked=uri[:2000], why=f"nothing serves yet: {uri[:300]} names no version{other}")
    except CannotFinishError as error:
        return PulledPrevious(asked=uri[:2000], why=f"{uri[:300]} could not be had: {error}"[:2000])


def _earlier_asked(policy: Policy) -> int | None:
    """Return how many earlier versions the policy's detectors ask for at most; None where none asks for any."""
    asking = (name for name in policy.detectors if Need.PREVIOUS in detectors.load(name).needs)
    options = [detectors.load(name).options.model_validate(policy.options_of(name)) for name in asking]
    return max((int(getattr(one, "earlier", 0)) for one in options), default=None)


def _bring(errand: _Errand, uri: str, earlier: int) -> PulledPrevious:
    serving = errand.registry.resolve(uri)
    if serving == errand.candidate:
        return PulledPrevious(asked=uri[:2000], why=f"{serving} is itself the version that serves now")
    refs = [serving, *_approved(errand, serving)][: earlier + 1]
    pulled = list(_pulled(errand, refs, serving))
    if pulled and pulled[0].why:
        return PulledPrevious(asked=uri[:2000], why=f"{serving} could not be had: {pulled[0].why}"[:2000])
    order = sorted(range(len(pulled)), key=lambda place: int(pulled[place].model.version or 0))
    for place, index in enumerate(order):
        (errand.folder / f"brought-{index}").rename(errand.folder / str(place))
    return PulledPrevious(asked=uri[:2000], versions=tuple(pulled[index] for index in order))


def _approved(errand: _Errand, serving: ModelRef) -> list[ModelRef]:
    """Return the other versions of the serving model that are called approved, the newest first.

    Where keys are trusted, those with a signed approval, before the number is cut: whoever may set tags could crowd out
    the others. An approval that several carry is of the oldest, whose the bytes turn out to be when they are pulled.
    """
    if serving.version is None:
        return []
    every = sorted(errand.versions(serving.name), key=lambda one: int(one[0].version or 0))
    if errand.against.keys:
        signed = [(_signed(tags, errand.against.keys)[0], ref) for ref, tags in every]
        named = list({digests: ref for digests, ref in reversed(signed) if digests}.values())
    else:
        named = [ref for ref, tags in every if tags.get(_DECISION) == Decision.APPROVED.value]
    newest = sorted(named, key=lambda ref: int(ref.version or 0), reverse=True)
    return [ref for ref in newest if ref not in {serving, errand.candidate}]


def _signed(tags: Mapping[str, str], keys: Sequence[PublicKey]) -> tuple[tuple[str, ...], str]:
    """Return the digests that a trusted key's approval covers, none without one, and the key's id."""
    opened = open_envelope(tags.get(ATTESTATION, ""), keys)
    if opened.statement is None or opened.statement.predicate.decision is not Decision.APPROVED:
        return (), ""
    return opened.statement.covered_digests, opened.key_id[:64]


def _pulled(errand: _Errand, refs: Sequence[ModelRef], serving: ModelRef) -> Iterator[PulledVersion]:
    """Pull one after the other, all together within the policy's bounds for one download."""
    bounds, seen = errand.policy.download, set[str]()
    room, files = bounds.max_bytes, bounds.max_files
    for index, ref in enumerate(refs):
        if room <= 0 or files <= 0:
            return
        left = DownloadBounds(max_gib=room / _GIB, max_files=files)
        found = _one(errand, ref, errand.folder / f"brought-{index}", left, serves=ref == serving)
        if not found.why and found.manifest.digest in seen:
            found = PulledVersion(model=ref, why="its bytes are another version's")
        seen.add(found.manifest.digest)
        room, files = room - found.manifest.size_bytes, files - len(found.files)
        yield found


def _one(errand: _Errand, ref: ModelRef, to: Path, bounds: DownloadBounds, *, serves: bool) -> PulledVersion:
    to.mkdir(parents=True)
    try:
        registry = errand.registry.allowing(errand.policy.artifact_stores)
        with bounded(to, bounds, str(ref)):
            registry.pull(ref, to)
        tags = registry.facts(ref).tags
    except CannotFinishError as error:
        to.mkdir(parents=True, exist_ok=True)
        return PulledVersion(model=ref, serves=serves, why=str(error)[:2000])
    manifest, problems = build_manifest(to)
    make_read_only(to)
    approved, key = _ground(tags, manifest.digest, errand.against.keys)
    why = problems[0][:2000] if problems else ""
    return PulledVersion(
        model=ref, files=() if why else manifest.files, serves=serves, approved=approved, key=key, why=why
    )


def _ground(tags: Mapping[str, str], digest: str, keys: Sequence[PublicKey]) -> tuple[Approved, str]:
    """Return the ground for calling these bytes approved, and the key's id; an expired approval was one."""
    covered, key = _signed(tags, keys)
    if digest in covered:
        return "signature", key
    # Where a key is trusted, a tag counts for nothing: whoever may set it could widen what is usual.
    return ("tag" if not keys and tags.get(_DECISION) == Decision.APPROVED.value else "no"), ""
