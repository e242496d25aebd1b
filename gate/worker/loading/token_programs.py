"""A program of token ids and the tokenizer beside it as a text model: what runs it, and its two halves."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gate.formats.mlflow_folder import LABELS, TOKENIZER
from gate.programs import Batched, Program, batched, deciding, logit_name
from gate.programs.embedding import split_at_embedding
from gate.programs.refused import RefusedError
from gate.programs.tokens import IDS, MASK, require_tokens
from gate.records.class_names import bounded, in_metadata
from gate.records.errors import GateError, UnexaminableError
from gate.records.record import parse_json, read_bounded
from gate.worker.loading.candidate import declared_by
from gate.worker.loading.model import Model
from gate.worker.loading.text_classifier import TextModel
from gate.worker.loading.text_network import ProgramNetwork
from gate.worker.loading.tokenizer import Tokenizer
from gate.worker.served_tokenizer import beside

_ROWS, _LENGTH = 4, 8
_MAX_LABELS = 4 << 20


@dataclass(frozen=True)
class Batches:
    """A program of ids, or of ids and mask, in batches that were proved to keep texts apart."""

    body: Batched

    @property
    def only_alone(self) -> bool:
        """Whether texts ran one at a time, at any length so far, and a consumer may run them together."""
        return self.body.only_alone

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, /) -> Any:
        """Return the first output, or a tuple of all where there are several."""
        return self.body(*self._given(ids, mask))

    def run(
        self, ids: torch.Tensor, mask: torch.Tensor, /, *, taps: Collection[str]
    ) -> tuple[tuple[Any, ...], Mapping[str, torch.Tensor]]:
        """Return all outputs, and values of the graph by name."""
        return self.body.run(*self._given(ids, mask), taps=taps)

    def _given(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (ids, mask)[: len(self.body.program.inputs)]


@dataclass(frozen=True, eq=False)
class Halves:
    """A program's embedding, and what runs the rest of it."""

    matrix: torch.Tensor
    program: Batched


def with_tokenizer(root: Path, model: Model) -> Model:
    """Return a model with the tokenizer that lies beside it, where its program takes token ids."""
    if not isinstance(model.body, Program):
        return model
    program = model.body
    served = beside(root, program)
    if served is None:
        if program.input_names == (IDS, MASK):
            require_tokens(program)
            raise UnexaminableError(
                "its program takes token ids and their mask, and no tokenizer lies beside it",
                what_to_do=f"Log it with extra_files=['tokenizer.json'], which becomes {TOKENIZER}.",
            )
        return model
    return replace(model, text=text_model(program, Tokenizer(served.raw), served.longest, names_beside(root)))


def text_model(program: Program, tokenizer: Tokenizer, longest: int, names: Mapping[int, str]) -> TextModel:
    """Return a program of token ids as a text model; one that takes batches in no proved way is refused.

    Of one that ends in the sigmoid of one number a text, the logit is measured in its place, as of images.
    """
    rows = example_rows(tokenizer, program.device)
    given = rows[: len(program.inputs)]
    judged = up_to_logit(program, *given)
    network = ProgramNetwork(judged, Batches(batched(judged, *given)), squashed=judged is not program)
    return TextModel(network, tokenizer, longest, _halves(judged, tokenizer, rows), names)


def up_to_logit(program: Program, *given: torch.Tensor) -> Program:
    """Return a program up to the logit of its one number a text, proved on examples (N, L); any other as it is."""
    name = logit_name(program) if len(program.output_names) == 1 else None
    if name is None or name not in deciding(batched(program, *given).program, *given):
        return program
    return replace(program, output_names=(name,))


def example_rows(tokenizer: Tokenizer, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a few different ids (N, L) and their mask, on which a program shows how it takes batches."""
    known = [number for number, token in enumerate(tokenizer.vocabulary()) if token and number != tokenizer.padding]
    if not known:
        raise UnexaminableError(
            "its tokenizer has no token but the one that fills a batch up; expected those of words",
            what_to_do="Log the tokenizer that the model was trained with.",
        )
    longest = min(_LENGTH, tokenizer.longest)
    taken = torch.tensor(known, device=device)[torch.arange(_ROWS * longest, device=device) % len(known)]
    ids = taken.reshape(_ROWS, longest)
    return ids, torch.ones_like(ids)


def _halves(program: Program, tokenizer: Tokenizer, rows: tuple[torch.Tensor, torch.Tensor]) -> Halves | None:
    """Return both halves of a program; None where no gradient leads to all that it does with tokens."""
    try:
        split = split_at_embedding(program, tokenizer.padding)
        return Halves(split.matrix, batched(split.program, split.matrix[rows[0]], rows[1]))
    except RefusedError:
        return None


def names_beside(root: Path) -> dict[int, str]:
    """Return the classes' names, by the file beside the tokenizer or the model's metadata; the candidate's own word."""
    try:
        path = root / LABELS
        if path.is_file():
            return bounded(parse_json(read_bounded(path, limit=_MAX_LABELS), what=LABELS, limit=_MAX_LABELS))
        return in_metadata(declared_by(root).top.get("metadata"))
    except (GateError, OSError):
        return {}
