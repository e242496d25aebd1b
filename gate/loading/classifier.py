"""A `Classifier` from an exported program or from a module: raw inputs in, logits and penultimate activations out.

Both count sample-passes, hold no gradient of their own, and refuse outputs that are not finite scores by class: a model
that yields NaN, or one number, is no classifier that can be examined.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from gate.errors import UnexaminableError
from gate.loading.exported import Batched, Program, batched, final_linear, logits_name
from gate.loading.exported.outputs import ALONE
from gate.loading.preprocessing import Preprocessing

MAX_CLASSES = 100_000
_MAX_NAMED = 8
_MAX_NAME = 100


@dataclass
class ProgramClassifier:
    """A classifier that runs the strict reader's program."""

    body: Batched
    preprocessing: Preprocessing
    input_shape: tuple[int, int, int]
    bounds: tuple[float, float]
    num_classes: int
    feature_name: str | None
    feature_layer: str
    averaged: bool
    output: str = ALONE
    sample_passes: int = 0

    @classmethod
    def of(
        cls, program: Program, example: torch.Tensor, preprocessing: Preprocessing, bounds: tuple[float, float]
    ) -> "ProgramClassifier":
        """Decide on raw example inputs (n, C, H, W) how the program takes batches, and find its last layer.

        The program has one output, which is judged (`gate.loading.outputs` chooses it).
        """
        if len(program.output_names) != 1:
            raise ValueError(f"the program has {len(program.output_names)} outputs; one is judged")
        body = batched(program, preprocessing(example))
        head = final_linear(program)
        name = logits_name(program)
        shape = example.shape[1:]
        classifier = cls(
            body=body,
            preprocessing=preprocessing,
            input_shape=(shape[0], shape[1], shape[2]),
            bounds=bounds,
            num_classes=0,
            feature_name=head.features if head else None,
            feature_layer=f"{head.weight} ({head.num_features} features)" if head else "",
            averaged=bool(head and head.averaged),
            output=program.output_paths[0] if program.output_paths else ALONE,
        )
        classifier._logits_name = name if name in program.producers else None
        classifier.num_classes = check_logits(classifier, example)
        return classifier

    _logits_name: str | None = field(default=None, init=False)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K)."""
        return self._run(x, None)[0]

    def activations(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map raw inputs to logits (N, K) and what enters the last layer (N, D), positions averaged."""
        if self.feature_name is None:
            raise UnexaminableError("no last linear layer was found in the graph; there are no penultimate activations")
        return self._run(x, self.feature_name)

    def _run(self, x: torch.Tensor, feature: str | None) -> tuple[torch.Tensor, torch.Tensor]:
        self.sample_passes += len(x)
        wanted = [name for name in (self._logits_name, feature) if name is not None]
        given = self.preprocessing(x)
        if feature is None and self._is_output(self._logits_name):
            logits = _rows(self.body(given))
            return logits, logits
        outputs, tapped = self.body.run(given, taps=wanted)
        logits = tapped[self._logits_name] if self._logits_name is not None else outputs[0]
        activations = logits if feature is None else tapped.get(feature, given)
        return logits.reshape(len(x), -1) if logits.ndim != 2 else logits, _flat(activations)

    def _is_output(self, name: str | None) -> bool:
        return name is None or name == self.body.program.output_names[0]


@dataclass
class ModuleClassifier:
    """A classifier that runs a torch module; its last linear layer is found by a hook on the first pass."""

    module: torch.nn.Module
    preprocessing: Preprocessing
    input_shape: tuple[int, int, int]
    bounds: tuple[float, float]
    num_classes: int = 0
    feature_layer: str = ""
    output: str = ALONE
    sample_passes: int = 0

    @classmethod
    def of(
        cls, module: torch.nn.Module, example: torch.Tensor, preprocessing: Preprocessing, bounds: tuple[float, float]
    ) -> "ModuleClassifier":
        """Freeze the module in eval mode and find the last linear layer that yields its output (N, K)."""
        module.eval().requires_grad_(requires_grad=False)
        shape = example.shape[1:]
        classifier = cls(module, preprocessing, (shape[0], shape[1], shape[2]), bounds)
        classifier.num_classes = check_logits(classifier, example)
        linear = [
            name
            for name, layer in module.named_modules()
            if isinstance(layer, torch.nn.Linear) and layer.out_features == classifier.num_classes
        ]
        classifier.feature_layer = linear[-1] if linear else ""
        return classifier

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K)."""
        self.sample_passes += len(x)
        result = self.module(self.preprocessing(x))
        if not isinstance(result, torch.Tensor):
            raise UnexaminableError(
                f"the model returns {_described(result)}; expected one tensor of class scores",
                what_to_do="Log a small module around it that returns the scores which production uses.",
            )
        return result

    def activations(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map raw inputs to logits (N, K) and what enters the last linear layer (N, D); the hook is always removed."""
        if not self.feature_layer:
            raise UnexaminableError("the model has no last linear layer; there are no penultimate activations")
        seen: list[torch.Tensor] = []
        layer = self.module.get_submodule(self.feature_layer)
        handle = layer.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
        try:
            logits = self.logits(x)
        finally:
            handle.remove()
        if not seen:
            raise UnexaminableError(f"the layer {self.feature_layer} took no part in the model's answer")
        return logits, _flat(seen[-1])


def check_logits(classifier: ProgramClassifier | ModuleClassifier, example: torch.Tensor) -> int:
    """Return the number of classes that a forward pass yields; anything but finite (N, K), K > 1, is refused."""
    with torch.no_grad():
        logits = classifier.logits(example)
    if logits.ndim != 2 or len(logits) != len(example):
        raise UnexaminableError(
            f"the model maps {len(example)} inputs to a tensor of shape {tuple(logits.shape)}; "
            "expected one row of class scores per input"
        )
    if logits.shape[1] < 2:
        raise UnexaminableError(
            "the model has one output; this gate examines classifiers with two or more class scores"
        )
    if logits.shape[1] > MAX_CLASSES:
        raise UnexaminableError(f"the model has {logits.shape[1]} outputs; this gate examines at most {MAX_CLASSES}")
    if not torch.isfinite(logits).all():
        raise UnexaminableError("the model yields NaN or infinite scores on clean samples")
    return logits.shape[1]


def _rows(logits: torch.Tensor) -> torch.Tensor:
    """Return scores (N, K, 1, …) or (N, 1, K), as convolutions and sequences leave them, as (N, K); others as given."""
    long = [size for size in logits.shape[1:] if size != 1]
    return logits.reshape(len(logits), *long) if logits.ndim > 2 and len(long) == 1 else logits


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


def _flat(activations: torch.Tensor) -> torch.Tensor:
    """Return activations as (N, D): spatial maps (N, D, h, w) and sequences (N, T, D) are averaged over positions."""
    if activations.ndim == 4:
        return activations.mean(dim=(2, 3))
    if activations.ndim == 3:
        return activations.mean(dim=1)
    return activations.reshape(len(activations), -1)
