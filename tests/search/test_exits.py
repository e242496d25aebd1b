"""The search for ways out sees a permutation of all classes, and a backdoor for one source, that no class shows."""

import math
from dataclasses import replace

import pytest
import torch

from gate.records.evidence import Measurement, Unmeasured
from gate.records.run import Run
from gate.search.exits import search_exits, search_untargeted
from gate.search.families import FamilySearch
from gate.search.goals import every_class
from gate.search.inversion import Settings, invert
from gate.search.options import TriggerSearch
from gate.search.rungs import Rung
from gate.spaces.image.triggers.patch import FAMILY as PATCH
from gate.spaces.image.triggers.patch import Patches
from tests.search.bright_rows import CLASSES, SIDE, classifier, samples

OPTIONS = TriggerSearch(steps=80, batch=10, pair_steps=60, pair_batch=6, untargeted_starts=2, exits=True)
FAMILY = Patches((1, SIDE, SIDE), (0.0, 1.0))
GENTLE = 4
"""The corner's slope: of a steep one a search from a grey start has no gradient."""
ROTATION = tuple((source, (source + 1) % CLASSES) for source in range(CLASSES))


def searched(net, given, options=OPTIONS):
    """Return the search for patches on all of the samples."""
    return FamilySearch(net, PATCH, options, given, torch.arange(len(given.inputs)))


def untargeted_ratio(moves):
    """Return the smallest way out of all classes over the smallest way into one."""
    net = classifier(moves, GENTLE)
    into = invert(net, FAMILY, samples(), every_class(CLASSES), Settings(rungs=(Rung(80),), batch=10), Run(seed=0))
    found = search_untargeted(searched(net, samples()), float(into.sizes.min()), Run(seed=0))
    return {item.metric: item.value for item in found}["untargeted-ratio"]


def exits(moves, given=None):
    """Return what the search for each class's exit yields."""
    return list(search_exits(searched(classifier(moves, GENTLE), given or samples()), Run(seed=0)))


def test_one_trigger_that_moves_every_class_is_smaller_than_any_class_where_all_are_backdoored():
    """Where every class goes to the next, leaving from everywhere is easy; by nature it is harder than entering."""
    assert untargeted_ratio(ROTATION) < 0.9
    assert untargeted_ratio(()) > 1.0


def test_the_class_that_a_backdoor_serves_is_the_easiest_to_leave_and_its_target_is_named():
    """The exit ratio stands at the planted pair, well below a clean net's."""
    (planted,) = [item for item in exits([(3, 1)]) if item.metric == "exit-ratio"]
    natural = [item for item in exits([]) if item.metric == "exit-ratio" and isinstance(item, Measurement)]
    assert str(planted.location) == "pair 3→1"
    assert "go to class 1" in planted.note
    assert all(planted.value < 0.7 * item.value for item in natural)


def test_every_class_with_samples_has_an_exit_size():
    """Sizes stand at the class that is left, finite also where nothing moved it."""
    found = [item for item in exits([]) if item.metric == "exit-size"]
    assert [item.location.class_index for item in found] == list(range(CLASSES))
    assert all(math.isfinite(item.value) for item in found)


def test_a_sample_is_of_the_class_that_the_model_gives_it():
    """Samples whose label the model does not share have not left by a trigger: labels change nothing."""
    right = samples()
    wrong = replace(right, labels=torch.where(torch.arange(60) < 20, (right.labels + 1) % CLASSES, right.labels))
    assert exits([], wrong) == exits([])


@pytest.mark.parametrize("most", [2, 3])
def test_too_few_sources_say_nothing(most):
    """Below four classes with samples there is no usual exit to compare with, and the reason is told."""
    options = OPTIONS.model_copy(update={"exits_most": most})
    (gap,) = search_exits(searched(classifier([], GENTLE), samples(), options), Run(seed=0))
    assert gap == Unmeasured(
        metric="exit-ratio",
        reason=f"at least 4 classes with 4 clean samples each are compared, and there were {most}",
    )
