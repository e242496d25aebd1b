"""The most telling cells of each model, beside the formula written out with NumPy."""

import random

import numpy as np
import pytest

from gate.records.counts import Counts
from gate.statistics.cells import GREATEST, telling

PROBES, CLASSES, EACH = 7, 5, 10


def made_up(seed, planted=()):
    """Return counts of a model that sends few samples elsewhere, but those of the planted cells."""
    draw = random.Random(seed)
    cells = np.zeros((PROBES, CLASSES, CLASSES), np.uint8)
    for probe in range(PROBES):
        for source in range(CLASSES):
            for _ in range(EACH):
                answer = draw.randrange(CLASSES) if draw.random() < 0.1 else source
                cells[probe, source, answer] += 1
    for probe, source, answer in planted:
        cells[probe, source] = 0
        cells[probe, source, answer] = EACH
    return cells


def record(cells):
    """Return cells as a record."""
    return Counts.of("a" * 64, cells.shape, (EACH,) * cells.shape[1], cells.tobytes())


def reference(moved, count):
    """Return by the definition every model's cells' surprise (M, P, ...), and the mean of each place's greatest."""
    odds = np.log((moved + 0.5) / (count - moved + 0.5))
    found = np.empty_like(odds)
    for model in range(len(odds)):
        others = np.delete(odds, model, axis=0)
        found[model] = (odds[model] - others.mean(0)) / np.sqrt(others.var(0, ddof=1) + 1)
    return found, np.sort(found.clip(0), axis=1)[:, -GREATEST:].mean(1)


@pytest.fixture(scope="module")
def models():
    """Return twelve models, of which the last has a planted class and a planted pair, each by several probes."""
    planted = [(probe, source, 2) for source in range(CLASSES) for probe in (2, 3, 4)]
    return np.stack([*(made_up(seed) for seed in range(11)), made_up(11, [*planted, *((p, 1, 0) for p in (0, 5, 6))])])


def records(models):
    """Return the models' counts as records."""
    return [record(cells) for cells in models]


def most(models, groups=("all",) * PROBES):
    """Return what is told of the models in one group."""
    return [found["all"] for found in telling(records(models), groups)]


def test_it_is_the_formula(models):
    """By class with all other sources together, and by pair less the median over the sources, of every model."""
    cells = models.astype(float)
    surprise, pairs = reference(cells, EACH)
    cells[:, :, np.arange(CLASSES), np.arange(CLASSES)] = 0
    _, classes = reference(cells.sum(2), EACH * (CLASSES - 1))
    pairs[:, np.arange(CLASSES), np.arange(CLASSES)] = 0
    less = pairs - np.sort(pairs, axis=1)[:, CLASSES // 2][:, None]
    for model, found in enumerate(most(models)):
        assert found.by_class(CLASSES) == pytest.approx(classes[model])
        values, sources = zip(*found.by_pair(CLASSES, CLASSES), strict=True)
        assert values == pytest.approx(less[model].max(0))
        assert all(less[model, source, k] == pytest.approx(less[model, :, k].max()) for k, source in enumerate(sources))
        for (source, answer), few in found.cells.items():
            for cell in few if source is not None else ():
                assert cell.surprise == pytest.approx(surprise[model, cell.probe, source, answer])
                assert cell.share == models[model, cell.probe, source, answer] / EACH
                assert cell.others == np.delete(models, model, 0)[:, cell.probe, source, answer].max() / EACH


def test_planted_cells_are_named(models):
    """The class by one of its probes, and the pair by its source."""
    last = most(models)[-1]
    values = last.by_class(CLASSES)
    assert values.index(max(values)) == 2
    assert last.cells[None, 2][0].probe in {2, 3, 4}
    assert last.cells[None, 2][0].share == 1.0
    pairs = last.by_pair(CLASSES, CLASSES)
    assert pairs[0][1] == 1
    assert pairs[0][0] > 2 * pairs[3][0]


def test_groups_are_apart(models):
    """A planted class is seen in the group of its probes."""
    found = telling(records(models), ["one"] * 2 + ["two"] * 3 + ["one"] * 2)[-1]
    assert found["two"].by_class(CLASSES)[2] > 3 * found["one"].by_class(CLASSES)[2]


def test_the_order_of_models_changes_nothing(models):
    """Each model is compared with all the others, wherever it stands."""
    forward, backward = most(models), most(models[::-1])[::-1]
    for one, other in zip(forward, backward, strict=True):
        assert one.by_class(CLASSES) == pytest.approx(other.by_class(CLASSES))


def test_without_sources_there_are_no_pairs(models):
    """Where all sources were counted together, a class's own samples count too."""
    together = models.sum(2, keepdims=True).astype(np.uint8)
    own = [Counts.of("a" * 64, (PROBES, 1, CLASSES), (EACH * CLASSES,), cells.tobytes()) for cells in together]
    values = telling(own, ["all"] * PROBES)[-1]["all"].by_class(CLASSES)
    assert values.index(max(values)) == 2


def test_what_cannot_be_compared_is_refused(models):
    """Nothing is known of the spread of one other model, other probes are no comparison, and each probe has a group."""
    own = records(models[:3])
    with pytest.raises(ValueError, match="3 models"):
        telling(own[:2], ["all"] * PROBES)
    with pytest.raises(ValueError, match="same probes"):
        telling([*own, Counts.of("b" * 64, own[0].shape, own[0].samples, own[0].cells())], ["all"] * PROBES)
    with pytest.raises(ValueError, match="a group for each"):
        telling(own, ["all"])
