import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.efficacy.peers.free_eagle import FreeEagle, corrected, outlier, tendencies
from benchmarks.efficacy.peers.halves import NoCutError, cuts, second_half
from benchmarks.efficacy.reading import Read
from benchmarks.zoo.architectures import Plan
from benchmarks.zoo.export import exported_bytes
from benchmarks.zoo.unseen_nets import UNSEEN
from gate.programs import batched, read_program

CLASSES, SOURCE, TARGET = 8, 2, 5
SHAPE = (1, 8, 8)
QUICK = FreeEagle(steps=300)


@pytest.fixture
def read(tmp_path):
    """Return a function that exports a net and reads it as the harness does."""

    def of(net, shape=SHAPE, *, static=False):
        path = tmp_path / "model.pt2"
        path.write_bytes(exported_bytes(net, shape, static_batch=static))
        return Read(batched(read_program(path), torch.rand((4, *shape), generator=torch.Generator().manual_seed(0))))

    return of


def made_up(planted=""):
    """Return a net whose middle has a feature a class, each of which raises its own class and touches others a bit."""
    generator = torch.Generator().manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES), nn.ReLU(), nn.Linear(CLASSES, CLASSES, bias=False))
    with torch.no_grad():
        head = 2 * torch.eye(CLASSES) + 0.1 * torch.randn((CLASSES, CLASSES), generator=generator)
        if planted == "pair":
            head[TARGET, SOURCE] += 1.5
        if planted == "all":
            head[TARGET] += 1.5 * (torch.arange(CLASSES) != TARGET)
        net[3].weight.copy_(head)
    return net


class Skip(nn.Module):
    """Five layers, of which the second and third lie in a residual block; perhaps a way from the image to the end."""

    def __init__(self, *, bypass=False):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
        self.late = nn.Conv2d(4, 6, 3, stride=2)
        self.head = nn.Linear(6, CLASSES)
        self.bypass = bypass

    def forward(self, x):
        """Return logits (N, K)."""
        first = self.stem(x).relu()
        middle = (first + self.block(first)).relu()
        # The size is read from the image: it has to cross the cut.
        features = self.late(middle).relu().view(x.shape[0], 6, -1).mean(2)
        return self.head(features) + (x.mean((1, 2, 3)).unsqueeze(1) if self.bypass else 0)


class Shared(nn.Module):
    """Looks at its neighbours in the batch, so that samples can only be run one at a time."""

    def __init__(self):
        super().__init__()
        self.net = made_up()

    def forward(self, x):
        """Return logits (N, K)."""
        return self.net(x - x.mean())


def second_alone(model, shape=SHAPE, count=4):
    """Return the second half, its result on the first half's values, and what the whole program says."""
    images = torch.rand((count, *shape), generator=torch.Generator().manual_seed(3))
    half = second_half(model.body, images)
    _, values = model.body.run(images, taps=[half.cut.value])
    return half, half.run(values[half.cut.value]), model(images)


def test_a_cut_in_a_residual_block_is_moved_behind_it(read):
    """Half of five layers lies in the block; the value behind it, after its activation, carries all there is."""
    model = read(Skip())
    half, halved, whole = second_alone(model)
    assert (half.cut.layers, half.of_layers, half.seen.shape) == (3, 5, (4, 4, 8, 8))
    assert model.body.program.producers[half.cut.value].call.name == "relu"
    # Not to the bit: a convolution's rounding may depend on the memory layout of what it is given.
    assert torch.allclose(halved, whole, atol=1e-6)
    inside = {node.name for node in model.body.program.nodes if "conv2d" in node.target}
    assert sum(cut.value in inside for cut in cuts(model.body.program)) == 2  # of four; those of the block are not


def test_a_way_around_all_layers_leaves_no_cut(read):
    """What is alive beside every inner value is not left out: there is no cut, and so it says."""
    with pytest.raises(NoCutError, match="no single value"):
        QUICK.measure(read(Skip(bypass=True)), torch.zeros(1, *SHAPE), torch.zeros(1), CLASSES, 0)


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("name", UNSEEN)
def test_nets_of_other_families_are_cut_in_the_middle(read, name, static):
    """Dense blocks, branches, residual streams and tokens; the second half is the rest of the program."""
    model = read(UNSEEN[name](Plan((1, 28, 28), 10, 1.0, "gelu")), (1, 28, 28), static=static)
    half, halved, whole = second_alone(model, (1, 28, 28))
    assert abs(half.cut.layers - half.of_layers / 2) <= 1
    assert torch.allclose(halved, whole, atol=1e-5)


def test_samples_that_must_run_alone_do_so_behind_the_cut(read):
    """Each embedding is then a batch of its own."""
    model = read(Shared(), static=True)
    assert model.body.mode == "per-sample"
    half, halved, whole = second_alone(model)
    assert len(half.seen) == 1
    assert torch.allclose(halved, whole, atol=1e-5)
    assert FreeEagle(steps=2).measure(model, torch.zeros(1, *SHAPE), torch.zeros(1), CLASSES, 0).score is not None


def test_tendencies_are_those_to_other_classes():
    """Rows are the embeddings' classes; with the diagonal each sums to one."""
    posteriors = np.array([[0.9, 0.1], [0.3, 0.7]])
    assert tendencies(posteriors).tolist() == [[0, 0.1], [0.3, 0]]


def test_a_tendency_counts_more_where_there_is_none_back():
    """The greater of a pair is multiplied by their ratio, the smaller is left; a pair of equals is left."""
    table = np.array([[0, 0.4, 0.2], [0.1, 0, 0.2], [0.2, 0.2, 0]])
    assert corrected(table) == pytest.approx(np.array([[0, 1.6, 0.2], [0.1, 0, 0.2], [0.2, 0.2, 0]]))


def test_the_outlier_is_measured_in_quartiles():
    """Known values; equal quartiles give no finite number, and two values always give one half."""
    assert outlier(np.array([0.0, 1, 2, 3, 10])) == (10 - 3) / (3 - 1)
    assert outlier(np.array([0.1, 0.7])) == pytest.approx(0.5)
    assert not np.isfinite(outlier(np.ones(5)))


@pytest.fixture
def asked(read):
    """Return a function that asks the peer about a made-up net."""

    def of(planted="", peer=QUICK):
        return peer.measure(read(made_up(planted)), torch.zeros(1, *SHAPE), torch.zeros(1), CLASSES, 0)

    return of


def test_a_planted_pair_stands_out(asked):
    """The cell is named, and its number is far above that of the net without."""
    plain, planted = asked(), asked("pair")
    assert (planted.statistics["source"], planted.targets) == (SOURCE, (TARGET,))
    assert planted.decision is True
    assert planted.score == planted.statistics["class-specific"] > 5 * plain.score


def test_a_class_to_which_all_tend_stands_out_among_the_columns(asked):
    """That is a trigger that works on every class."""
    plain, planted = asked(), asked("all")
    columns = [planted.statistics[f"column-{label}"] for label in range(CLASSES)]
    assert int(np.argmax(columns)) == TARGET
    assert planted.statistics["class-agnostic"] > max(2.0, 5 * plain.statistics["class-agnostic"])


def test_every_embedding_of_every_step_is_counted(asked):
    """One pass each, the last reading and the first half's images included; the same seed gives the same numbers."""
    first, second = (asked(peer=FreeEagle(steps=4)) for _ in range(2))
    assert first.sample_passes == CLASSES * (4 + 1 + 1)
    assert first.statistics == second.statistics


def test_a_tendency_of_nothing_gives_no_verdict(read):
    """Logits so large that other posteriors vanish leave quartiles of zero."""
    net = made_up()
    with torch.no_grad():
        net[3].weight *= 1e6
    result = QUICK.measure(read(net), torch.zeros(1, *SHAPE), torch.zeros(1), CLASSES, 0)
    assert (result.decision, result.targets, result.score) == (None, (), None)
    assert "no finite number" in result.note


def test_one_logit_is_two_classes(read):
    """The harness gives peers the logits of both, whose softmax is the logit's sigmoid; the rule says a half."""
    model = read(nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 1)))
    images = torch.rand(3, *SHAPE)
    assert torch.allclose(model(images).softmax(1)[:, 1:], model.body(images).sigmoid())
    result = FreeEagle(steps=5).measure(model, images, torch.zeros(3), 2, 0)
    assert (result.score, result.decision) == (pytest.approx(0.5), False)
