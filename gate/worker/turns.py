"""The detectors of a scan that are still to run: what each is given, what it lacks, and the passes that it makes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gate.detectors.contract import Detector, Need
from gate.records.evidence import Location, Suspect
from gate.records.passes import NO_PASSES, Passes
from gate.records.policy import Stage
from gate.records.run import Run
from gate.spaces.subject import Subject, Trigger

ONE_SUSPECT = (Location.of_class(0),)
"""What stands for suspects that are not known yet."""
Triggers = Mapping[tuple[str, str], Trigger]
"""Triggers by detector and location."""


@dataclass(frozen=True)
class Turn:
    """A detector in its stage."""

    detector: Detector[Any]
    stage: Stage
    stated: Mapping[str, Any]
    """The options that the policy states."""
    suspects: tuple[Suspect, ...] = ()
    """What earlier stages named so far."""

    @property
    def idle(self) -> bool:
        """Whether it has nothing to examine, as far as is known."""
        return self.stage.over == "suspects" and not self.suspects

    def given(self, subject: Subject, triggers: Triggers) -> Subject:
        """Return the subject as the detector gets it: with earlier triggers, and suspects where its stage has any."""
        subject = replace(subject, earlier=dict(triggers))
        if self.stage.over == "all":
            return subject
        found = ((suspect.location, _trigger_of(suspect, triggers)) for suspect in self.suspects)
        known = {place: trigger for place, trigger in found if trigger is not None}
        return replace(subject, suspects=tuple(suspect.location for suspect in self.suspects), triggers=known)


@dataclass(frozen=True)
class Ahead:
    """A detector that is still to run, and its passes, as far as they are known."""

    name: str
    passes: Passes
    sure: bool = True
    """Whether it runs; else only where an earlier stage still names a suspect."""


def ahead(turns: Iterable[Turn], subject: Subject, triggers: Triggers, run: Run) -> Iterator[Ahead]:
    """Yield the passes of every turn; of one without suspects so far, those at a single class, at most."""
    for turn in turns:
        if turn.idle:
            beside = replace(subject, suspects=ONE_SUSPECT, triggers={})
            yield Ahead(turn.detector.id, _passes(turn, beside, run).perhaps, sure=False)
        else:
            yield Ahead(turn.detector.id, _passes(turn, turn.given(subject, triggers), run))


def _passes(turn: Turn, subject: Subject, run: Run) -> Passes:
    """Return the passes of one detector; none where it cannot say, since its own turn shows what is wrong."""
    if turn.detector.passes is None:
        return NO_PASSES
    try:
        return turn.detector.passes(subject, turn.detector.options.model_validate(dict(turn.stated)), run)
    except Exception:  # noqa: BLE001  # an option that is refused, a model that breaks: its outcome will say so
        return NO_PASSES


def _trigger_of(suspect: Suspect, triggers: Triggers) -> Trigger | None:
    """Return the trigger of the detector that named the suspect, else any inverted for its location."""
    own = triggers.get((suspect.detector, str(suspect.location)))
    other = (trigger for (_, where), trigger in triggers.items() if where == str(suspect.location))
    return own or next(other, None)


def lack(detector: Detector[Any], subject: Subject, absences: Mapping[Need, str]) -> str:
    """Return why a detector is not for the subject, or what it needs and the subject lacks, or nothing.

    `absences` says why a part is missing.
    """
    if subject.space is not None and subject.space not in detector.spaces:
        return f"is for {' and '.join(sorted(detector.spaces))}; this model takes {subject.space}"
    lacking = {
        Need.MODEL: (subject.classifier is None, "needs the model, which could not be examined: "),
        Need.WEIGHTS: (subject.weights is None, "needs the weights, which could not be read: "),
        Need.GRAPH: (subject.graph is None, "needs the graph, which could not be read: "),
        Need.SAMPLES: (subject.samples is None, "needs clean samples; none were given"),
        Need.REFERENCES: (
            not subject.references,
            "needs reference models; no bank with models of this task stood beside the scan",
        ),
        Need.TRAINING_SET: (subject.training_set is None, "needs the training set; "),
        Need.PREVIOUS: (subject.previous is None, "needs a version to compare with; "),
        Need.ADAPTER: (subject.adapter is None, "needs an adapter of low rank; "),
        Need.LANGUAGE: (subject.language is None, "needs a whole language model; "),
        Need.BESIDE: (subject.beside is None, "needs a language model and its base, to be run; "),
    }
    lacks_of = (need for need, (lacks, _) in lacking.items() if lacks and need in detector.needs)
    return next((f"{lacking[need][1]}{absences.get(need, '')}" for need in lacks_of), "")[:2000]
