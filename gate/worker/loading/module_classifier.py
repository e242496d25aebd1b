"""A `Classifier` that runs a torch module; a hook, always removed, finds what enters its last linear layer."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch

from gate.programs.numbers import HALVES
from gate.programs.readers.pt2.outputs import ALONE
from gate.records.declarations import Space
from gate.records.errors import UnexaminableError
from gate.spaces.contract import Bounds, Shape
from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.loading import one_logit
from gate.worker.loading.passes import counted
from gate.worker.loading.scores import check_logits, flat, in_float32, lending

_MAX_NAMED = 8
_MAX_NAME = 100


@dataclass
class ModuleClassifier:
    """A classifier that runs a torch module."""

    module: torch.nn.Module
    preprocessing: Preprocessing
    input_shape: Shape
    bounds: Bounds
    num_classes: int = 0
    feature_layer: str = ""
    output: str = ALONE
    sample_passes: int = 0
    gradient_passes: int = 0
    one_logit: bool = False
    """Whether the module yields one number a sample, read as two classes (`gate.worker.loading.one_logit`)."""
    squashed: bool = False
    """Never: a module's number is not known to be a sigmoid's."""
    slopes: torch.nn.Module | None = None
    """The module in float32, which lends its gradients to one of half precision; else None."""

    @classmethod
    def of(
        cls, module: torch.nn.Module, example: torch.Tensor, preprocessing: Preprocessing, bounds: Bounds
    ) -> "ModuleClassifier":
        """Freeze the module in eval mode and find the last linear layer that yields its output (N, K)."""
        module.eval().requires_grad_(requires_grad=False)
        channels, height, width = example.shape[1:]
        dtype = type_of(module)
        classifier = cls(module, preprocessing.giving(dtype), (channels, height, width), bounds)
        if dtype in HALVES:
            classifier.slopes = copy.deepcopy(module).float()
        with torch.no_grad():
            classifier.one_logit = one_logit.is_one_number(classifier.logits(example), len(example))
        classifier.num_classes = check_logits(classifier, example)
        rows = 1 if classifier.one_logit else classifier.num_classes
        for name, layer in module.named_modules():
            if isinstance(layer, torch.nn.Linear) and layer.out_features == rows:
                classifier.feature_layer = name
        return classifier

    arithmetic = ""
    """A module has no quicker form."""

    @property
    def space(self) -> Space:
        """Images."""
        return "images"

    def quick_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K)."""
        return self.logits(x)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K)."""
        return self._run(x, features=False)[0]

    def _run(self, x: torch.Tensor, *, features: bool) -> tuple[torch.Tensor, torch.Tensor]:
        x = counted(self, x)
        slopes = None if self.slopes is None else partial(self._pass, self.slopes, features)
        return lending(x, self.preprocessing, partial(self._pass, self.module, features), slopes)

    def _pass(self, module: torch.nn.Module, features: bool, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and activations in float32."""
        if not features:
            logits = in_float32(self._scores(module, given))
            return logits, logits
        seen: list[torch.Tensor] = []
        layer = module.get_submodule(self.feature_layer)
        handle = layer.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
        try:
            logits = in_float32(self._scores(module, given))
        finally:
            handle.remove()
        if not seen:
            raise UnexaminableError(f"the layer {self.feature_layer} took no part in the model's answer")
        return logits, flat(seen[-1]).float()

    def _scores(self, module: torch.nn.Module, given: torch.Tensor) -> torch.Tensor:
        result = module(given)
        if not isinstance(result, torch.Tensor):
            raise UnexaminableError(
                f"the model returns {_described(result)}; expected one tensor of class scores",
                what_to_do="Log a small module around it that returns the scores which production uses.",
            )
        return one_logit.two_scores(result) if self.one_logit else result

    def activations(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map raw inputs to logits (N, K) and what enters the last linear layer (N, D)."""
        if not self.feature_layer:
            raise UnexaminableError("the model has no last linear layer; there are no penultimate activations")
        return self._run(x, features=True)


def type_of(module: torch.nn.Module) -> torch.dtype:
    """Return the type in which a module of layers takes its input: that of its first floating parameter."""
    floating = (one.dtype for one in module.parameters() if one.is_floating_point())
    return next(floating, torch.float32)


def _described(result: object) -> str:
    """Return what a module returned, with the names of a container's entries."""
    if isinstance(result, Mapping):
        names = [f"'{str(key)[:_MAX_NAME]}'" for key in list(result)[:_MAX_NAMED]]
    elif isinstance(result, list | tuple):
        names = [f"[{index}]" for index in range(min(len(result), _MAX_NAMED))]
    else:
        return f"a {type(result).__name__[:_MAX_NAME]}"
    more = f" and {len(result) - _MAX_NAMED} more" if len(result) > _MAX_NAMED else ""
    return f"a {type(result).__name__[:_MAX_NAME]} of {', '.join(names) or 'nothing'}{more}"
