"""The report as one value that the Markdown and HTML templates write out: what comes first, what is cut."""

from dataclasses import dataclass

from gate.records.evidence import Evidence, Measured, Skipped
from gate.records.facts import ModelFacts
from gate.records.finding import Decision
from gate.records.report import Report
from gate.renderers import bundled, words
from gate.renderers.calibration import calibration_means, ground
from gate.renderers.causes import core
from gate.renderers.changes import changed
from gate.renderers.classes import class_sizes
from gate.renderers.confirmation import confirmed_suspects, zoo_row
from gate.renderers.excerpts import excerpts
from gate.renderers.findings import MAX_FINDINGS, causes_in_head, reasons, rows, waived_findings
from gate.renderers.first import first
from gate.renderers.gallery import neurons, picture_groups
from gate.renderers.history import past
from gate.renderers.measured import is_in_head, sections, unmeasured_below
from gate.renderers.names import Names
from gate.renderers.next_steps import next_steps
from gate.renderers.served import heading_alone, served
from gate.renderers.text import between, count, duration, listed
from gate.renderers.threats import about_threats, threat_rows
from gate.renderers.typical import about

MAX_FILES = 500
"""Files listed in HTML; manifest.json lists them all."""
MAX_OUTPUTS = 8
MAX_TARGETS = 20
"""Target classes named in the head; report.json holds them all."""
LEAST_PACED = 60.0
"""Seconds from which it is told how long a scan was expected to take."""
MAX_CONFIRMED = 20
"""Suspects in the table of confirmation; report.json holds them all."""


@dataclass(frozen=True)
class Gap:
    """Something that was not examined, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Timing:
    """Time and sample passes of one step or detector."""

    name: str
    seconds: float
    sample_passes: int | None
    tokens: int = 0
    """Tokens in those passes, where the model takes some."""


class Head:
    """The facts of the first screen."""

    def __init__(self, report: Report) -> None:
        report = report.shown
        evidence, verdict = report.evidence, report.verdict
        self.report = report
        self.state = state_of(report)
        self.word = words.DECISION_WORDS[self.state] + unexamined(report)
        self.means = _means(report, self.state)
        self.served = served(report)  # None where there is no decision
        alone = self.served.alone if self.served else ""
        self.heading = f"{self.word}: {heading_alone(alone)}" if alone else self.word
        self.checked_at = report.checked_at.replace("T", " ").replace("Z", " UTC")
        self.subject = str(report.model) if report.model else report.uri
        self.model_digest = _model_digest(report)
        self.policy_digest = verdict.policy_digest if verdict else report.policy.digest
        self.evidence_digest = verdict.evidence_digest if verdict else evidence.digest if evidence else ""
        self.first = first(report)
        self.names = Names.of(report)
        self.steps = next_steps(report)
        self.reasons, self.more_reasons = reasons(report)
        self.targets = verdict.target_classes if verdict else ()
        self.named_targets = _targets(self.targets, self.names)


class View(Head):
    """Everything that a template writes out."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        report, evidence = self.report, report.evidence
        findings, files = rows(report), report.manifest.files if report.manifest else ()
        self.findings, self.more_findings = findings[:MAX_FINDINGS], max(0, len(findings) - MAX_FINDINGS)
        self.reasons_say_all = len(self.findings) <= len(self.reasons)
        self.waived = waived_findings(report)
        self.oddities, self.more_oddities = bundled.oddities(report)
        self.bundle = bundled.bundled(report)
        self.typical_about = about(report)
        self.detectors = sections(report)
        self.sizes = class_sizes(report)
        self.confirmed = confirmed_suspects(report)[:MAX_CONFIRMED]
        self.confirmed_zoo = zoo_row(report)
        self.changed = changed(report)
        self.past = past(report)
        self.excerpts = excerpts(report)
        self.picture_groups = picture_groups(report)
        self.neurons, self.more_neurons = neurons(evidence)
        self.threats, self.threats_about = threat_rows(report), about_threats(report)
        self.gaps = _gaps(report)
        self.blind = tuple(Gap(c.title or c.detector, c.blind_to) for c in report.coverage if c.blind_to)
        self.assurance_means = _assurance(evidence)
        self.ground, self.calibration_means = ground(report), calibration_means(report)
        self.facts = _facts(evidence.facts) if evidence else "not known"
        self.versions = ", ".join(f"{name} {n}" for name, n in evidence.versions.items()) if evidence else ""
        self.timings = _timings(report)
        self.pace = _pace(evidence) if evidence else ""
        self.files, self.more_files = files[:MAX_FILES], max(0, len(files) - MAX_FILES)


def unexamined(report: Report) -> str:
    """Return the ending of a decision's word where behaviour was not examined; else empty."""
    return f": {words.UNEXAMINED}" if report.verdict is not None and report.verdict.examined == "files" else ""


def state_of(report: Report) -> str:
    """Return `unfinished` for a check without a verdict, else the decision."""
    if report.error or report.verdict is None:
        return "unfinished"
    return "approved" if report.decision is Decision.APPROVED else "flagged"


def _means(report: Report, state: str) -> str:
    """Return what the decision means; with oddities that do not flag, it is about the served bytes alone."""
    odd = state == "approved" and report.verdict is not None and report.verdict.told
    return words.DECISION_MEANS_WITH_ODDITIES if odd else words.DECISION_MEANS[state]


def _targets(targets: tuple[int, ...], names: Names) -> str:
    """Return the target classes with their names, cut where they are many."""
    shown = [names.label(index) for index in targets[:MAX_TARGETS]]
    return ", ".join([*shown, *(["…"] if len(targets) > MAX_TARGETS else [])])


def _assurance(evidence: Evidence | None) -> str:
    """Return what the level means, and at level A what was measured."""
    level = evidence.assurance if evidence else None
    means = words.ASSURANCE_MEANS[level]
    if evidence is None or level != "A":
        return means
    return f"{means} {words.MEASURED_MEANS['bundle' if evidence.bundle_digest else 'candidate']}"


def _model_digest(report: Report) -> str:
    if report.verdict:
        return report.verdict.model_digest
    if report.evidence:
        return report.evidence.manifest_digest
    return report.manifest.digest if report.manifest else ""


def _gaps(report: Report) -> tuple[Gap, ...]:
    """Return what this check did not examine: problems, unmeasured detectors, and the pipeline's own list."""
    evidence, above, unrun = report.evidence, causes_in_head(report), _unrun(report)
    problems = [problem for problem in (evidence.problems if evidence else ()) if core(problem) not in above]
    converted = evidence is not None and evidence.assurance == "B"
    return (
        *(Gap("The scan", problem) for problem in problems),
        *unrun,
        *([Gap("The candidate's own code", bundled.UNSHOWN)] if converted else []),
        *(Gap("", sentence) for sentence in report.not_examined if not _said(sentence, unrun, report)),
    )


def _unrun(report: Report) -> list[Gap]:
    """Return the detectors that did not run, grouped by reason."""
    covered = {coverage.detector: coverage for coverage in report.coverage}
    by_reason: dict[str, list[str]] = {}
    for name in report.policy.detectors:
        if report.evidence is None or not isinstance(report.evidence.outcomes.get(name), Measured):
            why = unmeasured_below(name, covered.get(name), report)
            by_reason.setdefault(why, []).append(covered[name].title if name in covered else name)
    return [Gap(listed(names), why) for why, names in by_reason.items()]


def _said(sentence: str, gaps: list[Gap], report: Report) -> bool:
    """Tell whether the sentence on the training data repeats the reason of a detector of them."""
    prefix = "The training data: "
    if not sentence.startswith(prefix):
        return False
    reason = sentence.removeprefix(prefix).rstrip(".")
    return is_in_head(reason, report) or any(gap.why.endswith(reason) for gap in gaps)


def _facts(facts: ModelFacts) -> str:
    words = [f"{facts.flavour or 'unknown flavour'}{f' ({facts.format})' if facts.format else ''}"]
    words += [facts.number_type] if facts.number_type else []
    if facts.classes is not None:
        words.append(count(facts.classes, "class", "classes"))
    if facts.space == "tokens":
        words += [f"texts of at most {count(side, 'token')}" for side in facts.input_shape]
    elif facts.input_shape:
        words.append("input " + " × ".join(str(side) for side in facts.input_shape))
    if facts.input_axes:
        words.append(f"which the model takes as {facts.input_axes}")
    if facts.parameters is not None:
        words.append(count(facts.parameters, "parameter"))
    if facts.arithmetic:
        words.append(f"searched and probed in {facts.arithmetic}")
    if facts.feature_layer:
        words.append(f"feature layer {facts.feature_layer}")
    return "; ".join((", ".join(words), *_outputs(facts)))


def _outputs(facts: ModelFacts) -> tuple[str, ...]:
    """Return what was done with each output, as one line; empty where the evidence names none."""
    roles = {
        "judged": "judged",
        "same-decision": "gives the same decision",
        "constant": "never changes",
        "not-examined": "not examined",
    }
    if not facts.outputs:
        return ()
    shown = [f"'{output.name}' ({output}) {roles[output.role]}" for output in facts.outputs[:MAX_OUTPUTS]]
    more = len(facts.outputs) - MAX_OUTPUTS
    heading = count(len(facts.outputs), "output")
    return (f"{heading}: {', '.join([*shown, *([f'{more} more'] if more > 0 else [])])}",)


def _pace(evidence: Evidence) -> str:
    """Return what was expected of the detectors and what they took; empty where it was little and none was left out."""
    short = any(isinstance(one, Skipped) and one.short_of_time for one in evidence.outcomes.values())
    if evidence.plan is None or (evidence.plan.whole.most < LEAST_PACED and not short):
        return ""
    whole = evidence.plan.whole
    took = f" and took {duration(whole.took)}" if whole.took is not None else ""
    return f"The detectors were expected to take {between(whole.least, whole.most)}{took}."


def _timings(report: Report) -> tuple[Timing, ...]:
    if report.evidence is None:
        return ()
    steps = [Timing(step, seconds, None) for step, seconds in report.evidence.seconds.items()]
    ran = [
        Timing(name, outcome.seconds, outcome.sample_passes, outcome.token_passes)
        if isinstance(outcome, Measured)
        else Timing(name, outcome.seconds, None)
        for name, outcome in report.evidence.outcomes.items()
        if outcome.status != "skipped"
    ]
    return (*steps, *ran)
