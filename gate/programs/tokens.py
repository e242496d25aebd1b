"""Programs of token ids: which tensors they take, and how many tokens of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from gate.programs import advice
from gate.programs.refused import RefusedError

if TYPE_CHECKING:
    from gate.programs.program import Program
    from gate.programs.schema import InputTensor

IDS: Final = "input_ids"
MASK: Final = "attention_mask"
_RANK: Final = 2


def looks_like_tokens(program: Program) -> bool:
    """Tell whether a program takes whole numbers (N, L) alone, as programs of token ids do."""
    return all(len(one.shape) == _RANK and one.dtype == torch.int64 for one in program.inputs)


def named_as_tokens(program: Program) -> bool:
    """Tell whether a program's inputs have the names of token ids, alone or before their mask, whatever they hold."""
    return program.input_names in {(IDS,), (IDS, MASK)}


def _shown(one: InputTensor) -> str:
    """Return an input as a message names it."""
    sizes = ", ".join("any" if size is None else str(size) for size in one.shape)
    return f"{one.name} ({sizes}) as {str(one.dtype).removeprefix('torch.')}"


def require_tokens(program: Program) -> None:
    """Refuse a program that does not take ids (N, L) as int64, alone or before their mask, with any L."""
    shown = ", ".join(map(_shown, program.inputs[:4]))
    names = program.input_names
    if not looks_like_tokens(program) or not 1 <= len(names) <= 2:
        message = f"expected token ids (N, L), or ids and their mask, as int64; it takes {shown}"
        raise RefusedError("inputs", message, what_to_do=advice.AS_INT64)
    if len(names) == 2 and names != (IDS, MASK):
        message = f"of two inputs the first is named {IDS}, the second {MASK}; it takes {shown}"
        raise RefusedError("inputs", message, what_to_do=advice.MASKED)
    if fixed := {one.shape[1] for one in program.inputs} - {None}:
        message = f"every text would have {min(size for size in fixed if size is not None)} tokens; expected any length"
        raise RefusedError("inputs", message, what_to_do=advice.LENGTHS)


def require_length(program: Program, longest: int, largest: int) -> None:
    """Refuse a program that fails on a text of so many tokens, or on the largest id."""
    ids = torch.full((1, longest), largest, dtype=torch.int64, device=program.device)
    given = (ids, torch.ones_like(ids))[: len(program.inputs)]
    try:
        with torch.no_grad():
            program(*given)
    except RefusedError as error:
        message = (
            f"its tokenizer gives up to {longest} tokens of a text and ids up to {largest}, with which the program "
            f"fails: {error.what}"
        )
        raise RefusedError(error.where, message, what_to_do=advice.TRUNCATION) from None
