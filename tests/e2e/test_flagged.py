"""What cannot be examined, or not believed, is flagged for review: exit 1, said in one sentence, and marked."""

import json
import os
import signal
from dataclasses import dataclass

import pytest

from tests.e2e.stories import short_story, story

BROKEN_SAMPLES = {
    "wrong shape": ("wrong-shape.npz", "have shape (40, 3, 12, 12); the model takes images of shape (1, 8, 8)"),
    "labels out of range": ("labels.npz", "labels run from 5 to 14; the model's classes are 0 to 9: subtract 5"),
    "dark for bright": ("negative.npz", "with dark and bright exchanged: invert the images"),
}
UNUSABLE = {
    "no samples": (None, "no clean samples were named"),
    "NaN": ("nan.npz", "hold NaN or infinite values in 1 of 400 inputs, the first in number 3"),
    "no archive": ("no-archive.npz", "are no .npz file; this is a text file"),
}
"""Wrong by themselves, whatever the model is."""
BROKEN_MODELS = {
    "nan": "yields NaN or infinite scores on clean samples",
    "one-output": "The model has one output, which is read as two classes",
    "one-answer": "gives class 3 for every one of 400 clean samples",
    "sklearn": "no detector of this gate examines models of the flavour sklearn",
    "code": "The model was not loaded: it is a pickled network with classes of its own",
    "two-classes": "This model has 2 classes; without a bank of at least 19 clean models",
}


@dataclass
class Flagged:
    """A check of a version, and what became of it."""

    ended: object
    desk: object
    tags: dict
    unharmed: bool


def with_samples(world, file):
    """Check the clean model with samples from a file."""
    return _check(world, "clean", desk=world.desk_here(GATE_SAMPLES=world.samples / file if file else None))


def with_model(world, nickname):
    """Check a model that cannot be believed."""
    samples = "two-classes.npz" if nickname == "two-classes" else "clean.npz"
    return _check(world, nickname, desk=world.desk_here(GATE_SAMPLES=world.samples / samples))


def with_code(world):
    """Check a model of a class of its own, which may run in the converter."""
    return _check(world, "code", "--allow-code", desk=world.desk())


def in_a_hurry(world):
    """Check with a deadline that a long search cannot keep."""
    return _check(world, "clean", "--deadline", "12", desk=world.desk(GATE_POLICY=world.policy("long")))


def _check(world, nickname, *options, desk):
    store = world.embedded
    name = store.register(nickname)
    desk.variables["MLFLOW_TRACKING_URI"] = store.uri
    before = store.everything_else(name)
    ended = desk.gate("check", f"models:/{name}/1", *options)
    return Flagged(ended, desk, store.tags(name), store.everything_else(name) == before)


def with_killed_worker(world):
    """Kill the scan worker while it searches."""
    store = world.embedded
    name = store.register("clean")
    desk = world.desk(MLFLOW_TRACKING_URI=store.uri, GATE_POLICY=world.policy("long"))
    before = store.everything_else(name)
    running = desk.start("check", f"models:/{name}/1").until("maximum-margin")
    for worker in running.children():
        os.kill(worker, signal.SIGKILL)
    ended = running.end()
    return Flagged(ended, desk, store.tags(name), store.everything_else(name) == before)


CASES = [
    *(pytest.param(said, id=n, marks=short_story(with_samples, f)) for n, (f, said) in BROKEN_SAMPLES.items()),
    *(pytest.param(said, id=name, marks=short_story(with_model, name)) for name, said in BROKEN_MODELS.items()),
    pytest.param(
        "The candidate carries code. Only the code-free bundle of it (level B)",
        id="allowed code",
        marks=story(with_code),
    ),
    pytest.param("deadline was reached in neural-cleanse", id="deadline", marks=story(in_a_hurry)),
    pytest.param("The worker was killed by signal 9", id="killed worker", marks=story(with_killed_worker)),
]


@pytest.mark.parametrize("said", CASES)
def test_it_is_flagged_and_said_why(said, told):
    """Exit 1, the reason on standard output, no error line, and the version flagged; nothing else changed."""
    assert told.ended.code == 1, told.ended
    assert told.ended.stdout.startswith("FLAGGED")
    assert said in told.ended.text
    assert told.ended.errors == []
    assert told.tags["gate.decision"] == "flagged"
    assert told.unharmed


@pytest.mark.parametrize("said", CASES)
def test_the_report_says_why(said, told):
    """The same reason stands in report.md and in the verdict's findings."""
    verdict = json.loads((told.desk.out / "verdict.json").read_text())
    assert verdict["decision"] == "flagged"
    assert any(said in finding["message"] for finding in verdict["findings"])
    assert "flagged" in (told.desk.out / "report.html").read_text().lower()


@pytest.mark.parametrize("said", CASES)
def test_no_temporary_directory_is_left(said, told):
    """The private copy and the workers' scratch are gone."""
    assert list(told.desk.temporary.glob("gate-*")) == []


@pytest.mark.parametrize(
    "said",
    [pytest.param(said, id=name, marks=short_story(with_samples, file)) for name, (file, said) in UNUSABLE.items()],
)
def test_samples_that_are_wrong_by_themselves_are_the_operators_mistake(said, told):
    """Exit 2 before the model is pulled, one sentence, no mark."""
    assert told.ended.code == 2, told.ended
    assert len(told.ended.errors) == 1
    assert said in told.ended.errors[0]
    assert "pulling" not in told.ended.stderr
    assert told.tags == {}
    assert told.unharmed
