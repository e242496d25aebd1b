"""The inversion's engine: classes do not mix, batches may be cut, and target-class images are never drawn."""

from types import SimpleNamespace

import pytest
import torch

from gate.records.errors import UnexaminableError
from gate.records.run import DeadlineReachedError, Run
from gate.search.goals import ClassGoal, PairGoal, Pools, every_class, every_pair
from gate.search.inversion import Settings, invert
from gate.search.objective import Objective, accumulate_gradients
from gate.search.penalty import Penalty, PenaltyRule
from gate.search.rungs import Rung, schedule, survivors
from gate.spaces.image.triggers.patch import Patches
from gate.spaces.subject import Samples
from gate.statistics.subsets import balanced

FAMILY = Patches((1, 4, 4), (0.0, 1.0))
RUN = Run(seed=0)
SETTINGS = Settings(rungs=(Rung(25),), batch=8)
ALL = every_class(4)


class Linear:
    """A linear classifier of four classes on four by four images, which counts what it is given."""

    num_classes, input_shape, bounds, feature_layer, sample_passes = 4, (1, 4, 4), (0.0, 1.0), "", 0

    def __init__(self):
        self.weights = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
        self.largest_batch = 0

    arithmetic = ""

    def quick_logits(self, x):  # noqa: D102  # the protocol says it
        return self.logits(x)

    def logits(self, x):
        """Return scores (N, 4)."""
        self.largest_batch = max(self.largest_batch, len(x))
        return x.flatten(1) @ self.weights


def samples(count=40, labelled=True):
    """Return random images with labels in turn."""
    inputs = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    return Samples(inputs, torch.arange(count) % 4 if labelled else None, "s")


class Fixed(Patches):
    """A family whose triggers all start alike, so that a class starts alike alone and among others."""

    def start(self, count, generator):
        """Return the same parameters for every trigger."""
        one = torch.Generator().manual_seed(3)
        return tuple(torch.randn(1, 1, 4, 4, generator=one).repeat(count, 1, 1, 1) for _ in range(2))


class SameDraws(Pools):
    """Pools whose draws depend on the class alone."""

    def draw(self, batch, generator):
        """Return the first images of every pool."""
        return torch.stack([pool[:batch] for pool in self.indices])


def test_a_class_inverts_alike_alone_and_among_others(monkeypatch):
    """With the same starts and images, the batch of classes changes nothing about any one of them."""
    monkeypatch.setattr("gate.search.inversion.Pools", SameDraws)
    family = Fixed(FAMILY.shape, FAMILY.bounds)
    together = invert(Linear(), family, samples(), ALL, SETTINGS, RUN)
    for target in range(4):
        alone = invert(Linear(), family, samples(), (ClassGoal(target),), SETTINGS, RUN)
        torch.testing.assert_close(alone.sizes[0], together.sizes[target], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(alone.parameters[0][0], together.parameters[0][target], rtol=1e-3, atol=1e-3)
        assert alone.success[0] == together.success[target]


def gradients(max_batch, weight_of_first=0.1):
    """Return the gradients of all classes and their success for one fixed objective."""
    parameters = tuple(p.requires_grad_() for p in FAMILY.start(4, torch.Generator().manual_seed(0)))
    inputs = torch.rand(32, 1, 4, 4, generator=torch.Generator().manual_seed(5))
    rows = torch.arange(32).view(4, 8)
    penalty = torch.tensor([weight_of_first, 0.1, 0.2, 0.3])
    classifier = Linear()
    success = accumulate_gradients(
        classifier,
        FAMILY,
        Objective(inputs, rows, torch.zeros(4, 8, dtype=torch.long), ALL, penalty),
        parameters,
        max_batch,
    )
    return [parameter.grad for parameter in parameters], success, classifier.largest_batch


@pytest.mark.parametrize("max_batch", [1, 3, 8, 16, 24])
def test_cutting_the_batch_changes_nothing(max_batch):
    """Some classes at a time give the gradients of all at once, and no pass is larger than asked."""
    whole, success, _ = gradients(1000)
    parts, success_of_parts, largest = gradients(max_batch)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(success, success_of_parts)
    assert largest <= max_batch


def test_gradients_of_classes_do_not_mix():
    """Another weight on the first class's size moves its gradient and no other's."""
    (mask, _), _, _ = gradients(1000)
    (heavier, _), _, _ = gradients(1000, weight_of_first=5.0)
    assert not torch.allclose(mask[0], heavier[0])
    assert torch.equal(mask[1:], heavier[1:])


@pytest.mark.parametrize("labelled", [True, False])
def test_images_of_the_target_are_never_drawn(labelled):
    """Whether by label or by the model's own choice, a class's pool holds no image of it."""
    classifier, clean = Linear(), samples(labelled=labelled)
    own = clean.labels if labelled else classifier.logits(clean.inputs).argmax(dim=1)
    present = tuple(sorted(set(own.tolist())))
    pools = Pools.of(classifier, clean, tuple(ClassGoal(target) for target in present), RUN)
    drawn = own[pools.draw(200, torch.Generator().manual_seed(0))]
    for row, target in enumerate(present):
        seen = set(drawn[row].flatten().tolist())
        assert target not in seen
        assert seen == set(present) - {target}


def test_one_class_of_samples_is_a_clear_failure():
    """Without an image of another class there is nothing to move."""
    clean = samples()
    only = Samples(clean.inputs, torch.zeros(40, dtype=torch.long), "s")
    with pytest.raises(UnexaminableError, match="every clean sample belongs to class 0"):
        Pools.of(Linear(), only, ALL[:1], RUN)


def test_the_same_seed_gives_the_same_triggers_and_another_does_not():
    """Everything random comes from the run's seed, whatever the global generator did before."""
    one = invert(Linear(), FAMILY, samples(), ALL[:2], SETTINGS, RUN)
    torch.rand(7)
    same = invert(Linear(), FAMILY, samples(), ALL[:2], SETTINGS, RUN)
    other = invert(Linear(), FAMILY, samples(), ALL[:2], SETTINGS, Run(seed=1))
    assert torch.equal(one.parameters[0], same.parameters[0])
    assert not torch.equal(one.parameters[0], other.parameters[0])


def test_a_class_that_cannot_be_reached_has_the_largest_size():
    """Where no trigger is found, the size is the whole image and finite."""
    classifier = Linear()
    classifier.weights[:, 0] = -100.0
    found = invert(classifier, FAMILY, samples(), ALL[:2], SETTINGS, RUN)
    assert found.sizes[0] == FAMILY.largest == 16.0
    assert found.success[0] == 0
    assert torch.isfinite(found.sizes).all()


def test_the_deadline_ends_the_inversion():
    """Time that is up is noticed within a step."""
    with pytest.raises(DeadlineReachedError):
        invert(Linear(), FAMILY, samples(), ALL[:1], SETTINGS, Run(seed=0, deadline=0.0))


def test_progress_is_told_step_by_step():
    """The caller hears of each step and of the whole."""
    told = []
    invert(Linear(), FAMILY, samples(), ALL[:1], SETTINGS, Run(seed=0, progress=lambda *step: told.append(step)))
    assert told == [(step, 25) for step in range(1, 26)]


def test_the_penalty_rises_with_success_and_falls_with_failure():
    """λ starts at zero, rises after some successes in a row, and falls after as many failures, class by class."""
    rule = PenaltyRule(start=1.0, factor=4.0, patience=2, success_target=0.95)
    penalty, values = Penalty(2, rule, torch.device("cpu")), []
    for first in (1, 1, 1, 1, 0, 0):
        penalty.adapt(torch.tensor([first, 0.0]))
        values.append(penalty.values.tolist())
    assert [first for first, _ in values] == [0.0, 1.0, 1.0, 4.0, 4.0, 0.5]
    assert {second for _, second in values} == {0.0}


def test_patches_keep_to_their_bounds():
    """Masks lie in zero to one, patterns in the input's bounds, whatever the parameters, and start inside both."""
    family = Patches((3, 4, 4), (-2.0, 5.0))
    for parameters in (family.start(2, torch.Generator().manual_seed(0)), (torch.full((2, 3, 4, 4), 99.0),) * 2):
        mask, pattern = family.mask(parameters), family.pattern(parameters)
        assert mask.min() >= 0
        assert mask.max() <= 1
        assert pattern.min() >= -2
        assert pattern.max() <= 5
    x = torch.zeros(2, 6, 3, 4, 4)
    assert family.apply(family.start(2, torch.Generator()), x).shape == x.shape


@pytest.mark.parametrize(("most", "expected"), [(8, [2, 2, 2, 2]), (6, [2, 2, 1, 1]), (100, [22, 6, 6, 6])])
def test_samples_are_chosen_in_equal_shares(most, expected):
    """Every class has its share as far as it reaches, and the seed alone decides which."""
    clean = samples()
    labels = torch.cat([clean.labels[:24], torch.zeros(16, dtype=torch.long)])
    uneven = Samples(clean.inputs, labels, "s")
    chosen = balanced(uneven, most, 0)
    assert sorted(torch.bincount(chosen.labels, minlength=4).tolist(), reverse=True) == expected
    assert torch.equal(chosen.inputs, balanced(uneven, most, 0).inputs)


def test_a_run_has_no_hidden_state():
    """A bare classifier needs no more than scores; nothing else of it is asked for."""
    bare = SimpleNamespace(logits=Linear().logits, quick_logits=Linear().logits)
    assert invert(bare, FAMILY, samples(), ALL[:1], SETTINGS, RUN).goals == (ClassGoal(0),)


def test_pairs_draw_from_their_source_alone():
    """A goal with a source moves that class's images and no other's, and every ordered pair is a goal."""
    goals = every_pair(range(4))
    assert len(goals) == len(set(goals)) == 12
    clean = samples()
    pools = Pools.of(Linear(), clean, goals, RUN)
    for goal, pool in zip(goals, pools.indices, strict=True):
        assert set(clean.labels[pool].tolist()) == {goal.source}
        assert goal.target != goal.source


def test_a_pair_without_samples_is_a_clear_failure():
    """A source class that no sample belongs to cannot be moved."""
    clean = samples()
    only = Samples(clean.inputs, torch.ones(40, dtype=torch.long), "s")
    with pytest.raises(UnexaminableError, match="no clean sample belongs to class 2, which is to be moved to 0"):
        Pools.of(Linear(), only, (PairGoal(0, 2),), RUN)


def test_settled_goals_leave_the_batch_and_keep_their_triggers():
    """Where goals may leave, fewer images pass through the model, and what was found is about as small."""
    whole, spared = Linear(), Linear()
    long = Settings(rungs=(Rung(200),), batch=8)
    early = Settings(rungs=(Rung(200),), batch=8, settled_after=25)
    counted = []
    for classifier, settings in ((whole, long), (spared, early)):
        passes = []
        logits = classifier.logits

        def count(x, logits=logits, passes=passes):
            passes.append(len(x))
            return logits(x)

        counting = SimpleNamespace(logits=count, quick_logits=count)
        counted.append((invert(counting, FAMILY, samples(), ALL, settings, RUN), sum(passes)))
    (full, all_passes), (short, fewer_passes) = counted
    assert fewer_passes < 0.8 * all_passes
    assert short.finished.all()
    assert short.sizes.median() < 1.5 * full.sizes.median()


def test_hopeless_goals_leave_the_batch():
    """A class that no trigger reaches leaves early, as not found, and counts as searched to the end."""
    classifier = Linear()
    classifier.weights[:, 0] = -100.0
    settings = Settings(rungs=(Rung(40),), batch=8, hopeless_after=10)
    found = invert(classifier, FAMILY, samples(), ALL[:2], settings, RUN)
    assert found.sizes[0] == FAMILY.largest
    assert found.finished.all()


def test_halving_keeps_the_smallest_and_random_references():
    """Goals that leave at a rung are not compared; references are, and stay references."""
    settings = Settings(rungs=(Rung(15), Rung(10, keep=1, references=1)), batch=8)
    found = invert(Linear(), FAMILY, samples(), ALL, settings, RUN)
    assert int(found.finished.sum()) == 2
    assert len(found.references) == 1
    assert found.compared == found.references
    assert found.finished[list(found.references)].all()
    ranked, references = survivors([3.0, 1.0, 2.0, 5.0, 4.0], Rung(1, keep=2, references=2), (), 0)
    assert {1, 2} <= set(ranked)
    assert set(references) <= {0, 3, 4}
    _, later = survivors([3.0, 1.0, 2.0, 5.0, 4.0], Rung(1, keep=1, references=1), references, 0)
    assert later[0] in references


@pytest.mark.parametrize("classes", [2, 10, 20])
def test_few_classes_are_all_searched_to_the_end(classes):
    """No halving where every class can be afforded."""
    assert schedule(classes, 200) == (Rung(200),)


def test_work_grows_more_slowly_than_the_classes():
    """Ten times the classes cost less than ten times the work, from twenty to a thousand."""

    def work(classes):
        rungs = schedule(classes, 200)
        return sum(
            rung.steps * rung.images(16) * min(classes, (rung.keep or classes) + rung.references) for rung in rungs
        )

    for few, many in ((20, 43), (43, 100), (100, 1000)):
        assert work(many) < 0.8 * work(few) * many / few
    assert work(1000) < 12 * work(20)
