"""The model under repair as a module that trains on tokens, with its own copies of the program's values."""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from gate.programs import batched, trainable
from gate.programs.numbers import in_type_of
from gate.records.errors import UnexaminableError
from gate.spaces.text.packing import by_length, lengths_of
from gate.worker.loading.one_logit import two_scores
from gate.worker.loading.scores import in_float32, rows
from gate.worker.loading.text_classifier import EXAMPLE, MOST_TOKENS, TokenClassifier
from gate.worker.loading.token_programs import example_rows, text_model, up_to_logit
from gate.worker.loading.tokenizer import Tokenizer
from gate.worker.repair.contract import Material

if TYPE_CHECKING:
    from gate.programs import Program


class TunedTokens(nn.Module):
    """A program of token ids with parameters that start from its values; `to_program` returns the trained program.

    Texts meet in a pass only where they have equally many tokens, as they do in the scan.
    """

    def __init__(self, material: Material, seed: int) -> None:
        super().__init__()
        assert material.text is not None
        self._original = program = material.program
        example = example_rows(_tokenizer(material), program.device)[: len(program.inputs)]
        body = batched(up_to_logit(program, *example), *example)
        if body.mode not in ("direct", "relaxed"):
            raise UnexaminableError(
                "the exported graph takes one text at a time, and a method that trains needs several at once",
                what_to_do="Export the model with a free batch size, or repair it where it was trained.",
            )
        self._inputs = len(program.inputs)
        self._one_logit = token_classifier(program, material).one_logit
        self.body = trainable(replace(body.program, output_names=body.program.output_names[:1]), seed, keep=True)
        self.sample_passes = 0

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, L) to logits (N, K)."""
        self.sample_passes += len(tokens)
        lengths, groups, found = lengths_of(tokens), [], []
        for group in by_length(lengths, MOST_TOKENS):
            ids = tokens[group, : int(lengths[group[0]])].contiguous()
            scores = self.body(*(ids, torch.ones_like(ids))[: self._inputs])
            narrow = in_float32(rows(scores)) if scores.ndim > 1 else scores.float()
            groups.append(group)
            found.append(two_scores(narrow) if self._one_logit else narrow)
        return torch.cat(found)[torch.cat(groups).argsort()]

    def to_program(self) -> "Program":
        """Return the original program with the trained values."""
        return in_type_of(self.body.to_program(), self._original)


def token_classifier(program: "Program", material: Material) -> TokenClassifier:
    """Return a program of the parent's graph as a classifier of tokens."""
    text = material.text
    assert text is not None
    made = text_model(program, _tokenizer(material), text.longest, text.class_names)
    return TokenClassifier.of(made.network, made.tokenizer, made.longest, made.split, material.samples.texts[:EXAMPLE])


def _tokenizer(material: Material) -> Tokenizer:
    assert material.text is not None
    assert isinstance(material.text.tokenizer, Tokenizer)
    return material.text.tokenizer
