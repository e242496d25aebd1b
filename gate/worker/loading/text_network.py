"""A program of two inputs, token ids and their mask, as a `Network`, with the state that a fingerprint covers."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import torch

from gate.programs import Batched, Program, final_linear
from gate.records.errors import UnexaminableError
from gate.worker.loading.scores import flat


class Runs(Protocol):
    """A program, or one that takes batches in a way that was proved."""

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, /) -> Any:
        """Return the first output, or a tuple of all where there are several."""
        ...

    def run(
        self, ids: torch.Tensor, mask: torch.Tensor, /, *, taps: Collection[str]
    ) -> tuple[tuple[Any, ...], Mapping[str, torch.Tensor]]:
        """Return all outputs, and values of the graph by name."""
        ...


class ProgramNetwork:
    """A network that is a program."""

    def __init__(self, program: Program, runs: Runs | None = None, *, squashed: bool = False) -> None:
        """Take a program of one output, and what runs it if that is not the program itself.

        `squashed`: its output is the logit of the one probability that is served.
        """
        if len(program.output_names) != 1:
            raise UnexaminableError(
                f"the program of a text classifier has {len(program.output_names)} outputs; one of scores is judged",
                what_to_do="Export the network so that it returns the class scores alone.",
            )
        self._program, self._runs, self.squashed = program, program if runs is None else runs, squashed
        self._head = final_linear(program)
        self.feature_layer = f"{self._head.weight} ({self._head.num_features} features)" if self._head else ""

    @property
    def only_alone(self) -> bool:
        """Whether texts ran one at a time, and a consumer may run them together."""
        return bool(getattr(self._runs, "only_alone", False))

    @property
    def body(self) -> Batched | None:
        """The program in batches; None where it runs in another way."""
        return getattr(self._runs, "body", None)

    def logits(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        return _tensor(self._runs(ids, mask))

    def activations(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and what enters the last layer, positions averaged."""
        assert self._head is not None
        outputs, tapped = self._runs.run(ids, mask, taps=[self._head.features])
        return _tensor(outputs[0]), flat(tapped[self._head.features])

    def state(self) -> Mapping[str, torch.Tensor]:
        """Return parameters, buffers and constants by their names in the graph."""
        return self._program.tensors


def _tensor(scores: object) -> torch.Tensor:
    if not isinstance(scores, torch.Tensor):
        raise UnexaminableError(
            f"the network returns a {type(scores).__name__:.100}; expected one tensor of class scores"
        )
    return scores
