"""The bytes that a decision is about and what opens them, in sentences.

An approval of the bundle says nothing of the candidate's own files, so each digest is shown with its use. A claim of
the candidate, such as its version of torch, is shown as a claim and compared only where it is a valid version.
"""

from dataclasses import dataclass
from typing import Final

from packaging.version import InvalidVersion, Version

from gate.judging.judge import approvable, covered_by
from gate.records.bundle import BundleFacts, Covers
from gate.records.evidence import Evidence
from gate.records.finding import Decision
from gate.records.report import Report
from gate.records.verdict import Verdict
from gate.renderers.text import count, cut, listed, plain

MAX_SHORT: Final = 19
"""Characters of a digest where the whole one is nearby: `sha256:` and twelve digits."""
_MAX_VERSION: Final = 40
_COVERED: Final = {
    ("Candidate", "Bundle"): "the candidate as it lies, and the bundle, which gate promote copies",
    ("Bundle",): "the bundle alone, which gate promote copies",
    ("Candidate",): "the candidate as it lies; it cannot be promoted",
}
_NAMES: Final = {"mlflow": "MLflow", "python": "Python"}
"""Names of libraries that differ from those on the package index."""


@dataclass(frozen=True)
class Bytes:
    """One digest, and the decision's meaning for the bytes that have it."""

    name: str
    """`Candidate` or `Bundle`."""
    digest: str
    means: str
    covered: bool
    """Whether an approval is about them."""

    @property
    def sign(self) -> str:
        """A character that tells the two apart without colour."""
        return "✓" if self.covered else "✕"


@dataclass(frozen=True)
class Served:
    """The first screen's part on the bytes."""

    heading: str
    """Title: which bytes are approved, or would be by a reviewer."""
    alone: str
    """Digest of the bundle where it alone is approved; else empty."""
    bytes: tuple[Bytes, ...]
    remark: str
    """Reason why there is no bundle, or nothing that could be approved; else empty."""
    opens: str
    """Releases that open the bundle, and the torch that wrote it."""
    newer: str
    """Warning where the bundle's torch is newer than the candidate claims for itself; else empty."""


def served(report: Report) -> Served | None:
    """Return which bytes the decision is about; None for a check without a decision."""
    evidence, verdict = report.evidence, report.verdict
    if report.error or evidence is None or verdict is None:
        return None
    approved = verdict.decision is Decision.APPROVED
    covers = covered_by(verdict, evidence)
    able = approved or approvable(verdict, evidence)
    facts = evidence.bundle if verdict.bundle_digest else None
    return Served(
        heading="Which bytes are approved" if approved else "Which bytes a reviewer's approval would cover",
        alone=verdict.bundle_digest or "" if approved and covers == "bundle" else "",
        bytes=tuple(_bytes(verdict, covers, approved=approved)) if able else (),
        remark=_remark(verdict, evidence, able=able),
        opens=opens(facts) if facts else "",
        newer=newer_than_candidate(facts) if facts else "",
    )


def _bytes(verdict: Verdict, covers: Covers, *, approved: bool) -> list[Bytes]:
    own = covers == "candidate"
    refused = f"not {'approved' if approved else 'covered'}: gate verify refuses these bytes"
    means = "as they lie in the registry, for whoever loads them there" if own else refused
    known = [Bytes("Candidate", verdict.model_digest, means, covered=own)]
    if verdict.bundle_digest:
        bundle = Bytes("Bundle", verdict.bundle_digest, _copied(verdict, approved=approved), covered=True)
        known.insert(1 if own else 0, bundle)
    return known


def _copied(verdict: Verdict, *, approved: bool) -> str:
    if verdict.covers is None:
        return "written by an earlier gate; check it again before gate promote"
    return f"what gate promote {'copies' if approved else 'would copy'} into production"


def _remark(verdict: Verdict, evidence: Evidence, *, able: bool) -> str:
    if verdict.examined == "files":
        if not able:
            return "Nobody can approve it: its bytes are not what the policy allows, and behaviour was not examined."
        return "No bundle was written: behaviour was not examined. It can be approved as it lies, and not promoted."
    if evidence.assurance not in ("A", "B"):
        why = f"its assurance is level {evidence.assurance}" if evidence.assurance else "it was not loaded"
        return f"Nobody can approve it: {why}."
    if verdict.bundle_digest:
        return ""
    why = evidence.unbundled.rstrip(".") or "the gate that scanned it wrote none"
    if not able:
        return f"No bundle was written: {plain(why, 400)}. Only a bundle could be approved, and there is none."
    then = "Approved as it lies" if verdict.decision is Decision.APPROVED else "It can be approved as it lies"
    return f"No bundle was written: {plain(why, 400)}. {then}, and cannot be promoted."


def opens(facts: BundleFacts) -> str:
    """Return which releases open a bundle, and which torch wrote it."""
    least = [f"{_NAMES.get(name, plain(name, 40))} ≥ {plain(least, 40)}" for name, least in facts.opens_with.items()]
    wrote = f"written by torch {plain(facts.torch, 40)}" if facts.torch else "written as data"
    return "; ".join([*([", ".join(least)] if least else []), wrote])


def newer_than_candidate(facts: BundleFacts) -> str:
    """Return a warning where the bundle is of a newer torch than the candidate claims; else empty."""
    said, wrote = _version(facts.candidate_torch), _version(facts.torch)
    if said is None or wrote is None or said >= wrote:
        return ""
    least = facts.opens_with.get("torch", "")
    needed = _version(least)
    both = f"The candidate says torch {said}; the bundle is written by torch {plain(facts.torch, 40)}"
    if needed is None:
        return f"{both}, and nothing shows that torch {said} opens it."
    opened = f"{both} and opens with torch ≥ {plain(least, 40)}"
    return f"{opened}." if said >= needed else f"{opened}: a consumer on torch {said} has to update first."


def _version(text: str) -> Version | None:
    """Return a version without its local part, which says nothing of the format; None for any other text."""
    if len(text) > _MAX_VERSION:
        return None
    try:
        return Version(Version(text).public)
    except InvalidVersion:
        return None


def heading_alone(digest: str) -> str:
    """Return the words for an approval of the bundle alone, where the whole digest is nearby."""
    return f"bundle {cut(digest, MAX_SHORT + 1)}, not the candidate"


def oddities_in_short(verdict: Verdict) -> str:
    """Return the number and kinds of the oddities that do not flag; empty where there are none."""
    if not verdict.told:
        return ""
    kinds = list(dict.fromkeys(f"{finding.rule} {finding.metric}" for finding in verdict.told))
    oddities = count(len(verdict.told), "oddity", "oddities")
    return f"{oddities} of the candidate's own files, not flagged, as the bundle alone is served: {listed(kinds)}"


def in_short(report: Report) -> str:
    """Return which bytes the decision is about, as one line for a terminal; empty without a decision."""
    seen, verdict = served(report), report.verdict
    if seen is None or verdict is None:
        return ""
    names = tuple(one.name for one in seen.bytes if one.covered)
    if not names:
        return ""
    line = _COVERED[names]
    return line if verdict.decision is Decision.APPROVED else f"once a reviewer approves: {line}"
