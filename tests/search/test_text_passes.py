"""The tokens that a sweep or a search of texts sends through a model, told before it runs and counted after."""

import pytest
import torch

from gate import detectors
from gate.records.evidence import Skipped
from gate.records.passes import Passes, Speed
from gate.records.policy import Policy, Rule, Stage
from gate.records.run import Run
from gate.spaces.subject import Samples
from gate.spaces.text.packing import ENDED
from gate.statistics.subsets import passed
from gate.worker.loop import Scanned, Scope, scan
from gate.worker.planning import Planner
from tests.words.nets import Bag
from tests.words.scanning import scanned, subject_of
from tests.words.tasks import classifier, sentences

NAMES = ("word-sweep", "token-trigger", "rewrite-sweep")
OPTIONS = {
    "word-sweep": {"selecting": 6, "held_out": 8, "rare_words": 20, "kept": 5},
    "token-trigger": {"selecting": 4, "held_out": 8, "steps": 5, "ranked": 8, "beam": 3, "longer": 4},
    "rewrite-sweep": {"selecting": 6, "held_out": 8},
}


def subject(classes, labels=True):
    """Return a network of words and texts of which some are equal, and some longer than it takes."""
    rows = [*sentences(30 * classes, classes, seed=99), *sentences(4 * classes, classes, seed=98)[:classes] * 3]
    rows += [(" ".join([text] * 6), label) for text, label in sentences(3 * classes, classes, seed=97)]
    return subject_of(classifier(Bag, None, classes), labels=labels, rows=rows)


def stated(name):
    """Return a detector's options as a policy states them."""
    return {key.replace("_", "-"): value for key, value in OPTIONS[name].items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("classes", [2, 3])
def test_what_is_made_lies_between_the_least_and_the_most_that_were_told(name, labels, classes):
    """With two classes and with more, where a source class is looked for, with labels and without."""
    given = subject(classes, labels)
    detector, run = detectors.load(name), Run(seed=0)
    said = detector.passes(given, detector.options.model_validate(stated(name)), run)
    made = scanned(given, name, run=run, **OPTIONS[name]).outcomes[name]
    assert said.samples.least <= made.token_passes <= said.samples.most
    assert made.token_passes > made.sample_passes
    assert (said.slopes.most > 0) == (made.gradient_passes > 0) == (name == "token-trigger")
    if labels:
        assert said.samples.most < 4 * made.token_passes


def test_without_an_embedding_nothing_is_searched_for():
    """The detector says at its turn that there are no gradients."""
    given = subject(2)
    given.classifier.split = None
    detector = detectors.load("token-trigger")
    assert detector.passes(given, detector.options(), Run(seed=0)) == Passes()


def test_texts_count_by_their_tokens_and_images_by_themselves():
    """Whichever are taken, as many as are asked for."""
    texts = Samples(torch.tensor([[5, 6, 7], [5, ENDED, ENDED], [5, 6, ENDED]]), None, "x", ("a b c", "a", "a b"))
    assert (passed(texts, 2).least, passed(texts, 2).most) == (3, 5)
    assert (passed(texts, 9).least, passed(texts, 9).most) == (6, 6)
    images = Samples(torch.zeros(3, 1, 2, 2), None, "x")
    assert (passed(images, 2).least, passed(images, 2).most) == (2, 2)


def test_a_sweep_that_cannot_end_makes_way_for_one_that_can():
    """By a speed that leaves room for the rewrites alone; what was left out is a silence with a deadline to give."""
    given, told = subject(2), []
    rules = Policy(
        version=1,
        detectors={name: Rule(options=stated(name)) for name in NAMES},
        stages=(Stage(detectors=NAMES),),
    )
    parts = {name: detectors.load(name) for name in NAMES}
    most = {
        name: one.passes(given, one.options.model_validate(stated(name)), Run(seed=0)).samples
        for name, one in parts.items()
    }
    left = 2 * most["rewrite-sweep"].most
    assert most["rewrite-sweep"].most < left < most["word-sweep"].least
    planner = Planner(lambda: Speed(1.0, 1.0), left, clock=lambda: 0.0, tell=told.append)
    scope = Scope(runs=lambda _: True, absence="", classes=2, planner=planner)
    found = scan(given, rules, Run(seed=0), scope, Scanned())
    left_out = found.outcomes["word-sweep"]
    assert isinstance(left_out, Skipped)
    assert left_out.short_of_time
    assert "--deadline" in left_out.reason
    assert found.outcomes["rewrite-sweep"].status == "measured"
    assert set(planner.plan.detectors) == set(NAMES)
    assert told[0].most == sum(span.most for span in most.values())
