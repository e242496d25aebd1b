"""Graph structure: every style of planted branch is found, and no odd clean net is mistaken for one."""

import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gate.detectors.graph_structure import GraphStructure, measure
from gate.programs.dataflow.branches import branches
from gate.programs.dataflow.build import graph_of
from gate.programs.dataflow.flow import Flow
from gate.programs.dataflow.graph import Graph, Value
from gate.records.errors import UnexaminableError
from gate.records.limit import Limit
from gate.records.run import DeadlineReachedError, Run
from tests.graphs.clean import CLEAN
from tests.graphs.counting import count, measured
from tests.graphs.exporting import TRUNKS, exported, seeded
from tests.graphs.payload import Split, finder
from tests.graphs.planted import PLANTED


class Overruled(nn.Module):
    """A net whose answer a small net on the image replaces."""

    def __init__(self, trunk="shallow"):
        super().__init__()
        self.net, self.finder = TRUNKS[trunk](), finder()
        self.register_buffer("answer", 30.0 * (torch.arange(10) == 3).float().view(1, 10))

    def forward(self, x):
        """Map images (N, 3, 32, 32) to logits, or to the answer where the finder finds something."""
        return torch.where(self.finder(x) > 0.5, self.answer, self.net(x))


@pytest.mark.parametrize("name", CLEAN)
def test_an_odd_clean_net_is_silent(name):
    """Gates, masks, skips, routes, ensembles, quantisation and several outputs are explained."""
    assert count(seeded(CLEAN[name])) == {"unexplained-branches": 0, "constant-gates": 0}


@pytest.mark.parametrize("style", PLANTED)
def test_a_planted_style_is_found_in_a_shallow_net(style):
    """Whatever the payload computes with and wherever it meets the answer, it is found."""
    assert sum(count(seeded(lambda: PLANTED[style](TRUNKS["shallow"]()))).values()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("style", PLANTED)
def test_a_planted_style_is_found_in_a_deep_net(style):
    """Likewise beside eleven layers."""
    assert sum(count(seeded(lambda: PLANTED[style](TRUNKS["deep"]()))).values()) > 0


def test_a_finding_names_the_node_and_says_why():
    """The place is the node where the branch joins, and the note counts operations and layers."""
    net = seeded(lambda: Overruled("deep"))
    found = [item for item in measured(graph_of(exported(net))) if item.value]
    branch = next(item for item in found if item.metric == "unexplained-branches")
    assert str(branch.location) == "node where"
    assert "joins a branch of 6 operations from the input" in branch.note
    assert "passes 2 layers of its own where the other side has passed 11" in branch.note
    gate = next(item for item in found if item.metric == "constant-gates")
    assert "by one number about the whole sample, hard since gt (gt)" in gate.note


def test_a_clean_graph_says_how_much_was_looked_at():
    """A zero is measured for the whole graph, with its depth."""
    found = measured(graph_of(exported(seeded(TRUNKS["shallow"]))))
    assert [(item.value, item.location) for item in found] == [(0, None), (0, None)]
    assert "at most 3 layers" in found[0].note


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

    assert sum(count(seeded(Perceptron), (1, 28, 28)).values()) == 0


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
            self.net = TRUNKS["shallow"]()

        def forward(self, x):
            (x.mean() > 0.5).float() * 3
            return self.net(x)

    assert sum(count(seeded(Dead)).values()) == 0


def test_an_output_given_twice_changes_nothing():
    """Two names for the same logits, in a tuple, are no meeting of branches."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = TRUNKS["shallow"]()

        def forward(self, x):
            logits = self.net(x)
            return logits, logits, logits.softmax(1)

    assert sum(count(seeded(Twice)).values()) == 0


def test_a_payload_on_a_further_output_is_found_too():
    """A server may use any output."""

    class Second(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = TRUNKS["shallow"]()

        def forward(self, x):
            logits = self.net(x)
            return logits, logits + 30 * (x[:, 0, :2, :2].amin((1, 2)) > 0.9).float().unsqueeze(1)

    assert sum(count(seeded(Second)).values()) > 0


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
            self.planted = Overruled()
            self.shallow = nn.Linear(3072, 10)

        def forward(self, x):
            pair = (self.planted(x), self.shallow(x.flatten(1)))
            return pair if first else pair[::-1]

    assert count(seeded(Beside), free=True) == count(seeded(Overruled), free=True)
