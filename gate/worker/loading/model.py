"""The candidate's model as its files give it: a program of a strict reader, or layers that library code composes.

Between the candidate and the subject. No samples and no forward pass here; what cannot be read is an UnexaminableError.
"""

from dataclasses import dataclass

import torch

from gate.formats.log_again import CALL
from gate.programs import Program, read_program
from gate.programs.dataflow.build import graph_of
from gate.programs.dataflow.graph import Graph
from gate.programs.readers.pt2.tensors import refuse_non_finite
from gate.records.errors import UnexaminableError
from gate.records.evidence import Assurance, ModelFacts
from gate.worker.loading.candidate import Candidate
from gate.worker.loading.modules import load_library_module

_COMPOSED = "The candidate brings no graph: its layers are composed by the code of torch alone."


@dataclass(frozen=True)
class Model:
    """What was read, by which level of assurance, and its graph where there is one."""

    body: Program | torch.nn.Module
    assurance: Assurance
    facts: ModelFacts
    graph: Graph | None = None

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """The shape of one input where the program states it."""
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
    if candidate.format == "pt2":
        program = read_program(candidate.path).to(device)
        refuse_non_finite(program.parameters)
        count = sum(tensor.numel() for tensor in program.parameters.values())
        return Model(program, "A", facts.model_copy(update={"parameters": count}), _graph(program))
    module = load_library_module(candidate.path)
    if module is None:
        raise UnexaminableError(
            "the model is a pickle that does not load as library layers alone; loading it otherwise would run its code",
            what_to_do=f"Log it again with {CALL}; one of library layers alone, with torch.save's own protocol and zip "
            "format.",
        )
    refuse_non_finite(dict(module.named_parameters()))
    return _module(module, facts, device)


def _graph(program: Program) -> Graph:
    """Return the program's graph, or one that says why its sizes cannot be worked out."""
    try:
        return graph_of(program)
    except UnexaminableError as error:
        return Graph(refused=str(error))


def _module(module: torch.nn.Module, facts: ModelFacts, device: str) -> Model:
    count = sum(parameter.numel() for parameter in module.parameters())
    return Model(module.to(device), "A", facts.model_copy(update={"parameters": count}), Graph(composed=_COMPOSED))
