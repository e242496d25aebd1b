"""The report as its readers meet it: one value that both templates write out, with every choice already made.

Pure; what to show first, what to fold away and what to cut is decided here once for Markdown and HTML.
"""

from dataclasses import dataclass

from gate.records.artifact import ArtifactFile
from gate.records.evidence import Evidence, Measured, ModelFacts
from gate.records.finding import Decision, Finding
from gate.records.report import Report
from gate.renderers import bundled, words
from gate.renderers.bundled import Bundled
from gate.renderers.calibration import calibration_means
from gate.renderers.causes import core
from gate.renderers.classes import ClassSizes, class_sizes
from gate.renderers.confirmation import ConfirmedSuspect, confirmed_suspects, zoo_row
from gate.renderers.findings import MAX_FINDINGS, Reason, Row, causes_told, reasons, rows, waived_findings
from gate.renderers.first import First, first
from gate.renderers.gallery import Neuron, PictureGroup, neurons, picture_groups
from gate.renderers.measured import DetectorSection, sections, told_above, unmeasured_below
from gate.renderers.names import Names
from gate.renderers.next_steps import next_steps
from gate.renderers.served import Served, heading_alone, served
from gate.renderers.step import Step
from gate.renderers.text import count, listed
from gate.renderers.typical import about

MAX_FILES = 500
"""Files listed in HTML; manifest.json lists them all."""


MAX_OUTPUTS = 8
"""Outputs of the model in its line; report.json holds them all."""

MAX_TARGETS = 20
"""Target classes named in the head; report.json holds them all."""

MAX_CONFIRMED = 20
"""Suspects in the table of confirmation; report.json holds them all."""


@dataclass(frozen=True)
class Gap:
    """Something that was not examined, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Timing:
    """What one step or detector took."""

    name: str
    seconds: float
    sample_passes: int | None


@dataclass(frozen=True)
class View:
    """Everything that a template writes out."""

    report: Report
    state: str
    """approved, flagged or unfinished."""
    word: str
    heading: str
    """The word, and where the candidate's own bytes are not approved, that they are not."""
    means: str
    checked_at: str
    served: Served | None
    """Which bytes the decision is about; None where there is no decision."""
    subject: str
    """The model's reference, or what was asked for."""
    model_digest: str
    policy_digest: str
    evidence_digest: str
    first: First
    """What a reader needs before anything else."""
    names: Names
    steps: tuple[Step, ...]
    """What to do next, the first thing first."""
    reasons: tuple[Reason, ...]
    more_reasons: int
    findings: tuple[Row, ...]
    """Each place beyond a limit, and each other cause once."""
    more_findings: int
    waived: tuple[Finding, ...]
    told: tuple[Finding, ...]
    """Oddities of the candidate's own files that do not flag."""
    more_told: int
    bundle: Bundled | None
    targets: tuple[int, ...]
    named_targets: str
    """With their names, as far as they fit."""
    typical_about: str
    """What the zoo's ranges beside the numbers are of; empty where none is shown."""
    detectors: tuple[DetectorSection, ...]
    sizes: tuple[ClassSizes, ...]
    confirmed: tuple[ConfirmedSuspect, ...]
    confirmed_zoo: tuple[str, ...]
    """By column, where the zoo's models lie."""
    picture_groups: tuple[PictureGroup, ...]
    neurons: tuple[Neuron, ...]
    more_neurons: int
    gaps: tuple[Gap, ...]
    blind: tuple[Gap, ...]
    assurance_means: str
    calibration_means: str
    facts: str
    """What the candidate turned out to be, in a line."""
    versions: str
    timings: tuple[Timing, ...]
    files: tuple[ArtifactFile, ...]
    more_files: int

    @property
    def reasons_say_all(self) -> bool:
        """Whether the head of the report already names every open finding."""
        return len(self.findings) <= len(self.reasons)


def view(report: Report) -> View:
    """Return what is to be shown of a report."""
    state = state_of(report)
    word = words.DECISION_WORDS[state] + unexamined(report)
    head, more = reasons(report)
    found, evidence, verdict = rows(report), report.evidence, report.verdict
    called = Names.of(report)
    named, more_neurons = neurons(evidence)
    told, more_told = bundled.told(report)
    seen = served(report)
    files = report.manifest.files if report.manifest else ()
    return View(
        report=report,
        state=state,
        word=word,
        heading=f"{word}: {heading_alone(seen.alone)}" if seen and seen.alone else word,
        means=_means(report, state),
        checked_at=report.checked_at.replace("T", " ").replace("Z", " UTC"),
        served=seen,
        subject=str(report.model) if report.model else report.uri,
        model_digest=_model_digest(report),
        policy_digest=verdict.policy_digest if verdict else report.policy.digest,
        evidence_digest=verdict.evidence_digest if verdict else evidence.digest if evidence else "",
        first=first(report),
        names=called,
        steps=next_steps(report),
        reasons=head,
        more_reasons=more,
        findings=found[:MAX_FINDINGS],
        more_findings=max(0, len(found) - MAX_FINDINGS),
        waived=waived_findings(report),
        told=told,
        more_told=more_told,
        bundle=bundled.bundled(report),
        targets=verdict.target_classes if verdict else (),
        named_targets=_targets(verdict.target_classes if verdict else (), called),
        typical_about=about(report),
        detectors=sections(report),
        sizes=class_sizes(report),
        confirmed=confirmed_suspects(report)[:MAX_CONFIRMED],
        confirmed_zoo=zoo_row(report),
        picture_groups=picture_groups(report),
        neurons=named,
        more_neurons=more_neurons,
        gaps=_gaps(report),
        blind=tuple(Gap(c.title or c.detector, c.blind_to) for c in report.coverage if c.blind_to),
        assurance_means=_assurance(evidence),
        calibration_means=calibration_means(report),
        facts=_facts(evidence.facts) if evidence else "not known",
        versions=", ".join(f"{n} {version}" for n, version in evidence.versions.items()) if evidence else "",
        timings=_timings(report),
        files=files[:MAX_FILES],
        more_files=max(0, len(files) - MAX_FILES),
    )


def unexamined(report: Report) -> str:
    """Return what a decision's word is followed by where nothing is known of behaviour."""
    return f": {words.UNEXAMINED}" if report.verdict is not None and report.verdict.examined == "files" else ""


def state_of(report: Report) -> str:
    """Return `unfinished` for a check without a verdict, else the decision."""
    if report.error or report.verdict is None:
        return "unfinished"
    return "approved" if report.decision is Decision.APPROVED else "flagged"


def _means(report: Report, state: str) -> str:
    """Return what the decision means; where oddities do not flag, no limit is exceeded on what is served alone."""
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
    """Return what was not examined in this very check: problems, unmeasured detectors, and the pipeline's own list."""
    told = causes_told(report)
    problems = [one for one in (report.evidence.problems if report.evidence else ()) if core(one) not in told]
    unrun = _unrun(report)
    return (
        *(Gap("The scan", problem) for problem in problems),
        *unrun,
        *_unshown(report),
        *(Gap("", sentence) for sentence in report.not_examined if not _said(sentence, unrun, report)),
    )


def _unrun(report: Report) -> list[Gap]:
    """Return the detectors that did not run by why, all that have one reason together."""
    covered = {coverage.detector: coverage for coverage in report.coverage}
    by_reason: dict[str, list[str]] = {}
    for name in report.policy.detectors:
        if report.evidence is None or not isinstance(report.evidence.outcomes.get(name), Measured):
            why = unmeasured_below(name, covered.get(name), report)
            by_reason.setdefault(why, []).append(covered[name].title if name in covered else name)
    return [Gap(listed(names), why) for why, names in by_reason.items()]


def _unshown(report: Report) -> tuple[Gap, ...]:
    """Return what a conversion leaves open."""
    converted = report.evidence is not None and report.evidence.assurance == "B"
    return (Gap("The candidate's own code", bundled.UNSHOWN),) if converted else ()


def _said(sentence: str, gaps: list[Gap], report: Report) -> bool:
    """Tell whether the sentence about the training data repeats the reason of a detector that looks at them."""
    prefix = "The training data: "
    if not sentence.startswith(prefix):
        return False
    reason = sentence.removeprefix(prefix).rstrip(".")
    return told_above(reason, report) or any(gap.why.endswith(reason) for gap in gaps)


def _facts(facts: ModelFacts) -> str:
    words = [f"{facts.flavour or 'unknown flavour'}{f' ({facts.format})' if facts.format else ''}"]
    words += [facts.number_type] if facts.number_type else []
    if facts.classes is not None:
        words.append(count(facts.classes, "class", "classes"))
    if facts.input_shape:
        words.append("input " + " × ".join(str(side) for side in facts.input_shape))
    if facts.parameters is not None:
        words.append(count(facts.parameters, "parameter"))
    if facts.feature_layer:
        words.append(f"feature layer {facts.feature_layer}")
    return "; ".join((", ".join(words), *_outputs(facts)))


def _outputs(facts: ModelFacts) -> tuple[str, ...]:
    """Return which output was judged and what became of the others; nothing where the evidence does not say."""
    told = {
        "judged": "judged",
        "same-decision": "gives the same decision",
        "constant": "never changes",
        "not-examined": "not examined",
    }
    if not facts.outputs:
        return ()
    shown = [f"'{output.name}' ({output}) {told[output.role]}" for output in facts.outputs[:MAX_OUTPUTS]]
    more = len(facts.outputs) - MAX_OUTPUTS
    heading = count(len(facts.outputs), "output")
    return (f"{heading}: {', '.join([*shown, *([f'{more} more'] if more > 0 else [])])}",)


def _timings(report: Report) -> tuple[Timing, ...]:
    if report.evidence is None:
        return ()
    steps = [Timing(step, seconds, None) for step, seconds in report.evidence.seconds.items()]
    ran = [
        Timing(name, outcome.seconds, outcome.sample_passes if isinstance(outcome, Measured) else None)
        for name, outcome in report.evidence.outcomes.items()
        if outcome.status != "skipped"
    ]
    return (*steps, *ran)
