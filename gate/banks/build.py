"""`gate bank build`: measures trusted clean models by the gate's own pull and scan, and writes a bank of them.

Jailed workers measure each model, by the part of the policy that looks at every class; its evidence is kept in a folder
of its own, where an interrupted build resumes. That the models are clean is the operator's claim: a bank of backdoored
ones calibrates backdoors away. A flagged model needs a reason, which the bank holds (`gate.banks.vetting`).
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gate import VERSION
from gate.banks.assemble import Member, assemble, measuring_policy, refusal
from gate.banks.vetting import ADVICE, against_finished, against_measured
from gate.check.base_model import AskedBase
from gate.check.evidence import ScanRequest, ScanSettings
from gate.check.files import EVIDENCE, MODEL_FOLDER, VERDICT, CheckFiles, Pulled, private_directory, read_input, remove
from gate.check.pull import PullRequest, pull_model
from gate.check.samples import bring_samples
from gate.check.scan import scan
from gate.check.workers import Progress
from gate.records.activity import Tell
from gate.records.bank import LEAST_REFERENCES, Bank, write_bank
from gate.records.clock import today
from gate.records.copies import SelfMade
from gate.records.errors import UnexaminableError, UsageError
from gate.records.evidence import Evidence, Skipped
from gate.records.policy import Policy
from gate.records.probe_seed import key_of
from gate.records.verdict import Verdict
from gate.registries.contract import Registry

PROGRAM = "program.pt2"


@dataclass(frozen=True)
class BuildRequest:
    """The arguments of `gate bank build`."""

    policy: Policy
    samples: str | None
    settings: ScanSettings
    to: Path
    work: Path
    """Folder of each model's evidence, for the next time."""
    name: str
    provenance: str = ""
    most_references: int = 4
    base: AskedBase | None = None
    """Base of all adapters of a bank of these."""
    accept_flagged: str = ""
    """Reason why models that were flagged, rejected or not judged are clean; empty: they are refused."""


@dataclass(frozen=True)
class Measured:
    """One model of the bank and, where it has one, its program."""

    member: Member
    program: Path | None = None


def versions_of(registry: Registry, name: str, *, approved_only: bool) -> list[str]:
    """Return the URIs of a registered model's versions, or of those that carry the gate's tag of approval."""
    every = registry.versions(name)
    chosen = [str(ref) for ref, tags in every if not approved_only or tags.get("gate.decision") == "approved"]
    if not chosen:
        approved = " that is tagged approved" if approved_only else ""
        raise UsageError(f"the registered model {name!r} has no version{approved}; it has {len(every)} in all")
    return chosen


def build(
    models: Sequence[tuple[str, Registry]],
    folders: Iterable[Path],
    request: BuildRequest,
    progress: Progress,
    tell: Tell,
) -> Bank:
    """Measure each model that has not been measured, read the finished checks, and write the bank.

    A model that cannot be measured, or is flagged and not accepted, prevents the bank; the others' evidence is kept.
    """
    found = [_finished(folder, request, tell) for folder in folders]
    request.work.mkdir(parents=True, exist_ok=True)
    trouble, suspicious = [], []
    for number, (uri, registry) in enumerate(models, start=1):
        tell(f"model {number} of {len(models)}: {uri}")
        one = measure(uri, registry, request, progress, tell)
        if why := refusal(one.member.evidence):
            trouble.append(f"{uri}: {why}")
            tell(f"{uri} cannot be in the bank: {why}")
        elif one.member.against and not request.accept_flagged:
            suspicious.append(f"{uri}: {one.member.against}")
            tell(f"{uri} is not taken into the bank: {one.member.against}")
        found.append(one)
    them = f"of {len(models)} models"
    if trouble:
        again = "Leave them out and run the same command again; the others are not measured a second time."
        raise _unwritten(f"{len(trouble)} {them} could not be measured", trouble, again)
    if suspicious:
        raise _unwritten(f"{len(suspicious)} {them} are flagged", suspicious, ADVICE)
    return write(_distinct(found, tell), request, tell)


def _unwritten(what: str, why: Sequence[str], what_to_do: str) -> UnexaminableError:
    return UnexaminableError(f"{what}, and no bank was written: {'; '.join(why)[:1500]}", what_to_do=what_to_do)


def _finished(folder: Path, request: BuildRequest, tell: Tell) -> Measured:
    """Read a finished check; one that is flagged, or has no verdict of its own, needs a reason."""
    evidence = read_input(folder / EVIDENCE, Evidence, "gate scan")
    verdict = read_input(folder / VERDICT, Verdict, "gate judge") if (folder / VERDICT).exists() else None
    against = against_finished(evidence, verdict)
    if against and not request.accept_flagged:
        advice = "`gate judge` gives it one. " if verdict is None else ""
        raise UsageError(f"{folder} cannot be in the bank: {against}", what_to_do=f"{advice}{ADVICE}")
    return Measured(_member(str(evidence.model), str(evidence.model), evidence, against, request, tell))


def _member(name: str, uri: str, evidence: Evidence, against: str, request: BuildRequest, tell: Tell) -> Member:
    if against and request.accept_flagged:
        tell(f"{uri} is taken into the bank though {against}")
    return Member(name, uri, evidence, against, request.accept_flagged if against else "")


def measure(uri: str, registry: Registry, request: BuildRequest, progress: Progress, tell: Tell) -> Measured:
    """Pull and scan one model by the part of the policy for banks, or return what was measured by the same settings."""
    policy = measuring_policy(request.policy)
    with private_directory() as private:
        ref = registry.resolve(uri)
        files = CheckFiles.create(private / "check")
        asked = PullRequest(uri, policy, request.samples, base=request.base)
        brought = bring_samples(registry, asked, private, ref, request.settings)
        pulled = pull_model(registry, asked, files, private, ref, brought)
        kept = CheckFiles.create(request.work / _key(pulled, policy, request.settings))

        def member(name: str, evidence: Evidence) -> Member:
            against = "" if refusal(evidence) else against_measured(evidence, policy, registry.facts(ref).tags, today())
            return _member(name, uri, evidence, against, request, tell)

        if (kept.root / EVIDENCE).is_file() and not _cut_short(evidence := kept.evidence()):
            tell(f"{ref} was measured already by the same settings")
            there = kept.root / PROGRAM
            return Measured(member(str(evidence.model), evidence), there if there.is_file() else None)
        scanned = scan(ScanRequest(pulled, private, policy, request.settings), progress)
        program = _program(private / MODEL_FOLDER)
        if program is not None:
            shutil.copyfile(program, kept.root / PROGRAM)
        if cut := _cut_short(scanned.evidence):
            tell(f"{ref} had no time left for {', '.join(cut)}: the next build measures it again; give it more time")
        elif not refusal(scanned.evidence):
            kept.write(EVIDENCE, scanned.evidence.pretty_json())  # last: its presence says that all files are there
        return Measured(member(str(ref), scanned.evidence), kept.root / PROGRAM if program else None)


def _cut_short(evidence: Evidence) -> list[str]:
    """Return the detectors that the deadline left out: another time there may be more, so such evidence is not kept."""
    return [name for name, one in evidence.outcomes.items() if isinstance(one, Skipped) and one.short_of_time]


def _key(pulled: Pulled, policy: Policy, settings: ScanSettings) -> str:
    samples = pulled.samples.sha256 if pulled.samples else None
    rules = {name: dict(rule.options) for name, rule in policy.detectors.items()}
    reading = policy.samples.of(pulled.model.name).model_dump(mode="json")
    seed = settings.seed_by(policy)
    value = [pulled.digest, rules, reading, seed, samples, settings.allow_code, settings.device, VERSION]
    value += [settings.arithmetic] if settings.arithmetic != "auto" else []
    # Not only its weights: what is said behind prompts depends on its template and tokenizer too.
    value += [pulled.base.weights_digest, pulled.base.manifest.digest] if pulled.base else []
    value += [key_of(settings.probe_seed)] if settings.probe_seed else []
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _program(folder: Path) -> Path | None:
    """Return the only exported program among a model's files, which can be a reference; None without exactly one."""
    found = [path for path in folder.rglob("*.pt2") if path.is_file() and not path.is_symlink()]
    return found[0] if len(found) == 1 else None


def _distinct(found: Iterable[Measured], tell: Tell) -> list[Measured]:
    by_digest: dict[str, Measured] = {}
    for one in found:
        first = by_digest.setdefault(one.member.evidence.manifest_digest, one)
        if first is not one:
            tell(f"{one.member.name} is the same model as {first.member.name}, and counts once")
    return list(by_digest.values())


def write(found: Sequence[Measured], request: BuildRequest, tell: Tell, self_made: SelfMade | None = None) -> Bank:
    """Write the bank of measured models, and beside it the programs of some as its references."""
    keys = assemble(
        [one.member for one in found], request.policy, name=request.name, provenance=request.provenance[:2000]
    )
    keys["self_made"] = self_made
    CheckFiles.create(request.to.resolve().parent)
    folder = request.to.with_name(f"{request.to.stem}-models")
    remove(folder)
    programs = {one.program.read_bytes(): one.program for one in found if one.program is not None}
    chosen = list(programs)[: request.most_references]
    if keys["adapters"] is not None:
        return write_bank(request.to, **keys)
    if len(chosen) < LEAST_REFERENCES:
        tell(f"{len(chosen)} models have a program of their own; without {LEAST_REFERENCES} there are no references")
        return write_bank(request.to, **keys)
    folder.mkdir()
    paths = []
    for raw in chosen:
        paths.append(folder / f"{hashlib.sha256(raw).hexdigest()[:16]}.pt2")
        paths[-1].write_bytes(raw)
    return write_bank(request.to, paths, **keys)
