"""The candidate's model as its files give it: a program of a strict reader, or layers that library code composes.

No samples and no forward pass here; what cannot be read is an UnexaminableError.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from gate.formats.log_again import CALL
from gate.programs import Program, read_program
from gate.programs.dataflow.build import graph_of
from gate.programs.dataflow.graph import Graph
from gate.programs.readers.pt2.tensors import refuse_non_finite
from gate.records.declarations import Space
from gate.records.errors import UnexaminableError
from gate.records.evidence import Assurance
from gate.records.facts import ModelFacts
from gate.worker.loading.candidate import Candidate
from gate.worker.loading.modules import load_library_module
from gate.worker.loading.onnx_models import read_onnx_program
from gate.worker.loading.text_classifier import TextModel

_COMPOSED = "The candidate brings no graph: its layers are composed by the code of torch alone."


@dataclass(frozen=True)
class Model:
    """A model as it was read, its level of assurance, and its graph if there is one."""

    body: Program | torch.nn.Module
    assurance: Assurance
    facts: ModelFacts
    graph: Graph | None = None
    text: TextModel | None = None
    """What a model of tokens has beside its program; None for one of images."""

    @property
    def space(self) -> Space:
        """What it takes."""
        return "images" if self.text is None else "tokens"

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """The shape of one input if the program states it."""
        if not isinstance(self.body, Program) or len(self.body.input_shapes) != 1:
            return None
        return self.body.input_shapes[0][1:]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers by their qualified names."""
        if isinstance(self.body, Program):
            return {**self.body.constants, **self.body.buffers, **self.body.parameters}
        return {**dict(self.body.named_buffers()), **dict(self.body.named_parameters())}


def read_model(candidate: Candidate, device: str) -> Model:
    """Read a candidate of any format that needs none of its own code."""
    facts = ModelFacts(flavour=candidate.flavour, format=candidate.format)
    if candidate.format != "pickle":
        read = read_program if candidate.format == "pt2" else read_onnx_program
        program = read(candidate.path).to(device)
        return replace(_model(program, program.parameters, facts), graph=_graph(program))
    module = load_library_module(candidate.path)
    if module is None:
        raise UnexaminableError(
            "the model is a pickle that does not load as library layers alone; loading it otherwise would run its code",
            what_to_do=f"Log it again with {CALL}; one of library layers alone, with torch.save's own protocol and zip "
            "format.",
        )
    model = _model(module.to(device), dict(module.named_parameters()), facts)
    return replace(model, graph=Graph(composed=_COMPOSED))


def _graph(program: Program) -> Graph:
    """Return the program's graph, or one that says why its sizes cannot be worked out."""
    try:
        return graph_of(program)
    except UnexaminableError as error:
        return Graph(refused=str(error))


def _model(body: Program | torch.nn.Module, parameters: Mapping[str, torch.Tensor], facts: ModelFacts) -> Model:
    refuse_non_finite(parameters)
    count = sum(tensor.numel() for tensor in parameters.values())
    return Model(body, "A", facts.model_copy(update={"parameters": count}))
