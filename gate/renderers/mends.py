"""The steps that remove the cause of a flag, in their order, each with one complete command.

The cause decides: with wrong samples no step says to approve, and none changes the seed where nothing was measured.
"""

from collections.abc import Iterator, Mapping

from gate.formats.carried import NO_MODEL, OTHER_FLAVOUR
from gate.formats.log_again import CALL, ONNX_EXTRA, SEVERAL_LABELS
from gate.judging.elsewhere import RULE as OTHER_POLICY
from gate.records.declarations import Space
from gate.records.evidence import Evidence, Failed, Measured, Skipped
from gate.records.facts import BESIDE_BASE
from gate.records.finding import Finding
from gate.records.limit import Limit
from gate.records.plan import enough
from gate.records.report import Report
from gate.renderers import adapters
from gate.renderers.commands import NEW_BANK, SAMPLES, TEXTS, Commands, Step, commands_for, latest, version_of

_NO_CODE = "artifact-integrity"
"""The one detector whose findings forbid loading and are not about code."""
FILES_ONLY = "files-only"
"""The packaged policy that judges bytes alone."""
_SAMPLES: Mapping[Space, tuple[str, str, str]] = {
    "images": ("an .npz of `inputs` and `labels`", SAMPLES, "layout, bounds, mean, std"),
    "tokens": ("lines of JSON, or a CSV file, with `text` and `label`", TEXTS, "classes, max-tokens"),
}
"""For each kind of input the form of its samples, a name for their file, and the policy's settings of reading them."""
_SECONDS = 7200
"""Deadline for a scan that ran out of time under the usual 1800, where its evidence holds no plan."""


def mends(report: Report, evidence: Evidence, findings: tuple[Finding, ...]) -> Iterator[Step]:
    """Yield the steps for each cause; a cause that keeps everything else from running comes alone."""
    commands = commands_for(report)
    if any(finding.rule == OTHER_POLICY for finding in findings):
        yield Step("scan-again", "Measure what this policy asks for.", commands.check())
        return
    if report.policy.files_only:
        yield from _bytes(report, commands, findings)
        return
    if evidence.facts.unexaminable:
        yield from _of_flavour(report, evidence, commands, findings)
        return
    if evidence.assurance is None:
        yield from _unread(report, evidence, commands, findings)
        return
    if evidence.assurance == "C":
        yield _log_again(report, commands, "Its own code ran while it was measured, so nobody can approve it.")
        return
    yield from _bytes(report, commands, findings)
    if samples := list(_samples(report, evidence, commands, findings)):
        yield from samples
        return
    yield from _outputs(report, commands, findings)
    yield from _not_run(report, evidence, commands, findings)
    yield from _bank(report, evidence, commands, findings)
    yield from _suspects(report, evidence, commands, findings)


def _of_flavour(
    report: Report, evidence: Evidence, commands: Commands, findings: tuple[Finding, ...]
) -> Iterator[Step]:
    """Yield the steps for what is judged beside a base, and for models that no detector examines."""
    if evidence.facts.flavour in BESIDE_BASE:
        yield from _bytes(report, commands, findings)
        yield from adapters.steps(report, evidence, commands, findings)
    else:
        said = "No detector examines such a model. Have its bytes judged; then a named reviewer decides."
        yield Step("files-only", said, commands.of_bytes(FILES_ONLY).check())


def _unread(report: Report, evidence: Evidence, commands: Commands, findings: tuple[Finding, ...]) -> Iterator[Step]:
    """Yield the steps for a candidate that could not be read."""
    if evidence.facts.is_pipeline:
        yield _unread_pipeline(report, commands, findings)
        return
    said = " ".join(finding.message for finding in findings if finding.rule == "scan")
    if NO_MODEL in said or OTHER_FLAVOUR in said:
        yield _log_again(report, commands, "Log the network itself, as an MLflow model of the flavour pytorch.")
        return
    if ONNX_EXTRA in said:
        yield Step("install", f"Install what reads ONNX models: {ONNX_EXTRA}. Then check again.", commands.check())
        return
    carries = any(f.rule in report.before_loading - {_NO_CODE} and f.kind == "limit" for f in findings)
    how = "so that it needs no code of its own" if carries else "without what stands above"
    yield _log_again(report, commands, f"Log the model again {how}.")
    if carries and not report.given.allow_code:
        approves = (
            "the policy asks for level A, so a reviewer has to approve that" if report.policy.assurance == "A" else ""
        )
        said = (
            "Or let its code run once in the jailed converter: the gate then examines the bundle that it writes, and "
            f"only that can be approved{f' ({approves})' if approves else ''}."
        )
        yield Step("allow-code", said, commands.check("--allow-code"))


def _unread_pipeline(report: Report, commands: Commands, findings: tuple[Finding, ...]) -> Step:
    """Return the step for a pipeline of transformers whose network was not composed."""
    if any(finding.rule in report.before_loading and finding.kind == "limit" for finding in findings):
        said = "Log the pipeline again without what stands above, and check the new version."
        return Step("log-again", said, commands.check_new(latest(report), "new"))
    return Step("scan-again", "Do what stands above, and check again.", commands.check())


def _log_again(report: Report, commands: Commands, why: str) -> Step:
    said = f"{why} {CALL} on MLflow 3.13 or later writes an exported program; then check the new version."
    return Step("log-again", said, commands.check_new(latest(report), "new"))


def _bytes(report: Report, commands: Commands, findings: tuple[Finding, ...]) -> Iterator[Step]:
    """Yield the step for findings on files beside a program that was read; nobody can waive them."""
    if any(finding.rule in report.before_loading and finding.kind == "limit" for finding in findings):
        said = (
            "Leave out of the logged model what the findings on its files name, log it again, and check the new "
            "version."
        )
        yield Step("log-again", said, commands.check_new(latest(report), "new"))


def _samples(report: Report, evidence: Evidence, commands: Commands, findings: tuple[Finding, ...]) -> Iterator[Step]:
    """Yield the step for samples that are missing or do not fit the model, or for a model that none would fit."""
    given = bool(commands.given.samples or commands.pinned_samples)
    form, name, settings = _SAMPLES[evidence.facts.space]
    if any(finding.rule == "scan" and SEVERAL_LABELS in finding.message for finding in findings):
        said = "Log one version for each label, whose scores are of two classes, and check each."
        yield Step("log-again", said, commands.check_new(latest(report), "new"))
    elif evidence.samples is None and not given:
        said = f"Give clean, labelled inputs of the model, as it takes them: {form}."
        yield Step("samples", said, commands.check(samples=name))
    elif evidence.samples is None:
        said = f"Correct the samples, or state under 'samples' in the policy how they are read ({settings})"
        yield Step("samples", f"{said}, and check again.", commands.check())
    elif any(finding.rule == "samples" for finding in findings):
        said = (
            "Make the samples fit the model: pass them as the model takes them, or state under 'samples' in the policy"
        )
        yield Step("samples", f"{said} how they are read ({settings}), and check again.", commands.check())


def _outputs(report: Report, commands: Commands, findings: tuple[Finding, ...]) -> Iterator[Step]:
    """Yield the step for outputs beside the judged one; a reviewer may decide about them as well."""
    if any(finding.rule == "outputs" and finding.kind == "condition" for finding in findings):
        said = (
            "Log the model again so that it returns its class scores alone, and check the new version; or, where "
            "production takes no decision from the other outputs, name them in the policy, as described above."
        )
        yield Step("one-output", said, commands.check_new(latest(report), "new"))


def _not_run(report: Report, evidence: Evidence, commands: Commands, findings: tuple[Finding, ...]) -> Iterator[Step]:
    """Yield the steps for a scan that fell short: a weak jail, too little time, a detector that failed."""
    if any(finding.rule == "isolation" for finding in findings):
        said = "The jail was weaker than the policy asks: see what this machine lacks, or run the gate's container."
        yield Step("environment", said, commands.doctor())
    silent = {finding.rule for finding in findings if finding.kind == "silence"} & set(report.policy.detectors)
    outcomes = [evidence.outcomes.get(rule) for rule in silent]
    if any(isinstance(one, Skipped) and (one.short_of_time or "deadline" in one.reason) for one in outcomes):
        yield _more_time(evidence, commands)
    elif any(outcome is None or isinstance(outcome, Failed) for outcome in outcomes):
        said = "Something that the policy asks for was not measured: check again. Report a detector that fails twice."
        yield Step("scan-again", said, commands.check())


def _more_time(evidence: Evidence, commands: Commands) -> Step:
    """Return the step for a scan that ran out of time, with a deadline that holds what it planned."""
    plan = evidence.plan.detectors if evidence.plan else {}
    others = (one.seconds for name, one in evidence.outcomes.items() if isinstance(one, Measured) and name not in plan)
    before = (seconds for step, seconds in evidence.seconds.items() if step not in {"pull", "scan"})
    needed = enough(sum(before) + sum(others) + sum(one.bound for one in plan.values())) if plan else _SECONDS
    if needed is None:
        said = (
            "The time ran out, and no deadline is long enough: check on a GPU, or ask for fewer passes in the policy."
        )
        return Step("scan-again", said, commands.check())
    said = "The time ran out: check again with more of it, or on a GPU."
    return Step("scan-again", said, commands.check("--deadline", str(needed)))


def _bank(report: Report, evidence: Evidence, commands: Commands, findings: tuple[Finding, ...]) -> Iterator[Step]:
    """Yield how to build a bank, where nothing else can judge this model or the policy asks for one."""
    classes = evidence.facts.classes
    unjudged = [f for f in findings if f.kind == "silence" and f.limit is not None and not _has_bound(f.limit, classes)]
    asked = any(finding.rule == "calibration" and finding.kind != "limit" for finding in findings)
    if not unjudged and not asked:
        return
    few = f"a model of {classes} classes is judged beside clean models of its own task alone"
    why = few if unjudged or report.policy.uncalibrated == "judge" else "the policy asks for one"
    said = (
        f"Build a reference bank ({why}): name {report.policy.least_references} or more clean models of the same "
        "task that you trust. Without such models, `gate bank make --help` says how copies of this one's program are "
        "trained on data that you trust."
    )
    yield Step("bank", said, commands.bank_build())
    yield Step("bank", "Then check again beside it.", commands.check(bank=NEW_BANK))


def _has_bound(limit: Limit, classes: int | None) -> bool:
    try:
        limit.at(classes)
    except LookupError:
        return False
    return True


def _suspects(report: Report, evidence: Evidence, commands: Commands, findings: tuple[Finding, ...]) -> Iterator[Step]:
    """Yield the steps for a class that a limit names: look, repair, measure again."""
    limits = [f for f in findings if f.kind == "limit" and f.rule not in report.before_loading]
    if not limits:
        return
    known = {coverage.detector for coverage in report.coverage}
    rule = next((finding.rule for finding in limits if finding.rule in known), "")
    if rule:
        said = "Look at the trigger and the numbers: what the detector measures, and what it is blind to."
        yield Step("look", said, commands.explain(rule))
    version, classes = version_of(report), {f.location.class_index for f in limits if f.location is not None} - {None}
    if not classes:
        return
    labelled = evidence.samples is not None and evidence.samples.accuracy is not None
    if version and labelled and _repairable(evidence):
        said = (
            "If nothing explains it, repair the model: a version without the trigger is registered, for a check of its "
            "own."
        )
        yield Step("repair", said, commands.remediate(version))
        yield Step("repair", "Then check the repaired version.", commands.check_new(latest(report), "repaired"))
    said = "To see whether it comes again, measure from another seed; nothing is marked."
    seed = str(evidence.seed + 1)
    yield Step("repeat", said, commands.check("--seed", seed, "--no-mark", to=f"seed-{seed}"))


def _repairable(evidence: Evidence) -> bool:
    """Tell whether there is a program that was read without code, or a bundle of one."""
    plain_program = evidence.assurance == "A" and evidence.facts.format == "pt2"
    return plain_program or (evidence.assurance in ("A", "B") and evidence.bundle_digest is not None)
