"""How much the check of structure finds in a graph or a net, by metric."""

from types import SimpleNamespace

import torch

from gate.detectors.graph_structure import DETECTOR, GraphStructure, measure
from gate.programs.dataflow.build import graph_of
from gate.records.run import Run
from tests.graphs.exporting import SHAPE, exported


def measured(graph, **options):
    """Return the measurements of a graph."""
    found = list(measure(SimpleNamespace(graph=graph), GraphStructure(**options), Run(seed=0)))
    assert {item.metric for item in found} == {metric.id for metric in DETECTOR.metrics}
    return found


def count(net, shape=SHAPE, *, free=False):
    """Return how much is found in a net, by metric; on one thread, since the nets are small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = measured(graph_of(exported(net, shape, free=free)))
    finally:
        torch.set_num_threads(threads)
    return {metric.id: sum(m.value for m in found if m.metric == metric.id) for metric in DETECTOR.metrics}
