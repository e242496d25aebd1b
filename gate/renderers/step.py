"""One thing to do about a report, and what its command is made of."""

from dataclasses import dataclass
from typing import Literal

from gate.records.report import Report
from gate.renderers.commands import Commands

Cause = Literal[
    "unfinished",
    "earlier-gate",
    "log-again",
    "files-only",
    "allow-code",
    "samples",
    "bank",
    "environment",
    "one-output",
    "scan-again",
    "look",
    "repair",
    "repeat",
    "sign",
    "reviewers",
    "review",
    "blocked",
    "promote",
    "no-bundle",
    "register",
]


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    cause: Cause
    sentence: str
    command: str = ""
    """For a shell, as it stands; empty where there is none that would help."""


def commands_for(report: Report) -> Commands:
    """Return the commands about a report's version, with the words of its check."""
    given, evidence = report.given, report.evidence
    if evidence is not None:
        # Where a step of its own judged, evidence knows what the scan was given.
        samples = given.samples or (evidence.samples.source if evidence.samples else "")
        bank = given.bank or (evidence.bank.source if evidence.bank and evidence.bank.by_option else "")
        code = given.allow_code or evidence.assurance in ("B", "C")
        given = given.model_copy(update={"samples": samples, "bank": bank, "allow_code": code})
    model = report.model
    pinned = report.policy.samples.of(model.name if model else "").uri or ""
    return Commands(report.uri, given, pinned, folder=model is not None and model.version is None)


def version_of(report: Report) -> str:
    """Return the version as a command names it; empty for a folder, which can be neither marked nor promoted."""
    model = report.model
    return str(model) if model is not None and model.version is not None else ""


def latest(report: Report) -> str:
    """Return the newest version of the registered model, which the reader is about to make; a folder is itself."""
    model = report.model
    return f"models:/{model.name}/latest" if model is not None and model.version is not None else report.uri
