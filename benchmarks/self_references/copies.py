"""One copy of a candidate: its graph with weights drawn anew, trained on the clean samples with its soft labels.

The candidate answers for each augmented sample itself, so that a copy learns its answers and not those for an image two
pixels away. What a trigger would make of an image the copy never sees.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from gate.programs.training import TrainableProgram, trainable
from gate.records.errors import UnexaminableError
from gate.spaces.subject import Samples
from gate.worker.loading.program_classifier import ProgramClassifier

EXAMPLE = 4
"""So many samples decide how the copy takes batches, as for candidates."""


@dataclass(frozen=True)
class Training:
    """How a copy is trained."""

    steps: int = 200
    batch: int = 32
    learning_rate: float = 0.004
    weight_decay: float = 5e-4
    shift: int = 2
    """The most pixels by which a batch is moved each way."""
    noise: float = 0.04
    """Standard deviation, as a share of the input's range."""


@dataclass(frozen=True)
class Copy:
    """A trained copy and how near it came to the candidate."""

    classifier: ProgramClassifier
    agreement: float
    """Share of the clean samples for which it names the candidate's class; it has seen them."""
    loss: float
    """Mean cross-entropy with the candidate's answers over the last tenth of the steps, less their own entropy."""
    passes: int
    """Samples that went through either model, forward, or forward and backward, which counts as three."""


def train(candidate: ProgramClassifier, samples: Samples, seed: int, training: Training) -> Copy:
    """Return one copy, drawn and trained by a seed; a program that takes no batches is an `UnexaminableError`."""
    if candidate.body.mode not in {"direct", "relaxed"}:
        raise UnexaminableError(f"the program takes batches {candidate.body.mode}; expected one that can be trained")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout draws from torch's own numbers
        module = trainable(candidate.body.program, seed)
        losses = _fit(module, candidate, samples, seed, training)
    program = module.eval().to_program()
    copy = ProgramClassifier.of(program, samples.inputs[:EXAMPLE], candidate.preprocessing, candidate.bounds)
    last = losses[-max(1, len(losses) // 10) :]
    agreement = _agreement(candidate, copy, samples)
    return Copy(copy, agreement, sum(last) / len(last), training.steps * training.batch * 4)


def _fit(
    module: TrainableProgram, candidate: ProgramClassifier, samples: Samples, seed: int, training: Training
) -> list[float]:
    """Train in place with a one-cycle learning rate and return the divergence from the candidate at each step."""
    generator = torch.Generator().manual_seed(seed)
    parameters = list(module.parameters())
    optimiser = torch.optim.AdamW(parameters, training.learning_rate, weight_decay=training.weight_decay, foreach=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, training.learning_rate, total_steps=training.steps, cycle_momentum=False
    )
    losses = []
    for _ in range(training.steps):
        rows = torch.randint(len(samples.inputs), (training.batch,), generator=generator)
        inputs = augmented(samples.inputs[rows], candidate.bounds, training, generator)
        with torch.no_grad():
            answers = candidate.logits(inputs).log_softmax(dim=1)
        scores = module(candidate.preprocessing(inputs)).log_softmax(dim=1)
        loss = functional.kl_div(scores, answers, reduction="batchmean", log_target=True)
        if not torch.isfinite(loss):
            raise UnexaminableError("training diverged")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 2.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses


def augmented(
    inputs: torch.Tensor, bounds: tuple[float, float], training: Training, generator: torch.Generator
) -> torch.Tensor:
    """Return a batch (N, C, H, W), each image moved by some pixels over a repeated edge, with noise, within bounds."""
    reach, (height, width) = training.shift, inputs.shape[2:]
    padded = functional.pad(inputs, (reach, reach, reach, reach), mode="replicate")
    moves = torch.randint(0, 2 * reach + 1, (len(inputs), 2), generator=generator).tolist()
    moved = torch.stack([
        image[:, down : down + height, right : right + width]
        for image, (down, right) in zip(padded, moves, strict=True)
    ])  # fmt: skip
    noise = torch.randn(moved.shape, generator=generator) * training.noise * (bounds[1] - bounds[0])
    return (moved + noise).clamp(*bounds)


def _agreement(candidate: ProgramClassifier, copy: ProgramClassifier, samples: Samples) -> float:
    with torch.no_grad():
        pairs = [
            copy.logits(chunk).argmax(dim=1) == candidate.logits(chunk).argmax(dim=1)
            for chunk in torch.split(samples.inputs, 256)
        ]
    return float(torch.cat(pairs).float().mean())
