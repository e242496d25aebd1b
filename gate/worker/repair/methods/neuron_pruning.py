"""Neuron pruning: takes from the last layer, one after another, the features by which the inverted trigger works.

A feature's part in the trigger is (w_tj - mean_k w_kj) · (a_j(triggered) - a_j(clean)): by how much more it raises the
target than the average class. From the greatest part down its column of the last layer becomes zero, until the
trigger no longer works, or clean accuracy on the samples given would fall by more than the bound. Both are
computed from the features alone, so that a step costs no pass through the model.

Needs     An inverted trigger, and a last linear layer.
Fits      Backdoors with neurons of their own in the last layer, such as small patches on wide networks.
Blind to  Backdoors whose features the clean task uses too (few features, warps, blends): the accuracy bound stops it
          early; whatever the inverted trigger does not imitate; pruning-aware attacks.
See       Wang et al., "Neural Cleanse", IEEE S&P 2019, section VI-B, which ranks by the difference of activations; the
          weights of the last layer are added here, for features that may be negative. Liu, Dolan-Gavitt and Garg,
          "Fine-Pruning", RAID 2018, section 4 (the accuracy bound).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from gate.records.declarations import Options
from gate.records.errors import UnexaminableError
from gate.records.run import Run
from gate.worker.repair.contract import Material, Method, Need, Repaired

if TYPE_CHECKING:
    import torch

    from gate.records.evidence import Location
    from gate.spaces.subject import Head
    from gate.worker.loading.program_classifier import ProgramClassifier


class NeuronPruning(Options):
    """When pruning ends."""

    accuracy_bound: float = Field(default=0.02, ge=0, le=1)
    """Clean accuracy on the samples given that may be lost."""
    success_wanted: float = Field(default=0.02, ge=0, le=1)
    """Success of the inverted triggers at which it is enough."""
    most: float = Field(default=0.8, gt=0, le=1)
    """Share of the features that may be pruned."""


@dataclass(frozen=True)
class _Driven:
    """What one trigger does to the features of samples that it is to move."""

    target: int
    features: "torch.Tensor"
    """(M, D), of the triggered samples."""
    parts: "torch.Tensor"
    """(D,), each feature's part in the rise of the target."""


def repair(material: Material, options: NeuronPruning, run: Run) -> Repaired:
    """Zero columns of the last layer in the order of their part in the triggers."""
    from gate.programs import final_linear
    from gate.worker.loading.head import head_of_program
    from gate.worker.repair.layers import named, with_tensors

    program, classifier = material.program, _classifier(material)
    head, final = head_of_program(program), final_linear(program)
    if head is None or final is None:
        raise UnexaminableError("no last linear layer was found whose columns could be pruned")
    columns, success, lost = _chosen(material, classifier, head, options, run)
    name = named(program, final.weight)
    weight = program.tensors[name].detach().clone()
    if final.rows_are_classes:
        weight[:, columns] = 0
    else:
        weight[columns] = 0
    changed: dict[str, float | int | str] = {
        "features pruned": len(columns),
        "of features": head.weight.shape[1],
        "which": ", ".join(map(str, columns))[:2000],
        "trigger success left on the samples given": round(success, 4),
        "accuracy lost on the samples given": round(lost, 4),
    }
    return Repaired(with_tensors(program, {name: weight}), changed, classifier.sample_passes)


def _classifier(material: Material) -> "ProgramClassifier":
    from gate.worker.loading.program_classifier import ProgramClassifier

    example = material.samples.inputs[:4]
    return ProgramClassifier.of(material.program, example, material.preprocessing, material.bounds)


def _chosen(
    material: Material, classifier: "ProgramClassifier", head: "Head", options: NeuronPruning, run: Run
) -> tuple[list[int], float, float]:
    """Return the columns to prune, and trigger success and accuracy lost on the samples given."""
    import torch

    labels = material.samples.labels
    assert labels is not None
    clean = _features(classifier, material.samples.inputs, run)
    driven = [_driven(material, place, classifier, head, clean, run) for place in material.triggers]
    order = torch.stack([one.parts / one.parts.abs().max().clamp_min(1e-12) for one in driven]).amax(dim=0)
    ranked = [index for index in order.argsort(descending=True).tolist() if order[index] > 0]
    weight = head.weight.detach().clone()

    def right() -> float:
        return float(((clean @ weight.T + head.bias).argmax(dim=1) == labels).float().mean())

    def moved() -> float:
        return max(
            float(((one.features @ weight.T + head.bias).argmax(dim=1) == one.target).float().mean()) for one in driven
        )

    start = right()
    best: tuple[list[int], float, float] = ([], moved(), 0.0)
    for number, column in enumerate(ranked[: int(options.most * weight.shape[1])], start=1):
        if best[1] <= options.success_wanted:
            break
        weight[:, column] = 0
        lost = start - right()
        if lost > options.accuracy_bound:
            break
        best = (ranked[:number], moved(), lost)
    return best


def _driven(  # one call, in the function above
    material: Material,
    place: "Location",
    classifier: "ProgramClassifier",
    head: "Head",
    clean: "torch.Tensor",
    run: Run,
) -> _Driven:
    """Return what the trigger at a place does to the features, given those of all clean samples (N, D)."""
    from gate.worker.repair.measuring import movable

    target, trigger = place.class_index, material.triggers[place]
    assert target is not None
    assert material.samples.labels is not None
    rows = movable(material.samples.labels, place)
    if not len(rows):
        raise UnexaminableError(f"none of the samples could be moved by the trigger at {place}")
    features = _features(classifier, trigger.apply(material.samples.inputs[rows]), run)
    lead = head.weight[target] - head.weight.mean(dim=0)
    return _Driven(target, features, lead * (features - clean[rows]).mean(dim=0))


def _features(classifier: "ProgramClassifier", inputs: "torch.Tensor", run: Run) -> "torch.Tensor":
    """Return what enters the last layer (N, D) for raw inputs (N, C, H, W)."""
    import torch

    found = []
    with torch.no_grad():
        for chunk in torch.split(inputs, run.max_batch):
            run.check_time()
            found.append(classifier.activations(chunk)[1])
    return torch.cat(found)


METHOD = Method(
    id="neuron-pruning",
    title="Pruning of the neurons that the trigger drives",
    needs=Need.TRIGGERS | Need.HEAD,
    cost=2,
    options=NeuronPruning,
    repair=repair,
)
