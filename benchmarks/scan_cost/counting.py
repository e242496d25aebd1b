"""Counts the operations of a scan, detector by detector, while the worker's own loop runs it in this process.

Between cases and tables. An operation is a multiplication or an addition of a convolution, a product of matrices or an
attention, as torch's counter counts them, wherever it is asked for: forward or backward, by the candidate, by a
reference or by the gate. What is done element by element is counted on neither side of the ratio.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from gate.records.artifact import Artifact
from gate.records.errors import CannotFinishError
from gate.records.evidence import Failed, Measured, Skipped
from gate.records.job import ScanJob
from gate.records.record import Record
from gate.records.run import Run
from gate.spaces.subject import Classifier, Subject
from gate.worker import compute
from gate.worker.loading.loaded import Loaded
from gate.worker.loading.subject import load_subject
from gate.worker.loop import Scanned, Scope, scan
from gate.worker.roles import reads_files_only

READING, REFERENCES = "reading", "references"
"""Names of what runs before the first detector: how the candidate takes batches and answers all samples, and the same
of the bank's programs on some samples."""


class Unit(Record):
    """Operations of the candidate on one sample of its declared size."""

    forward: int
    gradient: int
    """Of the way back to the input."""

    def equivalents(self, operations: int) -> float:
        """Return operations as passes forward and back to the input."""
        return operations / (self.forward + self.gradient)


class Spent(Record):
    """What one detector took."""

    name: str
    passes: int
    """Samples through the candidate, the references and versions, forward, as the gate counts them."""
    operations: int
    skipped: str = ""
    """Reason why it did not measure."""


class Costs(Record):
    """What a scan took."""

    classes: int
    references: int
    unit: Unit
    spent: tuple[Spent, ...]


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))  # type: ignore[no-untyped-call]


_ON_CPU: dict[Any, Callable[..., int]] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,  # noqa: SLF001  # an operator's name
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,  # noqa: SLF001
}
"""Attention as a CPU runs it, which torch's counter does not know; by the formulas that it has for a GPU's."""


def counter() -> FlopCounterMode:
    """Return a context that counts the operations of whatever runs in it."""
    return FlopCounterMode(display=False, custom_mapping=_ON_CPU)


def unit_of(classifier: Classifier, inputs: torch.Tensor) -> Unit:
    """Return the operations of one raw input (N, C, H, W), N at least 1, forward, and back to the input."""
    return unit_of_net(classifier.logits, inputs)


def unit_of_net(net: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor) -> Unit:
    """Return the same for any function from inputs to logits (N, K)."""
    x = inputs[:1].detach().clone().requires_grad_()
    with torch.enable_grad(), counter() as forward:
        logits = net(x)
    with counter() as backward:
        torch.autograd.grad(logits.sum(), x)
    return Unit(forward=forward.get_total_flops(), gradient=backward.get_total_flops())


def costs_of(job: ScanJob) -> Costs:
    """Do a scan worker's job in this process, without a deadline, and return what each detector took.

    A model that cannot be examined, and a detector that fails, are a `CannotFinishError`: they would seem cheap.
    """
    with counter() as operations:
        alone = _begun(job.model_copy(update={"bank": None}))[0].subject
    reading = Spent(name=READING, passes=_passes(alone), operations=operations.get_total_flops())
    with counter() as operations:
        loaded, run = _begun(job)
        subject = loaded.subject
        ledger = _Ledger(operations, [reading], reading.operations)
        ledger.note(REFERENCES, _passes(subject) - reading.passes)
        scope = Scope(
            runs=lambda detector: not reads_files_only(detector),
            absence="",
            classes=loaded.facts.classes,
            training_absence=loaded.training_absence,
            previous_absence=loaded.previous_absence,
            save=ledger.file,
        )
        scan(subject, job.policy, run, scope, Scanned())
    assert alone.classifier is not None
    assert alone.samples is not None
    return Costs(
        classes=alone.classifier.num_classes,
        references=len(subject.references),
        unit=unit_of(alone.classifier, alone.samples.inputs),
        spent=tuple(ledger.spent),
    )


def _begun(job: ScanJob) -> tuple[Loaded, Run]:
    """Return the job's subject, of which everything could be read, and its run, before any detector."""
    artifact = Artifact(job.model, Path(job.root), job.manifest)
    loaded = load_subject(artifact, job, job.policy.samples.of(job.model.name), "cpu")
    if loaded.problems or loaded.subject.classifier is None or not all(one.used for one in loaded.references):
        said = " ".join([*loaded.problems, *(one.why for one in loaded.references)])
        raise CannotFinishError(f"the case cannot be examined as it should be: {said}")
    return loaded, compute.run_of(job, "cpu", loaded.subject.classifier, loaded.subject.samples)


def _passes(subject: Subject) -> int:
    """Return the samples that went through the candidate and the references so far."""
    assert subject.classifier is not None
    return sum(classifier.sample_passes for classifier in (subject.classifier, *subject.references))


@dataclass
class _Ledger:
    """Who took what, by the counter's state after each detector."""

    operations: FlopCounterMode
    spent: list[Spent]
    counted: int
    """Operations of what is in `spent`."""

    def file(self, scanned: Scanned) -> None:
        """Note the detector that has just ended."""
        name, outcome = list(scanned.outcomes.items())[-1]
        match outcome:
            case Measured():
                self.note(name, outcome.sample_passes)
            case Skipped():
                self.note(name, 0, outcome.reason)
            case Failed():
                raise CannotFinishError(f"{name} failed: {outcome.error}")

    def note(self, name: str, passes: int, skipped: str = "") -> None:
        """Note what was counted since the last time."""
        total = self.operations.get_total_flops()
        self.spent.append(Spent(name=name, passes=passes, operations=total - self.counted, skipped=skipped))
        self.counted = total
