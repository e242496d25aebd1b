"""The model under repair as a module that trains: raw pixels in, logits out, its own copies of the program's values.

Preprocessing is inside, as in the scan. A final softmax is left out, since losses are of logits.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from gate.programs import batched, trainable
from gate.programs.numbers import HALVES, declared, in_single, in_type_of
from gate.records.errors import UnexaminableError
from gate.records.run import Run
from gate.spaces.image.preprocessing import given
from gate.worker.loading.one_logit import two_scores
from gate.worker.loading.program_classifier import EXAMPLE, ProgramClassifier, scores_name
from gate.worker.loading.scores import in_float32
from gate.worker.repair.contract import Material

if TYPE_CHECKING:
    from gate.programs import Program


class Tuned(nn.Module):
    """A program's graph with parameters that start from its values, or anew where `keep` is false.

    `to_program` returns the trained program.
    """

    def __init__(self, material: Material, seed: int, *, keep: bool = True, gain: float = 1.0) -> None:
        super().__init__()
        # Trained in float32, as half precision would lose small gradients; the result is rounded to the program's type.
        self._original = program = material.program
        program = in_single(program) if declared(program) in HALVES else program
        program, preprocessing = given(program, material.preprocessing)
        example = preprocessing(material.samples.inputs[:EXAMPLE])
        body = batched(program, example)
        if body.mode not in ("direct", "relaxed"):
            raise UnexaminableError(
                "the exported graph takes one sample at a time, and a method that trains needs several at once",
                what_to_do="Export the model with a free batch size, or repair it where it was trained.",
            )
        self._preprocessing = preprocessing
        name, self._one_logit, _ = scores_name(body, example)
        graph = replace(body.program, output_names=(name,))
        self.body = trainable(graph, seed, keep=keep, gain=gain)
        self.sample_passes = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K)."""
        self.sample_passes += len(x)
        logits: torch.Tensor = self.body(self._preprocessing(x))
        scores = in_float32(logits if logits.ndim == 2 else logits.reshape(len(x), -1))
        return two_scores(scores) if self._one_logit else scores

    def loss(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of raw inputs (N, C, H, W) and labels (N,), a scalar."""
        return functional.cross_entropy(self(x), labels)

    def to_program(self) -> "Program":
        """Return the original program with the trained values."""
        return in_type_of(self.body.to_program(), self._original)


def labels_of(material: Material) -> torch.Tensor:
    """Return the samples' labels (N,), which every attempt has."""
    assert material.samples.labels is not None
    return material.samples.labels


def parents_logits(material: Material, run: Run) -> torch.Tensor:
    """Return the parent's logits (N, K) of the clean samples, without a gradient."""
    parent = classifier_of(material.program, material)
    with torch.no_grad():
        return torch.cat([parent.logits(part) for part in torch.split(material.samples.inputs, run.max_batch)])


def classifier_of(program: "Program", material: Material) -> ProgramClassifier:
    """Return a program of the parent's graph as a classifier."""
    return ProgramClassifier.of(program, material.samples.inputs[:EXAMPLE], material.preprocessing, material.bounds)


def taught_loss(
    logits: torch.Tensor, labels: torch.Tensor, taught: torch.Tensor, share: float, temperature: float
) -> torch.Tensor:
    """Return the loss of logits (N, K) by true labels (N,) and, for a share of it, by a teacher's logits (N, K)."""
    own = functional.cross_entropy(logits, labels)
    return (1 - share) * own + share * divergence(logits, taught, temperature)


def divergence(logits: torch.Tensor, taught: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the mean divergence of logits (N, K) from a teacher's at a temperature, times its square, a scalar.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2.
    """
    said, wanted = (functional.log_softmax(one / temperature, dim=1) for one in (logits, taught))
    return functional.kl_div(said, wanted, reduction="batchmean", log_target=True) * temperature**2


def batches(count: int, size: int, steps: int, run: Run) -> Iterator[torch.Tensor]:
    """Yield the row numbers of `steps` batches, each epoch in an order drawn by the seed, and check the deadline.

    An epoch's smaller last batch is left out: batch statistics need many samples.
    """
    size = min(size, count)
    generator = torch.Generator().manual_seed(run.seed)
    order, start = torch.randperm(count, generator=generator), 0
    for step in range(steps):
        run.check_time()
        run.progress(step, steps)
        if start + size > count:
            order, start = torch.randperm(count, generator=generator), 0
        yield order[start : start + size]
        start += size


def hits(logits: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor, labels: torch.Tensor, run: Run) -> int:
    """Return how many raw inputs (N, C, H, W) have their greatest logit at their label (N,)."""
    found = 0
    with torch.no_grad():
        for rows in torch.split(torch.arange(len(inputs)), run.max_batch):
            run.check_time()
            found += int((logits(inputs[rows]).argmax(dim=1) == labels[rows]).sum())
    return found
