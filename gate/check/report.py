"""From evidence to files: judge, build the report around the detectors' own docstrings, and render every format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gate import VERSION, detectors
from gate.check.files import EVIDENCE, VERDICT, CheckFiles, Pulled
from gate.check.rules import Rules
from gate.detectors.contract import parts
from gate.judging.completeness import left_suspects, place_of, searched_share
from gate.judging.judge import judge
from gate.judging.threats import families_for
from gate.records.artifact import ModelRef
from gate.records.clock import now, today
from gate.records.errors import GateError
from gate.records.evidence import Evidence, Measured, Outcome, Skipped
from gate.records.policy import Policy
from gate.records.report import NOTHING_GIVEN, Coverage, Given, Rejection, Report
from gate.records.verdict import Verdict
from gate.renderers import RENDERERS
from gate.renderers.next_steps import commands_of, next_steps
from gate.renderers.text import listed

_NEVER_EXAMINED = (
    "What the model does on inputs unlike the clean samples, beyond the triggers that were searched for.",
    "Whether the training data were poisoned in ways that leave no trace in the model's behaviour here.",
    "Backdoors built to be undetectable: constructions exist that no black-box or gradient test can find.",
)


@dataclass(frozen=True)
class Context:
    """A report's inputs besides the evidence."""

    uri: str
    model: ModelRef | None
    rules: Rules
    pulled: Pulled | None = None
    directory: str = "."
    given: Given = NOTHING_GIVEN
    """Arguments of the check; rules and directory above win."""


def conclude(evidence: Evidence, context: Context, files: CheckFiles | None) -> Report:
    """Judge evidence today, write it with `verdict.json` and every report where files are given; return the report."""
    verdict = judge(evidence, context.rules.policy, on=today())
    report = build_report(evidence, verdict, context)
    if files is not None:
        files.write(EVIDENCE, evidence.pretty_json())
        files.write(VERDICT, verdict.pretty_json())
        write_reports(report, files)
    return report


def build_report(evidence: Evidence, verdict: Verdict, context: Context) -> Report:
    """Return the report of a finished scan."""
    return _report(
        context,
        evidence.outcomes,
        model=evidence.model,
        evidence=evidence,
        verdict=verdict,
        not_examined=_not_examined(evidence, context.rules.policy),
    )


def error_report(context: Context, error: GateError) -> Report:
    """Return the report of a check that could not finish."""
    nothing = ("Everything: the check did not finish.",)
    return _report(
        context, {}, model=context.model, not_examined=nothing, error=str(error), what_to_do=error.what_to_do
    )


def _report(context: Context, outcomes: Mapping[str, Outcome], **found: Any) -> Report:
    rules, pulled = context.rules, context.pulled
    report = Report(
        gate_version=VERSION,
        checked_at=now(),
        uri=context.uri,
        description=pulled.description if pulled else "",
        manifest=pulled.manifest if pulled else None,
        policy=rules.policy,
        policy_source=rules.source,
        coverage=tuple(_coverage(name, outcomes) for name in rules.policy.detectors),
        given=context.given.model_copy(update={"policy": rules.word, "directory": context.directory}),
        **found,
    )
    return report.model_copy(update={"commands": commands_of(next_steps(report))})


def write_reports(report: Report, files: CheckFiles) -> None:
    """Render the report in every format."""
    for name, render in RENDERERS.values():
        files.write(name, render(report))


def as_signed(report: Report, rejections: tuple[Rejection, ...]) -> Report:
    """Return the report with the rejections that were signed with its decision, and the commands that follow."""
    if rejections == report.rejections:
        return report
    said = report.model_copy(update={"rejections": rejections})
    return said.model_copy(update={"commands": commands_of(next_steps(said))})


def _coverage(name: str, outcomes: Mapping[str, Outcome]) -> Coverage:
    detector = detectors.load(name)
    text = parts(detector.module)
    outcome = outcomes.get(name)
    return Coverage(
        detector=name,
        title=detector.title,
        measures=text["Measures"],
        matters=text["Matters"],
        blind_to=text["Blind to"],
        see=text["See"],
        status=outcome.status if outcome else "absent",
        detail=getattr(outcome, "reason", "") or getattr(outcome, "error", ""),
        metrics={metric.id: metric.meaning for metric in detector.metrics},
        looks_at=detector.looks_at,
        before_loading=detector.before_loading,
    )


def _not_examined(evidence: Evidence, policy: Policy) -> tuple[str, ...]:
    for_such = {name for family in families_for(evidence, policy) for name in family.rules}
    unused = sorted(for_such - set(policy.detectors))
    lines = [f"The detector {name}: the policy does not run it." for name in unused]
    if evidence.samples is None:
        lines.append("Behaviour on clean inputs: there were no samples, or the model could not be run on them.")
    elif evidence.facts.classes and evidence.samples.classes_present < evidence.facts.classes:
        missing = evidence.facts.classes - evidence.samples.classes_present
        lines.append(f"{missing} of {evidence.facts.classes} classes have no clean sample.")
    accepted = policy.samples.of(evidence.model.name).unexamined_outputs or ()
    lines += [
        f"The output '{output.name}' ({output}): the policy accepts that it is not examined."
        for output in evidence.facts.outputs
        if output.role == "not-examined" and output.name in accepted
    ]
    lines += dict.fromkeys(
        f"The training data: {outcome.reason}."
        for name, outcome in evidence.outcomes.items()
        if isinstance(outcome, Skipped) and name in policy.detectors and detectors.load(name).looks_at == "training"
    )
    lines += _unjudged(evidence)
    lines += _let_go(evidence, policy)
    lines += _left(evidence, policy)
    lines += [
        f"{version.uri}, beside which the candidate was to be compared: {version.why}"
        for version in (evidence.previous.versions if evidence.previous else ())
        if version.why and not version.serves
    ]
    if evidence.bank and evidence.bank.self_made:
        lines.append(f"Clean models of other makers: the bank holds self-made copies {evidence.bank.self_made.named}.")
    references = evidence.bank.references if evidence.bank else ()
    if evidence.suspects and not any(reference.used for reference in references):
        lines.append("Whether suspects' triggers move clean models too: no bank with models of this task was given.")
    return (*lines, *_NEVER_EXAMINED)


def _unjudged(evidence: Evidence) -> Iterator[str]:
    outcome = evidence.outcomes.get("artifact-integrity")
    if isinstance(outcome, Measured):
        found = [m for m in outcome.measurements if m.metric == "unjudged-files" and m.value]
        if names := [m.location.name if m.location else m.note for m in found]:
            yield f"Texts beside the model, which no loader reads: {', '.join(names)[:500]}."


def _left(evidence: Evidence, policy: Policy) -> Iterator[str]:
    """Yield for each search of suspects those that the policy has it leave out."""
    for name in policy.detectors:
        if left := left_suspects(name, evidence, policy):
            places = listed([str(suspect.location) for suspect in left])
            yield f"{name} at {places}: earlier stages named more suspects than the policy has it search for (`most`)."


_LEFT_EARLY = (
    "The search of {} to its end at {} of {} classes: they left early, when their triggers were larger than others'; "
    "what these might have shrunk to is not known."
)
_LEFT_OUT = (
    "The search of {} at {} of {} classes: no word and no single token stood out there as far as at those that were "
    "searched for (`most-classes`)."
)


def _let_go(evidence: Evidence, policy: Policy) -> Iterator[str]:
    """Yield for each search of every class how many of them left early, or were left out."""
    classes = evidence.facts.classes or 0
    for name in policy.detectors:
        if place_of(name, policy)[1].over != "all":
            continue
        outcome = evidence.outcomes.get(name)
        share = searched_share(outcome) if isinstance(outcome, Measured) else None
        if share is not None and (left := round((1 - share) * classes)):
            said = _LEFT_OUT if evidence.facts.space == "tokens" else _LEFT_EARLY
            yield said.format(name, left, classes)
