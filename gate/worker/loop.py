"""The scan: run each detector of the policy once, stage by stage, and turn every outcome into evidence.

It alone catches detectors' exceptions, and checks that they yield only declared metrics, leave the model as it was, and
keep to the deadline. It knows no limit.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from gate import detectors
from gate.detectors.contract import Detector, Need, undefined_for
from gate.judging.stages import suspects_after
from gate.records.counts import Counts
from gate.records.errors import GateError, UnexaminableError
from gate.records.evidence import (
    MAX_EXCERPTS,
    MAX_PICTURES,
    Excerpt,
    Failed,
    Measured,
    Measurement,
    Outcome,
    Picture,
    Projection,
    Skipped,
    Suspect,
    Unmeasured,
)
from gate.records.policy import Policy
from gate.records.run import DeadlineReachedError, Run
from gate.records.secret_counts import SecretCounts
from gate.spaces.subject import Classifier, Subject, Trigger
from gate.spaces.text.continuing import LanguageModel
from gate.worker.planning import Planner
from gate.worker.turns import Turn, ahead, lack

MAX_PROJECTIONS = 16
MAX_MEASUREMENTS = 200_000


@dataclass
class Scanned:
    """The evidence so far."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    suspects: list[Suspect] = field(default_factory=list)
    stages: list[int] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    excerpts: list[Excerpt] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    triggers: dict[tuple[str, str], Trigger] = field(default_factory=dict)
    """Triggers by detector and location."""
    problems: list[str] = field(default_factory=list)


@dataclass
class _Aside:
    """What one detector yields beside its measurements for its own outcome."""

    gaps: list[Unmeasured] = field(default_factory=list)
    counts: Counts | None = None
    secret: SecretCounts | None = None


@dataclass(frozen=True)
class Scope:
    """The detectors that this process runs, and the reasons why others cannot."""

    runs: Callable[[Detector[Any]], bool]
    absence: str
    """Reason why the model is missing, if it is."""
    classes: int | None
    training_absence: str = ""
    """Reason why the logged training set cannot be used, if it cannot."""
    previous_absence: str = ""
    """Reason why there is no version to compare with, if there is none."""
    adapter_absence: str = ""
    """Reason why there is no adapter, if there is none."""
    language_absence: str = ""
    """Reason why there is no language model, if there is none."""
    beside_absence: str = ""
    """Reason why no language model runs beside its base, if none does."""
    fingerprint: Callable[[], str] = field(default=lambda: "")
    progress: Callable[[str, int, int], None] = field(default=lambda _id, _done, _total: None)
    save: Callable[[Scanned], None] = field(default=lambda _scanned: None)
    planner: Planner | None = None
    """None: no detector is left out before the deadline is reached."""

    def lack(self, detector: Detector[Any], subject: Subject) -> str:
        """Return what a detector needs and the subject lacks, or nothing."""
        absences = dict.fromkeys((Need.MODEL, Need.WEIGHTS, Need.GRAPH), self.absence) | {
            Need.TRAINING_SET: self.training_absence or "the run logged none",
            Need.PREVIOUS: self.previous_absence or "none was given",
            Need.ADAPTER: self.adapter_absence or "the artifact is none",
            Need.LANGUAGE: self.language_absence or "the artifact is none",
            Need.BESIDE: self.beside_absence or "the artifact is none",
        }
        return lack(detector, subject, absences)


def scan(subject: Subject, policy: Policy, run: Run, scope: Scope, scanned: Scanned) -> Scanned:
    """Run the policy's stages on a subject and return the evidence; never raises for a detector's sake."""
    for number, stage in enumerate(policy.plan(), start=1):
        for turn in _turns(policy, scope, scanned, number):
            scanned.outcomes[turn.detector.id] = _outcome(turn, subject, policy, run, scope, scanned)
            scope.save(scanned)
        found = suspects_after(policy, number, scanned.outcomes, scope.classes)
        scanned.suspects += [suspect for suspect in found if suspect.stage == number]
        if all(detector_id in scanned.outcomes for detector_id in stage.detectors):
            scanned.stages.append(number)
    return scanned


def _turns(policy: Policy, scope: Scope, scanned: Scanned, only: int | None = None) -> Iterator[Turn]:
    """Yield the detectors without an outcome that this process runs, of all stages or of one by its number."""
    for number, stage in enumerate(policy.plan(), start=1):
        if only not in {None, number}:
            continue
        present = suspects_after(policy, number - 1, scanned.outcomes, scope.classes)
        for detector in map(detectors.load, stage.detectors):
            if detector.id not in scanned.outcomes and scope.runs(detector):
                yield Turn(detector, stage, policy.options_of(detector.id), present)


def _outcome(turn: Turn, subject: Subject, policy: Policy, run: Run, scope: Scope, scanned: Scanned) -> Outcome:
    stated = dict(turn.stated)
    if why := scope.lack(turn.detector, subject):
        return Skipped(reason=why, options=stated)
    if turn.idle:
        return Skipped(reason="no suspects: no class or pair was named by an earlier stage", options=stated)
    given = turn.given(subject, scanned.triggers)
    if scope.planner is None:
        return _measure(turn.detector, stated, given, run, scope, scanned)
    rest = [one for one in _turns(policy, scope, scanned) if not scope.lack(one.detector, subject)]
    if why := scope.planner.leaves_out(list(ahead(rest, subject, scanned.triggers, run))):
        return Skipped(reason=why, options=stated, short_of_time=True)
    before = _planned(given)
    outcome = _measure(turn.detector, stated, given, run, scope, scanned)
    scope.planner.ended(_planned(given) - before)
    return outcome


def _measure(
    detector: Detector[Any], stated: dict[str, Any], subject: Subject, run: Run, scope: Scope, scanned: Scanned
) -> Outcome:
    """Run one detector to its end; anything that it raises is its failure."""
    started = time.monotonic()
    before, sloped, tokens = _passes(subject), _gradient_passes(subject), _tokens(subject)
    begun = _planned(subject)

    def progress(done: int, total: int) -> None:
        scope.progress(detector.id, done, total)
        if scope.planner is not None:
            scope.planner.under_way(_planned(subject) - begun)

    own_run = replace(run, progress=progress)
    as_found = scope.fingerprint()
    own_run.progress(0, 1)
    try:
        own_run.check_time()
        options = detector.options.model_validate(stated)
        aside = _Aside()
        measurements = tuple(_file(detector, detector.measure(subject, options, own_run), scanned, aside))
        measurements, gaps = _defined(detector, scope.classes, measurements, aside.gaps)
    except DeadlineReachedError as error:
        scanned.problems.append(f"The scan's deadline was reached in {detector.id}.")
        return Skipped(reason=str(error), options=stated, short_of_time=True)
    except UnexaminableError as error:
        return Skipped(reason=str(error)[:2000], options=stated)
    except Exception as error:  # noqa: BLE001  # a detector that breaks is a finding, never the end of the scan
        text = str(error) if isinstance(error, GateError) else f"{type(error).__name__}: {error}"
        return Failed(error=text[:2000], seconds=time.monotonic() - started, options=stated)
    if scope.fingerprint() != as_found:
        return Failed(error="the detector changed the model that it examined", options=stated)
    return Measured(
        measurements=measurements,
        seconds=time.monotonic() - started,
        sample_passes=_passes(subject) - before,
        gradient_passes=_gradient_passes(subject) - sloped,
        token_passes=_tokens(subject) - tokens,
        options=stated,
        unmeasured=tuple(gaps),
        counts=aside.counts,
        secret_counts=aside.secret,
    )


def _defined(
    detector: Detector[Any], classes: int | None, measurements: tuple[Measurement, ...], gaps: list[Unmeasured]
) -> tuple[tuple[Measurement, ...], list[Unmeasured]]:
    """Drop metrics that do not exist for so few classes, and add a gap with that reason for each."""
    undefined = undefined_for(detector.metrics, classes)
    least = {gap.metric for gap in undefined}
    kept = tuple(one for one in measurements if one.metric not in least)
    return kept, [*(gap for gap in gaps if gap.metric not in least), *undefined]


def _asked(subject: Subject) -> list[Classifier | LanguageModel]:
    previous, beside = subject.previous, subject.beside
    held = (subject.classifier, *subject.references, previous.serving.classifier if previous else None)
    networks = (beside.own, beside.base) if beside else ()
    return [one for one in (*held, *networks) if one is not None]


def _passes(subject: Subject) -> int:
    closed = subject.previous.closed if subject.previous else ()
    return sum(classifier.sample_passes for classifier in _asked(subject)) + sum(closed)


def _planned(subject: Subject) -> int:
    """Return the passes so far as a plan counts them: texts by their tokens."""
    return _tokens(subject) if subject.space == "tokens" or subject.beside else _passes(subject)


def _gradient_passes(subject: Subject) -> int:
    return sum(classifier.gradient_passes for classifier in _asked(subject))


def _tokens(subject: Subject) -> int:
    """Return the tokens that a classifier, or networks beside each other, were given so far; images have none."""
    return sum(int(getattr(one, "token_passes", 0)) for one in (subject.classifier, subject.beside))


def _check_declared(detector: Detector[Any], metric: str) -> None:
    if detector.metric(metric) is None:
        raise GateError(f"the detector yielded '{metric}', which it does not declare")


def _file(detector: Detector[Any], yielded: Iterator[Any], scanned: Scanned, aside: _Aside) -> Iterator[Measurement]:
    """Pass measurements on, and file the rest; an undeclared metric and a second set of counts are errors."""
    count = 0
    for item in yielded:
        match item:
            case Measurement():
                count += 1
                _check_declared(detector, item.metric)
                if count > MAX_MEASUREMENTS:
                    raise GateError(f"the detector yielded more than {MAX_MEASUREMENTS} measurements")
                yield item
            case Unmeasured():
                _check_declared(detector, item.metric)
                aside.gaps.append(item)
            case Counts():
                if aside.counts is not None:
                    raise GateError("the detector yielded its counts twice")
                aside.counts = item
            case SecretCounts():
                if aside.secret is not None:
                    raise GateError("the detector yielded its secret counts twice")
                aside.secret = item
            case _:
                _keep(detector, item, scanned)


def _keep(detector: Detector[Any], item: Picture | Excerpt | Projection | Trigger, scanned: Scanned) -> None:
    """File what the report shows and what later stages use."""
    match item:
        case Picture():
            if len(scanned.pictures) < MAX_PICTURES:
                scanned.pictures.append(item.model_copy(update={"detector": detector.id}))
        case Excerpt():
            if len(scanned.excerpts) < MAX_EXCERPTS:
                scanned.excerpts.append(item.model_copy(update={"detector": detector.id}))
        case Projection():
            if len(scanned.projections) < MAX_PROJECTIONS:
                scanned.projections.append(item)
        case Trigger():
            found = item.found and replace(item.found, detector=detector.id)
            scanned.triggers[detector.id, str(item.location)] = replace(item, found=found)
        case _:
            assert_never(item)
