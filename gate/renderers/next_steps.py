"""From a report to the next steps, in their order, each with its cause and one complete command.

The only place where a next step is chosen; renderers, terminal and review page show it. The steps that remove the
cause of a flag are in `gate.renderers.mends`.
"""

from collections.abc import Iterator

from gate.judging.judge import approvable
from gate.records.evidence import Evidence
from gate.records.finding import REVIEW, Decision
from gate.records.report import Report
from gate.records.verdict import Verdict
from gate.renderers.commands import Commands, Step, commands_for, version_of
from gate.renderers.mends import mends


def next_steps(report: Report) -> tuple[Step, ...]:
    """Return the next steps, the first one first; never empty."""
    report = report.shown
    evidence, verdict = report.evidence, report.verdict
    if report.error or evidence is None or verdict is None:
        said = report.what_to_do or "Remove the cause that is named above, and run the same check again."
        return (Step("unfinished", said, commands_for(report).check()),)
    if verdict.decision is Decision.APPROVED:
        return tuple(_approved(report, verdict))
    return tuple(_flagged(report, evidence, verdict))


def commands_of(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Return the commands alone, each once."""
    return tuple(dict.fromkeys(step.command for step in steps if step.command))


def _approved(report: Report, verdict: Verdict) -> Iterator[Step]:
    commands, version = commands_for(report), version_of(report)
    if not version:
        yield Step("register", "Register it in MLflow and check the registered version: a folder cannot be promoted.")
        return
    if verdict.covers is None:
        said = "It was approved by an earlier gate: check it again before it is promoted."
        yield Step("earlier-gate", said, commands.check())
        return
    yield from _signing(report, commands)
    if verdict.bundle_digest is None:
        said = (
            "It can be used as it lies in the registry. To promote it, remove the reason why no bundle was written, "
            "and check it again."
        )
        yield Step("no-bundle", said, commands.check())
        return
    said = "Copy the bundle into production; put the name of your production model in place of PRODUCTION."
    yield Step("promote", said, commands.promote(version))


def _signing(report: Report, commands: Commands) -> Iterator[Step]:
    """Yield the steps that sign a finished check, where it is not signed; nothing is scanned again."""
    given = report.given
    if given.signed:
        return
    if not given.signs:
        said = "The decision is unsigned. Make a pair of keys once, unless you have one."
        yield Step("sign", said, commands.keys())
    said = "Sign the decision and mark the version; nothing is scanned again."
    yield Step("sign", said, commands.publish())


def _flagged(report: Report, evidence: Evidence, verdict: Verdict) -> Iterator[Step]:
    found = list(mends(report, evidence, verdict.open_findings))
    yield from found
    if _reviewable(evidence, verdict, found):
        rejected = any(finding.rule == REVIEW for finding in verdict.open_findings)
        yield from _review(report, first=not found, rejected=rejected)
    elif not found:
        said = "Nobody can approve this version as it is: remove the reasons above, and check it again."
        yield Step("blocked", said, commands_for(report).check())


def _reviewable(evidence: Evidence, verdict: Verdict, found: list[Step]) -> bool:
    """Tell whether a reviewer's decision is missing, and no step that removes a cause."""
    helpless = {"log-again", "files-only", "samples", "bank", "scan-again", "environment"}
    return approvable(verdict, evidence) and not helpless & {step.cause for step in found}


def _review(report: Report, *, first: bool, rejected: bool) -> Iterator[Step]:
    """Yield the steps of a review: sign, show, then approve or reject; a rejection is its own reviewer's to undo."""
    version = version_of(report)
    if not version:
        yield Step("register", "Register it in MLflow and check the registered version: a folder cannot be reviewed.")
        return
    commands = commands_for(report)
    if report.policy.reviewers is None:
        # What is signed under this policy would be void under another, so nothing is signed first.
        said = (
            "This policy names no reviewers, so nobody can approve it. Add `reviewers: {names: […]}` to a policy file "
            "of your own and judge by that; what was measured stays."
        )
        yield Step("reviewers", said, commands.judge())
        return
    yield from _signing(report, commands)
    said = "See what is known of it" if first else "Once you have read the report, see what is known of it"
    yield Step("review", f"{said}.", commands.show(version))
    if rejected:
        said = "Whoever rejected these bytes may take that back by approving them; write the reason in place of WHY."
        yield Step("review", said, commands.decide("approve", version))
        return
    said = "Approve it if a reviewer can explain what was found; write the reason in place of WHY."
    yield Step("review", said, commands.decide("approve", version))
    yield Step("review", "Or reject it.", commands.decide("reject", version))
