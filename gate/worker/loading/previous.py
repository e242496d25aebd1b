"""The version that serves and earlier approved ones, as exported programs that the strict reader alone reads.

Their bytes are hostile as the candidate's are, and no inspector has looked at them: what is no exported program is not
read. Each is read once to see that it can be, and then given up; two are held at a time beside the candidate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gate.formats.sealing import ChangedError, Seal
from gate.programs import Program, read_program
from gate.records.artifact import Artifact
from gate.records.errors import UnexaminableError
from gate.records.job import ScanJob
from gate.records.previous import PulledVersion, VersionClaim
from gate.spaces.subject import Classifier, Head, Previous, Version
from gate.worker.loading.answers import Answered
from gate.worker.loading.candidate import find_candidate
from gate.worker.loading.head import head_of_module, head_of_program
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loading.references import Beside, alike

_ADVICE = "Check again; if it happens again, see what else writes to the gate's private folder."
Open = Callable[[], Version]


@dataclass(frozen=True)
class Loaded:
    """The versions beside the candidate, as far as they can be read."""

    previous: Previous | None = None
    claims: tuple[VersionClaim, ...] = ()
    absence: str = ""
    """Reason why there is nothing to compare with, or empty."""
    problems: tuple[str, ...] = ()
    """Files that changed since the pull."""


def load_previous(job: ScanJob, found: Answered) -> Loaded:
    """Try to read every version, and return readers of those that can be read."""
    if job.previous is None or not job.previous.versions:
        return Loaded(absence=job.previous.why if job.previous else "")
    classifier = found.classifier
    beside = Beside.of(classifier, found.clean, found.preprocessing, classifier.output)
    problems: list[str] = []
    claims, readers, serving = [], [], None
    for number, version in enumerate(job.previous.versions):
        opened = partial(_opened, version, Path(job.previous_folder) / str(number), beside)
        one, why = _tried(version, opened, problems)
        claims.append(VersionClaim(digest=version.manifest.digest, why=why[:2000]))
        if version.serves:
            serving, opened = one, partial(_held, one)
        if one is not None and version.approved != "no":
            readers.append(opened)
    own = _version(classifier, head_of_module(classifier))
    why = next((claim.why for claim, one in zip(claims, job.previous.versions, strict=True) if one.serves), "")
    return Loaded(
        Previous(own, serving, tuple(readers)) if serving else None,
        tuple(claims),
        f"{job.previous.asked} was not compared: {why}"[:2000] if why else "",
        tuple(problems),
    )


def _tried(version: PulledVersion, opened: Open, problems: list[str]) -> tuple[Version | None, str]:
    """Return the version, or why it cannot be compared."""
    if version.why:
        return None, version.why
    try:
        return opened(), ""
    except ChangedError as error:
        problems.append(ChangedError(str(error), what_to_do=_ADVICE).sentence[:2000])
        return None, str(error)
    except UnexaminableError as error:
        return None, str(error)
    except (RuntimeError, ValueError, TypeError, IndexError, OSError) as error:
        return None, f"it does not accept the samples: {type(error).__name__}: {str(error)[:300]}"


def _held(version: Version | None) -> Version:
    assert version is not None
    return version


def _opened(version: PulledVersion, root: Path, beside: Beside) -> Version:
    """Read a version's program, whose files are hashed before and compared after."""
    seal = Seal.of(Artifact(version.model, root, version.manifest))
    candidate = find_candidate(root)
    if candidate.format != "pt2":
        raise UnexaminableError("it is no exported program; of other versions the gate reads nothing else")
    program = read_program(candidate.path)
    seal.check()
    return _version(alike(program, beside), None)


def _version(classifier: Classifier, head: Head | None) -> Version:
    """Return a classifier as a version; one that runs a module has no graph."""
    if not isinstance(classifier, ProgramClassifier):
        return Version(classifier, None, head, lambda _inputs, _names: {})
    program: Program = classifier.body.program
    return Version(classifier, program, head_of_program(program), classifier.values)
