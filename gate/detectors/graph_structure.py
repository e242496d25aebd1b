"""Looks in the exported graph for what no classifier has: a way past its layers, a switch, a constant put in.

Measures  unexplained-branches: values that go from the input to the logits past the bulk of the layers, for none of the
          reasons that a classifier has. constant-gates: places where a few numbers about the whole sample, compared
          with constants, switch the answer or insert a constant pattern.
Matters   A payload or a planted line of code waits behind a hard threshold, where no gradient finds it; in the graph it
          must still leave the input, bypass the features and join the answer.
Blind to  What is trained into the net's own layers; a second net as deep and as large as the first that merely adds to
          its answer; detectors fed from deep features. Unequal ensembles, early exits and mixtures of whole nets are
          found, and are for a person to judge.
See       Bober-Irizarry et al., "Architectural Backdoors in Neural Networks", CVPR 2023.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.formats.hazards import printable
from gate.records.declarations import Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement
from gate.records.run import Run
from gate.spaces.subject import Subject

if TYPE_CHECKING:
    from gate.programs.dataflow.branches import Branch
    from gate.programs.dataflow.flow import Flow
    from gate.programs.dataflow.gates import Gate

_MAX_NAME = 80


class GraphStructure(Options):
    """Settings of what is named."""

    named: int = Field(default=32, ge=1, le=1000)
    """The most nodes that are named per metric; all count."""


def measure(subject: Subject, options: GraphStructure, run: Run) -> Iterator[Measurement]:
    """Yield both counts for the whole graph and, node by node, what was found."""
    from gate.programs.dataflow.branches import unexplained
    from gate.programs.dataflow.flow import Flow
    from gate.programs.dataflow.gates import gates

    assert subject.graph is not None
    run.check_time()
    if subject.graph.refused:
        raise UnexaminableError(subject.graph.refused)
    if subject.graph.composed:
        for metric in DETECTOR.metrics:
            yield Measurement(metric=metric.id, value=0, note=subject.graph.composed)
        return
    flows = [Flow.of(replace(subject.graph, outputs=(output,))) for output in dict.fromkeys(subject.graph.outputs)]
    branches = [
        (flow.values[branch.join].name, _branch_note(flow, branch))
        for flow in flows
        for branch in unexplained(flow, run.check_time)
    ]
    yield from _counted("unexplained-branches", flows, branches, options)
    run.check_time()
    switches = [
        (flow.values[gate.vertex].name, _gate_note(flow, gate))
        for flow in flows
        for gate in gates(flow, run.check_time)
    ]
    yield from _counted("constant-gates", flows, switches, options)


def _counted(
    metric: str, flows: Sequence["Flow"], found: Sequence[tuple[str, str]], options: GraphStructure
) -> Iterator[Measurement]:
    """Yield a count with its reasons for each named node, and zero or the count of the others for the whole graph.

    Each output has its own flow, compared with its own depth; what several of them show counts once.
    """
    notes: dict[str, list[str]] = {}
    for node, note in dict.fromkeys(found):
        notes.setdefault(node, []).append(note)
    for node in list(notes)[: options.named]:
        location = Location(kind="node", name=printable(node, _MAX_NAME))
        text = printable(" ".join(notes[node]), 1000)
        yield Measurement(metric=metric, value=len(notes[node]), location=location, note=text)
    others = sum(len(reasons) for reasons in list(notes.values())[options.named :])
    if not found:
        values, layers = max(map(len, flows), default=0), max((flow.layers for flow in flows), default=0)
        output = "the output" if len(flows) < 2 else f"one of {len(flows)} outputs"
        text = f"{values} values lead from the input to {output}, through at most {layers} layers."
        yield Measurement(metric=metric, value=0, note=text)
    elif others:
        yield Measurement(metric=metric, value=others, note="at further nodes")


def _branch_note(flow: "Flow", branch: "Branch") -> str:
    """Return what a branch does, for a person who searches it in the graph."""
    start = "the input" if branch.leaves_at == 0 else f"a value after {branch.leaves_at} of {branch.layers} layers"
    own = f"passes {branch.own_layers} layers of its own" if branch.own_layers else "passes no layer of its own"
    return (
        f"{_node(flow, branch.join)} joins a branch of {len(branch.own)} operations from {start}, ending in "
        f"{_node(flow, branch.operand)}, that {own} where the other side has passed {branch.passed}; "
        f"{branch.left} layers follow, and at most {branch.bottleneck} numbers about a sample come through it."
    )


def _gate_note(flow: "Flow", gate: "Gate") -> str:
    count = flow.bottleneck[gate.switch]
    numbers = "one number" if count == 1 else f"{count} numbers"
    behind = f", hard since {_node(flow, gate.step)}" if gate.step else ""
    effect = "brings a constant pattern in" if gate.constant else "switches the answer"
    return f"{_node(flow, gate.vertex)} {effect} by {numbers} about the whole sample{behind}."


def _node(flow: "Flow", vertex: int) -> str:
    value = flow.values[vertex]
    return f"{printable(value.name, _MAX_NAME)} ({value.operator})"


DETECTOR = Detector(
    id="graph-structure",
    title="Graph structure",
    doing="branches in the program",
    needs=Need.GRAPH,
    metrics=(
        Metric("unexplained-branches", "branches", "higher", "Unexplained ways past the bulk of the layers."),
        Metric("constant-gates", "gates", "higher", "Places where few numbers switch the answer or insert a constant."),
    ),
    options=GraphStructure,
    measure=measure,
)
