"""The last linear layer of a candidate as weights by class."""

import torch

from gate.programs import Program, final_linear
from gate.spaces.subject import Classifier, Head
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.one_logit import two_scores


def head_of_program(program: Program) -> Head | None:
    """Return the head that the graph ends in, or None; no input is needed."""
    found = final_linear(program)
    if found is None:
        return None
    state = {**program.constants, **program.buffers, **program.parameters}
    weight = state[found.weight].detach().float().reshape(state[found.weight].shape[:2])
    bias = weight.new_zeros(found.num_classes)
    if found.bias is not None:
        bias = state[found.bias].detach().float().reshape(-1)
    by_class = weight if found.rows_are_classes else weight.T
    return _head(by_class, bias, found.weight) if len(bias) == found.num_classes else None


def head_of_module(classifier: Classifier) -> Head | None:
    """Return the linear layer of a module whose input the classifier's activations are, or None."""
    if not isinstance(classifier, ModuleClassifier) or not classifier.feature_layer:
        return None
    layer = classifier.module.get_submodule(classifier.feature_layer)
    assert isinstance(layer, torch.nn.Linear)
    weight = layer.weight.detach().float()
    bias = layer.bias.detach().float() if layer.bias is not None else weight.new_zeros(len(weight))
    return _head(weight, bias, f"{classifier.feature_layer}.weight")


def _head(weight: torch.Tensor, bias: torch.Tensor, layer: str) -> Head:
    """Return rows and biases by class; a layer of one logit z has the rows of the scores -z/2 and z/2."""
    if len(weight) == 1:
        return Head(two_scores(weight.T).T, two_scores(bias.reshape(1, 1)).reshape(-1), layer)
    return Head(weight, bias, layer)
