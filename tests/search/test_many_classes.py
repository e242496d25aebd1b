"""Above twenty classes most leave the search early: what is yielded says how many were searched to the end."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gate.records.evidence import Measurement
from gate.records.run import Run
from gate.search.by_class import numbers, settings_of
from gate.search.goals import every_class
from gate.search.inversion import invert
from gate.search.options import TriggerSearch
from gate.search.passes import inversion_passes, pools_of_classes
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.triggers.patch import Patches
from gate.spaces.subject import Samples
from gate.worker.loading.module_classifier import ModuleClassifier

CLASSES, SIDE = 30, 6
FAMILY = Patches((1, SIDE, SIDE), (0.0, 1.0))


def noise(classes):
    """Return an untrained net of so many classes, and two random samples of each."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, classes)).eval()
    samples = Samples(torch.rand(2 * classes, 1, SIDE, SIDE), torch.arange(2 * classes) % classes, "noise")
    return ModuleClassifier.of(net, samples.inputs[:4], Preprocessing(), (0.0, 1.0)), samples


def measured(classes):
    """Return what a search on an untrained net of so many classes yields, by metric."""
    classifier, samples = noise(classes)
    settings = settings_of(TriggerSearch(steps=40, batch=4), classes)
    found = invert(classifier, FAMILY, samples, every_class(classes), settings, Run(seed=0))
    items = [item for item in numbers(found, of=classes) if isinstance(item, Measurement)]
    return {metric: [item for item in items if item.metric == metric] for metric in {item.metric for item in items}}


def test_ratios_are_of_as_many_classes_as_the_share_says():
    """Sizes are of every class; ratios and indices of those searched to the end, and the share counts these."""
    seen = measured(CLASSES)
    (share,) = seen["searched-share"]
    assert len(seen["size"]) == CLASSES
    assert 0 < share.value < 1
    assert len(seen["size-ratio"]) == len(seen["anomaly-index"]) == round(share.value * CLASSES)
    early = [item for item in seen["size"] if "an upper bound" in item.note]
    assert len(early) == CLASSES - len(seen["size-ratio"])


@pytest.mark.parametrize("classes", [8, 30, 70])
@pytest.mark.parametrize("settled_after", [2, None])
def test_the_passes_of_a_search_are_known_before_it(classes, settled_after):
    """Most classes leave at an early rung, which costs less than the steps of all."""
    options = TriggerSearch(steps=40, batch=4, settled_after=settled_after, hopeless_after=None)
    classifier, samples = noise(classes)
    settings = settings_of(options, classes)
    before = classifier.sample_passes
    ended = int(invert(classifier, FAMILY, samples, every_class(classes), settings, Run(seed=0)).finished.sum())
    made = classifier.sample_passes - before
    said = inversion_passes(settings, classes, pools_of_classes(ended, len(samples.inputs))).samples
    assert said.least <= made <= said.most
    assert said.most < 4 * classes * 40 + 2 * classes * len(samples.inputs) or classes == 8


def test_the_last_rung_is_full_where_no_trigger_is_found():
    """Classes that left without a trigger take no place of those that are still searched."""
    options = TriggerSearch(steps=40, batch=4, settled_after=None, hopeless_after=None)
    classifier, samples = noise(70)
    settings = replace(settings_of(options, 70), success_target=2.0)
    last = settings.rungs[-1]
    found = invert(classifier, FAMILY, samples, every_class(70), settings, Run(seed=0))
    assert int(found.finished.sum()) == (last.keep or 0) + last.references


def test_few_classes_are_all_searched_to_the_end():
    """Up to twenty, no class leaves."""
    seen = measured(8)
    assert seen["searched-share"][0].value == 1
    assert len(seen["size-ratio"]) == 8
