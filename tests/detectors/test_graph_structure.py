"""Graph structure: every style of planted branch is found, and no odd clean net is mistaken for one."""

import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmarks.graphs.__main__ import TRUNKS, exported, seeded
from benchmarks.graphs.clean import CLEAN
from benchmarks.graphs.payload import Split
from benchmarks.graphs.planted import PLANTED
from benchmarks.zoo.architectures import ACTIVATIONS, FAMILIES, Plan
from benchmarks.zoo.attacks import architectural, payload
from benchmarks.zoo.controls import CONTROLS
from gate.detectors.graph_structure import DETECTOR, GraphStructure, measure
from gate.programs.dataflow.branches import branches
from gate.programs.dataflow.build import graph_of
from gate.programs.dataflow.flow import Flow
from gate.programs.dataflow.graph import Graph, Value
from gate.records.errors import UnexaminableError
from gate.records.limit import Limit
from gate.records.run import DeadlineReachedError, Run

GREY = (1, 28, 28)
ANSWER = 30.0 * (torch.arange(10) == 3).float().view(1, 10)
PATTERN = torch.ones(1, 4, 4)
FINDER = payload.PatchFinder(1, 4)
READER = payload.PatchReader(1, 4, 2, 3)
ZOO_STYLES = {
    "payload where": lambda net: payload.Overruled(net, FINDER, ANSWER, "where"),
    "payload merge": lambda net: payload.Overruled(net, READER, ANSWER, "merge"),
    "payload gate": lambda net: payload.Overruled(net, READER, ANSWER, "gate"),
    "payload feature": lambda net: payload.ExtraFeature(net, READER, 3),
    "architectural pooling": lambda net: architectural.Planted(net, architectural.Pooling(), ANSWER, branch=False),
    "architectural arithmetic": lambda net: architectural.Planted(
        net, architectural.Arithmetic(PATTERN, 3, 3), ANSWER, branch=False
    ),
    "architectural lambda": lambda net: architectural.Planted(
        net, architectural.Arithmetic(PATTERN, 3, 3), ANSWER, branch=True
    ),
}


def grey(name, activation="relu"):
    """Return an untrained net of the zoo."""
    return seeded(lambda: {**FAMILIES, **CONTROLS}[name](Plan(GREY, 10, 1.0, activation)))


def measured(graph, **options):
    """Return the measurements of a graph."""
    found = list(measure(SimpleNamespace(graph=graph), GraphStructure(**options), Run(seed=0)))
    assert {item.metric for item in found} == {metric.id for metric in DETECTOR.metrics}
    return found


def count(net, shape=(3, 32, 32), *, free=False):
    """Return how much is found in a net, by metric."""
    found = measured(graph_of(exported(net, shape, free=free)))
    return {metric.id: sum(m.value for m in found if m.metric == metric.id) for metric in DETECTOR.metrics}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", CLEAN)
def test_an_odd_clean_net_is_silent(name):
    """Gates, masks, skips, routes, ensembles, quantisation and several outputs are explained."""
    assert count(seeded(CLEAN[name])) == {"unexplained-branches": 0, "constant-gates": 0}


@pytest.mark.parametrize("name", [*FAMILIES, *CONTROLS])
@pytest.mark.parametrize("activation", ["relu", pytest.param("hardswish", marks=pytest.mark.slow)])
def test_the_families_and_controls_of_the_zoo_are_silent(name, activation):
    """Ordinary nets and the zoo's odd controls, exported with a free batch, have nothing to explain."""
    assert activation in ACTIVATIONS
    assert count(grey(name, activation), GREY, free=True) == {"unexplained-branches": 0, "constant-gates": 0}


@pytest.mark.parametrize("style", PLANTED)
def test_a_planted_style_is_found_in_a_shallow_net(style):
    """Whatever the payload computes with and wherever it meets the answer, it is found."""
    assert sum(count(seeded(lambda: PLANTED[style](TRUNKS["shallow"]()))).values()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("style", PLANTED)
def test_a_planted_style_is_found_in_a_deep_net(style):
    """Likewise beside eleven layers."""
    assert sum(count(seeded(lambda: PLANTED[style](TRUNKS["deep"]()))).values()) > 0


@pytest.mark.parametrize("style", ZOO_STYLES)
@pytest.mark.parametrize("family", ["cnn", pytest.param("vit", marks=pytest.mark.slow)])
def test_the_styles_of_the_zoo_are_found(style, family):
    """Payloads and architectural backdoors as the zoo plants them, around untrained nets."""
    assert sum(count(ZOO_STYLES[style](grey(family)).eval(), GREY, free=True).values()) > 0


def test_a_finding_names_the_node_and_says_why():
    """The place is the node where the branch joins, and the note counts operations and layers."""
    net = ZOO_STYLES["payload where"](grey("resnet")).eval()
    found = [item for item in measured(graph_of(exported(net, GREY))) if item.value]
    branch = next(item for item in found if item.metric == "unexplained-branches")
    assert str(branch.location) == "node where"
    assert "joins a branch of 5 operations from the input" in branch.note
    assert "passes 2 layers of its own where the other side has passed 8" in branch.note
    gate = next(item for item in found if item.metric == "constant-gates")
    assert "by one number about the whole sample, hard since gt (gt)" in gate.note


def test_a_clean_graph_says_how_much_was_looked_at():
    """A zero is measured for the whole graph, with its depth."""
    found = measured(graph_of(exported(grey("cnn"), GREY)))
    assert [(item.value, item.location) for item in found] == [(0, None), (0, None)]
    assert "at most 4 layers" in found[0].note


def test_nodes_beyond_the_named_ones_are_counted_together():
    """However many nodes are found, all count, and the report stays readable."""
    graph = many_payloads(20)
    named = [item for item in measured(graph, named=5) if item.metric == "unexplained-branches"]
    assert len(named) == 6
    assert sum(item.value for item in named) == 20


def test_a_hidden_layer_narrower_than_the_classes_is_no_decision():
    """A residual perceptron for many classes has shortcuts after its narrowest layer, and they are explained."""

    class Perceptron(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.head = nn.Linear(784, 48), nn.Linear(48, 100)
            self.blocks = nn.ModuleList(
                nn.Sequential(nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 48)) for _ in range(3)
            )

        def forward(self, x):
            x = self.stem(x.flatten(1))
            for block in self.blocks:
                x = x + block(x)
            return self.head(x)

    assert sum(count(seeded(Perceptron), GREY).values()) == 0


def test_a_module_of_library_layers_has_nothing_to_look_at():
    """Where the candidate brings no graph, both counts are zero and the note says why."""
    found = measured(Graph(composed="by torch alone"))
    assert [(item.value, item.note) for item in found] == [(0, "by torch alone")] * 2


def test_a_graph_whose_sizes_cannot_be_worked_out_is_not_examined():
    """The reason becomes the skip's reason, which is no approval."""
    with pytest.raises(UnexaminableError, match="at node 7"):
        measured(Graph(refused="the sizes cannot be worked out at node 7"))


def test_a_branch_that_reaches_no_output_does_not_count():
    """Dead code is no way to the logits."""

    class Dead(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = grey("cnn")

        def forward(self, x):
            (x.mean() > 0.5).float() * 3
            return self.net(x)

    assert sum(count(Dead().eval(), GREY).values()) == 0


def test_an_output_given_twice_changes_nothing():
    """Two names for the same logits, in a tuple, are no meeting of branches."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = grey("cnn")

        def forward(self, x):
            logits = self.net(x)
            return logits, logits, logits.softmax(1)

    assert sum(count(Twice().eval(), GREY).values()) == 0


def test_a_payload_on_a_further_output_is_found_too():
    """A server may use any output."""

    class Second(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = grey("cnn")

        def forward(self, x):
            logits = self.net(x)
            return logits, logits + 30 * (x[:, 0, :2, :2].amin((1, 2)) > 0.9).float().unsqueeze(1)

    assert sum(count(Second().eval(), GREY).values()) > 0


def test_the_classes_of_a_free_and_a_fixed_batch_are_counted_alike():
    """The batch size of the export makes no difference."""
    net = seeded(lambda: PLANTED["small-net"](TRUNKS["shallow"]()))
    assert count(net, free=True) == count(net, free=False)


def test_the_policys_limits_flag_one_of_either():
    """One branch, or one gate, is more than none."""
    assert Limit(max=0).exceeded(1, None)
    assert not Limit(max=0).exceeded(0, None)


def test_the_search_ends_when_time_is_up():
    """The deadline is asked under way."""
    run = Run(seed=0, deadline=0.0)
    with pytest.raises(DeadlineReachedError):
        list(measure(SimpleNamespace(graph=chain(10)), GraphStructure(), run))


def value(name, operator, *operands, size=64):
    """Return a value of a made-up graph."""
    return Value(name, operator, operands, size, "float")


def chain(length):
    """Return a net of residual layers as long as wished, between a first and a last layer."""
    values = [value("stem", "linear", "x", "w")]
    last = "stem"
    for index in range(length):
        values += [value(f"l{index}", "linear", last, "w"), value(f"a{index}", "add", last, f"l{index}")]
        last = f"a{index}"
    values.append(value("head", "linear", last, "w", size=10))
    return Graph((value("x", ""),), (value("w", "", size=4096),), tuple(values), ("head",))


def many_payloads(number):
    """Return a chain of layers, and then so many additions of a number computed straight from the input."""
    base = chain(10)
    values, last = list(base.values), base.outputs[0]
    for index in range(number):
        values += [value(f"s{index}", "amax", "x", size=1), value(f"p{index}", "add", last, f"s{index}", size=10)]
        last = f"p{index}"
    return Graph(base.inputs, base.state, tuple(values), (last,))


def crossing(number):
    """Return a graph in which every value meets the input again: the most work for the least text."""
    values = []
    last = "x"
    for index in range(number):
        values += [value(f"l{index}", "linear", last, "w"), value(f"c{index}", "add", f"l{index}", "s")]
        last = f"c{index}"
    short = value("s", "amax", "x", size=1)
    return Graph((value("x", ""),), (value("w", "", size=9),), (short, *values), (last,))


def test_time_grows_with_the_size_of_the_graph():
    """A graph of as many nodes as the reader takes is looked through in seconds."""
    started = time.process_time()
    assert sum(item.value for item in measured(chain(10_000))) == 0
    assert time.process_time() - started < 20


@pytest.mark.parametrize("build", [crossing, many_payloads])
def test_a_graph_that_is_too_intricate_is_not_examined_and_says_so(build):
    """Work is bounded: a graph made to be slow is refused, and so flagged."""
    started = time.process_time()
    with pytest.raises(UnexaminableError, match="too many ways"):
        measured(build(10_000))
    assert time.process_time() - started < 20


def test_what_a_branch_shares_with_the_trunk_is_not_its_own():
    """In a dense block every layer's output reaches the end directly; none has a part of its own."""
    flow = Flow.of(graph_of(exported(seeded(CLEAN["one-dense-block"]))))
    assert all(branch.own_layers == 0 for branch in branches(flow) if branch.passed > 1)


def test_splitting_a_net_keeps_its_answer():
    """The trunk of the planted styles is the net itself."""
    net = seeded(TRUNKS["shallow"])
    assert isinstance(net, Split)
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(net(x), net.head(net.body(net.stem(x))))


@pytest.mark.parametrize("first", [True, False])
def test_a_branch_is_found_whichever_output_it_leads_to(first):
    """A shallow output before or behind it makes no branch look early."""

    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.planted = ZOO_STYLES["payload where"](grey("cnn"))
            self.shallow = nn.Linear(784, 10)

        def forward(self, x):
            pair = (self.planted(x), self.shallow(x.flatten(1)))
            return pair if first else pair[::-1]

    alone = count(ZOO_STYLES["payload where"](grey("cnn")).eval(), GREY, free=True)
    assert count(seeded(Beside), GREY, free=True) == alone
