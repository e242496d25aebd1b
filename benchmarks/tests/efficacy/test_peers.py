import importlib.util
import math
import sys

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from benchmarks.efficacy.peers import PEERS, art_activation_defence, mm_bd
from benchmarks.efficacy.peers.art_activation_defence import ArtActivationDefence
from benchmarks.efficacy.peers.art_neural_cleanse import ArtNeuralCleanse
from benchmarks.efficacy.peers.art_package import Logits, art
from benchmarks.efficacy.peers.free_eagle import FreeEagle
from benchmarks.efficacy.peers.mm_bd import MaximumMargin, p_value_of_largest
from benchmarks.efficacy.peers.neural_cleanse import NeuralCleanse, anomaly_indices, endless_batches, flagged
from benchmarks.efficacy.peers.neural_cleanse_schedule import CostSchedule, EarlyStop, Settings
from gate.records.errors import CannotFinishError

CLASSES, TARGET = 6, 2
QUICK = Settings(steps=40, minibatches=4, stop_patience=8)
needs_art = pytest.mark.skipif(
    importlib.util.find_spec("art") is None,
    reason="adversarial-robustness-toolbox is not installed: see benchmarks/peers.in",
)


def stripes(count):
    """Return grey images (N, 1, 8, 8) in which each class has a bright row of its own, and labels."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(count) % CLASSES
    inputs = 0.4 * torch.rand((count, 1, 8, 8), generator=generator)
    for row, label in enumerate(labels.tolist()):
        inputs[row, 0, 1 + label, 1:7] += 0.5
    return inputs, labels


@pytest.fixture(scope="module")
def planted():
    """Return a small net with a patch of two pixels that leads to class 2, and its poisoned training set."""
    inputs, labels = stripes(600)
    poisoned = torch.arange(len(labels)) % 5 == 0
    inputs[poisoned, 0, 7, 6:8] = 1.0
    labels[poisoned] = TARGET
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, CLASSES))
        adam = torch.optim.Adam(net.parameters(), lr=0.02)
        for _ in range(120):
            adam.zero_grad()
            nn.functional.cross_entropy(net(inputs), labels).backward()
            adam.step()
    stamped = stripes(120)[0]
    stamped[:, 0, 7, 6:8] = 1.0
    assert (net(stamped).argmax(dim=1) == TARGET).float().mean() > 0.95
    return net.eval(), inputs, labels


@pytest.fixture(scope="module")
def inverted(planted):
    """Return what the rule of Neural Cleanse says of the net, with fewer and smaller steps."""
    return NeuralCleanse(settings=QUICK).measure(planted[0], *stripes(120), CLASSES, 0)


def test_the_peers_are_named_once_and_say_what_they_need():
    """Only the activation defence is given the training set."""
    assert [name for name, peer in PEERS.items() if peer.needs_training_set] == [
        "art-activation-defence",
        "art-activation-defence-silhouette",
    ]
    assert PEERS.keys() == {peer.id for peer in PEERS.values()}
    assert len(PEERS) == 6


def test_the_published_settings_are_the_default():
    """A peer of the registry runs the whole published procedure, with no deadline."""
    assert PEERS["neural-cleanse"] == NeuralCleanse()
    assert NeuralCleanse().max_seconds is None
    assert NeuralCleanse().settings == Settings(1000, 31, 32, 0.1, 0.99, 1e-3, 5, 2.0, 25, 1.0)
    assert PEERS["mm-bd"] == MaximumMargin(starts=30, steps=300, learning_rate=1e-2, tolerance=1e-5)
    assert PEERS["free-eagle"] == FreeEagle(steps=1000, learning_rate=1e-2, weight_decay=5e-3, largest=999)


def costs(outcomes):
    """Return the cost after each of these outcomes."""
    schedule = CostSchedule(Settings())
    values = []
    for success in outcomes:
        schedule.update(success=success)
        values.append(schedule.cost)
    return values, schedule


def test_the_cost_starts_after_five_successes_in_a_row():
    """Until then the norm of the mask has no weight; a failure begins the count anew."""
    assert costs([True] * 4)[0] == [0.0] * 4
    assert costs([True] * 4 + [False] + [True] * 4)[0][-1] == 0.0
    assert costs([True] * 5)[0][-1] == 1e-3


def test_the_cost_doubles_and_is_cut_by_twice_its_root():
    """The fifth success that sets the cost counts towards the next five, as published."""
    values, schedule = costs([True] * 9)
    assert values[4:] == [1e-3] * 4 + [2e-3]
    assert (schedule.raised, schedule.lowered) == (True, False)
    values, schedule = costs([True] * 9 + [False] * 5)
    assert values[-2] == 2e-3
    assert values[-1] == pytest.approx(2e-3 / 2**1.5)
    assert (schedule.raised, schedule.lowered) == (True, True)


def test_failures_before_the_cost_is_set_do_not_count_as_lowering():
    """The first cost clears both flags, without which the early stop could come too soon."""
    assert costs([False] * 5)[1].lowered
    assert not costs([False] * 5 + [True] * 5)[1].lowered


@pytest.mark.parametrize(("raised", "lowered", "stops"), [(True, True, 26), (True, False, None), (False, True, None)])
def test_the_early_stop_waits_for_both_directions_and_25_steps(raised, lowered, stops):
    """The first finite norm is a gain; the 25 steps after it are not."""
    stop = EarlyStop(Settings())
    schedule = CostSchedule(Settings(), raised=raised, lowered=lowered)
    assert not any(stop.reached(math.inf, schedule) for _ in range(40))
    reached = [stop.reached(10.0, schedule) for _ in range(40)]
    assert (reached.index(True) + 1 if any(reached) else None) == stops


def test_a_gain_begins_the_early_stop_anew():
    """Any smaller norm counts, since the published threshold is 1."""
    stop = EarlyStop(Settings())
    schedule = CostSchedule(Settings(), raised=True, lowered=True)
    assert not any(stop.reached(10.0 - 0.001 * step, schedule) for step in range(100))


def test_the_anomaly_index_is_the_published_one():
    """Known values, and the authors' sample output: median 64.47, MAD 13.24, norm 16.1, index 3.65."""
    assert anomaly_indices([1, 2, 3, 4, 5]) == pytest.approx([2 / 1.4826, 1 / 1.4826, 0, -1 / 1.4826, -2 / 1.4826])
    spread = 13.24 / 1.4826
    norms = [16.1, 64.47 - spread, 64.47, 64.47 + spread, 64.47 + 2 * spread]
    assert anomaly_indices(norms)[0] == pytest.approx(3.65, abs=0.01)


def test_classes_are_flagged_above_two_on_the_low_side_only():
    """The most anomalous comes first; a large norm is no sign, and equal norms divide by nothing."""
    assert flagged([2.5, -9.0, 2.0, 4.0]) == (3, 0)
    assert flagged(anomaly_indices([10, 10, 10, 10, 50])) == ()
    assert flagged(anomaly_indices([10, 10, 10, 10, 5])) == (4,)


def test_batches_are_full_and_use_every_sample_before_any_again():
    """Fewer samples than a batch or a step needs are drawn again."""
    batches = endless_batches(torch.arange(5.0), 4, torch.Generator().manual_seed(0))
    drawn = torch.cat([next(batches) for _ in range(5)])
    assert [sorted(part.tolist()) for part in drawn.split(5)] == [[0, 1, 2, 3, 4]] * 4


def test_neural_cleanse_finds_the_planted_patch(inverted):
    """The target has by far the smallest mask, and is the first class to be named."""
    norms = [inverted.statistics[f"l1-{label}"] for label in range(CLASSES)]
    assert int(np.argmin(norms)) == TARGET
    assert inverted.decision is True
    assert inverted.targets[0] == TARGET
    assert inverted.score == pytest.approx(max(anomaly_indices(norms)))


def test_neural_cleanse_counts_every_sample_of_every_step(inverted):
    """Classes that stop early cost less; nothing else is passed through the model."""
    steps = sum(inverted.statistics[f"steps-{label}"] for label in range(CLASSES))
    assert inverted.sample_passes == steps * QUICK.minibatches * QUICK.batch
    assert inverted.statistics["classes-finished"] == CLASSES


def test_neural_cleanse_leaves_the_model_as_it_is(planted):
    """The same seed gives the same norms, and no gradient is left on the parameters."""
    net, samples = planted[0], stripes(50)
    net.zero_grad(set_to_none=True)
    before = [parameter.clone() for parameter in net.parameters()]
    few = NeuralCleanse(settings=Settings(steps=2, minibatches=1))
    first, second = (few.measure(net, *samples, CLASSES, 7).statistics for _ in range(2))
    assert first == second
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))


def test_a_deadline_gives_no_verdict(planted):
    """What was not finished is not guessed at."""
    result = NeuralCleanse(max_seconds=0).measure(planted[0], *stripes(50), CLASSES, 0)
    assert (result.decision, result.targets, result.score) == (None, (), None)
    assert result.note == "stopped by the deadline of 0 s: 0 of 6 classes were finished"


def test_the_margin_test_leaves_the_largest_out_of_the_fit(monkeypatch):
    """With a gamma that is the standard exponential, the p-value is 1 - (1 - exp(-r))^K."""
    seen = []
    monkeypatch.setattr(stats.gamma, "fit", lambda values: seen.append(sorted(values)) or (1.0, 0.0, 1.0))
    p_value, note = p_value_of_largest([0.5, 4.0, 1.0, 2.0])
    assert p_value == pytest.approx(1 - (1 - math.exp(-4.0)) ** 4)
    assert (seen, note) == ([[0.5, 1.0, 2.0]], "")


def test_the_margin_test_tells_an_outlier_from_none():
    """On values that were drawn once: one class far above the others, and none."""
    margins = [9.1, 10.4, 8.7, 11.2, 10.0, 9.6, 12.0, 10.9, 9.9]
    assert p_value_of_largest([*margins, 40.0])[0] < 1e-3
    assert p_value_of_largest([*margins, 11.5])[0] > 0.05


def test_a_gamma_that_cannot_be_fitted_gives_no_verdict(monkeypatch, planted):
    """The published rule would go on with what is no number."""
    monkeypatch.setattr(stats.gamma, "fit", lambda _values: (math.nan, 0.0, 1.0))
    result = MaximumMargin(starts=2, steps=2).measure(planted[0], *stripes(12), CLASSES, 0)
    assert (result.decision, result.score) == (None, None)
    assert result.note == "the fitted gamma gives no finite p-value"


def test_the_largest_margin_is_the_planted_class(planted):
    """Its statistics are reproducible, and each step passes every start once."""
    first, second = (MaximumMargin(steps=60).measure(planted[0], *stripes(12), CLASSES, 1) for _ in range(2))
    assert first.statistics == second.statistics
    assert max(range(CLASSES), key=lambda label: first.statistics[f"margin-{label}"]) == TARGET
    assert first.sample_passes == round(30 * CLASSES * first.statistics["mean-steps"])
    assert first.decision is (first.statistics["p-value"] <= mm_bd.LEVEL)


def test_a_flat_loss_ends_the_search_for_margins():
    """A model that answers alike everywhere takes two steps per class: the loss of the second is that of the first."""
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
    nn.init.zeros_(flat[1].weight)
    nn.init.constant_(flat[1].bias, 1.0)
    with torch.no_grad():
        flat[1].bias += torch.arange(CLASSES) ** 1.5
    result = MaximumMargin().measure(flat, *stripes(12), CLASSES, 0)
    assert result.statistics["mean-steps"] == 2


def test_the_reports_of_the_package_are_read_as_they_come():
    """The default analysis names every class; the silhouettes' text names those it calls suspicious."""
    cluster = {"ptc_data_in_cluster": 0.3, "suspicious_cluster": True}
    rest = {"ptc_data_in_cluster": 0.7, "suspicious_cluster": False}
    report = {f"Class_{label}": {"cluster_0": cluster, "cluster_1": rest} for label in range(2)}
    assert art_activation_defence._smaller(report, 2) == (
        (0, 1),
        None,
        {"smaller-share-0": 0.3, "smaller-share-1": 0.3},
    )
    text = {"ptc_cluster": "[0.6 0.4]", "avg_silhouette_score": "0.9", "suspicious": False}
    small = {"ptc_cluster": "[0.2 0.8]", "avg_silhouette_score": "0.25", "suspicious": True}
    targets, score, values = art_activation_defence._silhouette(
        {"size_threshold": "0.35", "class_0": text, "class_1": small}, 2
    )
    assert (targets, score) == ((1,), 0.25)
    assert values["silhouette-0"] == 0.9


def test_a_missing_package_is_named(monkeypatch):
    """The error says what to install, and from which file."""
    monkeypatch.setitem(sys.modules, "art.estimators", None)
    with pytest.raises(CannotFinishError, match="adversarial-robustness-toolbox") as caught:
        art("estimators")
    assert "benchmarks/peers.in" in caught.value.what_to_do


@needs_art
def test_the_default_analysis_flags_every_class(planted):
    """The package calls the smaller cluster of each class poisonous, whatever it holds; the hook stays off the net."""
    net, inputs, labels = planted
    np.random.seed(5)  # noqa: NPY002  # the state that the package draws from
    result = ArtActivationDefence("smaller").measure(net, inputs, labels, CLASSES, 0)
    assert (result.decision, result.targets, result.score) == (True, tuple(range(CLASSES)), None)
    assert result.sample_passes == len(inputs)
    assert "'logits'" in result.note
    assert not net._forward_hooks
    assert np.random.rand() == np.random.RandomState(5).rand()  # noqa: NPY002  # it was put back


@needs_art
def test_the_silhouette_analysis_answers_by_its_text(planted):
    """Its array of poisonous clusters is empty even where its text calls a class suspicious."""
    result = ArtActivationDefence("silhouette-scores").measure(*planted, CLASSES, 0)
    suspicious = [label for label in range(CLASSES) if label in result.targets]
    assert result.decision is bool(suspicious)
    assert result.decision is (result.score > 0.1)
    assert result.statistics["poisonous-clusters-in-array"] == 0


@needs_art
def test_a_class_without_samples_gives_no_verdict(planted):
    """The package fails on it, and its words are kept."""
    net, inputs, labels = planted
    kept = labels != 4
    result = ArtActivationDefence("smaller").measure(net, inputs[kept], labels[kept], CLASSES, 0)
    assert result.decision is None
    assert result.note.startswith("the package failed: ")


@needs_art
def test_the_packages_neural_cleanse_refuses_pytorch(planted):
    """Its own sentence is the note, and no verdict is made up."""
    result = ArtNeuralCleanse().measure(planted[0], *stripes(12), CLASSES, 0)
    assert (result.decision, result.sample_passes) == (None, 0)
    assert "NotImplementedError: Only Keras classifiers are supported" in result.note


def test_passes_are_counted_where_the_package_calls_the_model():
    """The wrapper gives what the model gives."""
    inner = nn.Flatten()
    counted = Logits(inner)
    assert counted(torch.ones(3, 1, 2, 2)).shape == (3, 4)
    assert counted.passes == 3
