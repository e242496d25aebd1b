"""The data flow of a program: sizes for one sample, what is computed from what, and writes in place followed."""

import pytest
import torch
from torch import nn

from gate.programs.dataflow.build import graph_of
from gate.programs.dataflow.flow import Flow
from gate.records.errors import UnexaminableError
from tests.graphs.exporting import exported


class Written(nn.Module):
    """Overwrites part of a tensor through a view, and reads the tensor by its old name."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(12, 4)

    def forward(self, x):
        """Map (N, 1, 3, 4) to logits (N, 4)."""
        logits = self.layer(x.flatten(1)).clone()
        logits[:, 1] = x.amax((1, 2, 3))
        return logits * 2


@pytest.mark.parametrize("free", [True, False])
def test_sizes_are_those_of_one_sample(free):
    """Whatever batch the export was made with."""
    graph = graph_of(exported(nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).eval(), (1, 3, 4), free=free))
    assert [entry.size for entry in graph.inputs] == [12]
    assert sorted(entry.size for entry in graph.state) == [4, 48]
    assert [item.size for item in graph.values if item.operator == "linear"] == [4]


def test_what_is_written_in_place_reaches_who_reads_the_old_name():
    """The output depends on the maximum that was written into a view of the logits."""
    graph = graph_of(exported(Written().eval(), (1, 3, 4)))
    flow = Flow.of(graph)
    above = flow.ancestors(flow.outputs[0], 0)
    assert {"amax", "linear", "written"} <= {flow.values[vertex].operator for vertex in above}


def test_a_graph_whose_operators_disagree_is_refused():
    """An operator that fails on a black image ends the look at the graph with its place."""
    program = exported(nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).eval(), (1, 3, 4))
    weight = next(entry.name for entry in program.state if entry.qualified_name.endswith("weight"))
    program.tensors[weight] = torch.zeros(4, 13)
    with pytest.raises(UnexaminableError, match=r"cannot be worked out at nodes\[1\]"):
        graph_of(program)


def test_dominators_lie_on_every_way():
    """The nearest common dominator of two branches is where they part."""
    net = Written().eval()
    flow = Flow.of(graph_of(exported(net, (1, 3, 4))))
    for vertex in range(1, len(flow)):
        parent = flow.dominators.immediate(vertex)
        if parent:
            reached, waiting = {0}, [0]
            while waiting:
                source = waiting.pop()
                for user in range(1, len(flow)):
                    if source in flow.before[user] and user != parent and user not in reached:
                        reached.add(user)
                        waiting.append(user)
            assert vertex not in reached
