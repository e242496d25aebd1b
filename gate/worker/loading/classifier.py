"""A `Classifier` from an exported program or from a module: raw inputs in, logits and penultimate activations out.

Both count sample-passes, hold no gradient of their own, and refuse outputs that are not finite scores by class: a model
that yields NaN, or one number, is no classifier that can be examined.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from gate.programs import Batched, Program, batched, deciding, final_linear, logit_name, logits_name
from gate.programs.gradients import lent
from gate.programs.numbers import HALVES, declared, in_single
from gate.programs.readers.pt2.outputs import ALONE
from gate.records.errors import UnexaminableError
from gate.spaces.image.preprocessing import Preprocessing, given
from gate.worker.loading import one_logit

MAX_CLASSES = 100_000
_MAX_NAMED = 8
_MAX_NAME = 100
_MOST_HEIGHT = 16
"""So many times farther from zero than from each other, scores still keep six digits of their leads in float32."""


class NotFiniteError(UnexaminableError):
    """Scores that are NaN or infinite."""


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
    one_logit: bool = False
    """Whether the program yields one number a sample, read as two classes (`gate.worker.loading.one_logit`)."""
    squashed: bool = False
    """Whether that number is the sigmoid of the logit, which is looked at in its place."""
    slopes: Batched | None = None
    """The program in float32, which lends its gradients to one of half precision; None where it has its own."""

    @classmethod
    def of(
        cls, program: Program, example: torch.Tensor, preprocessing: Preprocessing, bounds: tuple[float, float]
    ) -> "ProgramClassifier":
        """Decide on raw example inputs (n, C, H, W) how the program takes batches, and find its last layer.

        The program has one output, which is judged (`gate.worker.loading.outputs` chooses it).
        """
        if len(program.output_names) != 1:
            raise ValueError(f"the program has {len(program.output_names)} outputs; one is judged")
        wide = in_single(program) if declared(program) in HALVES else None
        slopes = batched(wide, preprocessing.giving(torch.float32)(example)) if wide is not None else None
        _require_whole_pixels(declared(program), bounds)
        program, preprocessing = given(program, preprocessing)
        body = batched(program, preprocessing(example))
        head = final_linear(program)
        name, single, squashed = scores_name(body, preprocessing(example))
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
            one_logit=single,
            squashed=squashed,
            slopes=slopes,
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
        if self.slopes is None or not (torch.is_grad_enabled() and x.requires_grad):
            return self._pass(self.body, self.preprocessing(x), feature)
        with torch.no_grad():
            values = self._pass(self.body, self.preprocessing(x), feature)
        follows = self._pass(self.slopes, self.preprocessing.giving(torch.float32)(x), feature)
        logits, activations = (lent(*pair) for pair in zip(values, follows, strict=True))
        return logits, activations

    def _pass(self, body: Batched, given: torch.Tensor, feature: str | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and activations in float32, whatever the program computes in."""
        if feature is None and self._is_output(self._logits_name):
            logits = self._scores(in_float32(_rows(body(given))))
            return logits, logits
        wanted = [name for name in (self._logits_name, feature) if name is not None]
        outputs, tapped = body.run(given, taps=wanted)
        logits = tapped[self._logits_name] if self._logits_name is not None else outputs[0]
        logits = self._scores(in_float32(logits.reshape(len(given), -1) if logits.ndim != 2 else logits))
        return logits, logits if feature is None else _flat(tapped.get(feature, given)).float()

    def _scores(self, logits: torch.Tensor) -> torch.Tensor:
        return one_logit.two_scores(logits) if self.one_logit else logits

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
    one_logit: bool = False
    """Whether the module yields one number a sample, read as two classes (`gate.worker.loading.one_logit`)."""
    squashed: bool = False
    """Of no module it is known that its number is a sigmoid's."""
    slopes: torch.nn.Module | None = None
    """The module in float32, which lends its gradients to one of half precision; None where it has its own."""

    @classmethod
    def of(
        cls, module: torch.nn.Module, example: torch.Tensor, preprocessing: Preprocessing, bounds: tuple[float, float]
    ) -> "ModuleClassifier":
        """Freeze the module in eval mode and find the last linear layer that yields its output (N, K)."""
        module.eval().requires_grad_(requires_grad=False)
        shape = example.shape[1:]
        dtype = type_of(module)
        classifier = cls(module, preprocessing.giving(dtype), (shape[0], shape[1], shape[2]), bounds)
        if dtype in HALVES:
            classifier.slopes = copy.deepcopy(module).float()
        with torch.no_grad():
            classifier.one_logit = one_logit.is_one_number(classifier.logits(example), len(example))
        classifier.num_classes = check_logits(classifier, example)
        rows = 1 if classifier.one_logit else classifier.num_classes
        linear = [
            name
            for name, layer in module.named_modules()
            if isinstance(layer, torch.nn.Linear) and layer.out_features == rows
        ]
        classifier.feature_layer = linear[-1] if linear else ""
        return classifier

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K)."""
        return self._run(x, features=False)[0]

    def _run(self, x: torch.Tensor, *, features: bool) -> tuple[torch.Tensor, torch.Tensor]:
        self.sample_passes += len(x)
        if self.slopes is None or not (torch.is_grad_enabled() and x.requires_grad):
            return self._pass(self.module, self.preprocessing(x), features=features)
        with torch.no_grad():
            values = self._pass(self.module, self.preprocessing(x), features=features)
        follows = self._pass(self.slopes, self.preprocessing.giving(torch.float32)(x), features=features)
        logits, activations = (lent(*pair) for pair in zip(values, follows, strict=True))
        return logits, activations

    def _pass(
        self, module: torch.nn.Module, given: torch.Tensor, *, features: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and activations in float32, whatever the module computes in; the hook is always removed."""
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
        return logits, _flat(seen[-1]).float()

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


def number_type(classifier: ProgramClassifier | ModuleClassifier) -> str:
    """Return in words what a model takes that is no float32; nothing where it is."""
    dtype = classifier.preprocessing.dtype
    if dtype == torch.float32:
        return ""
    named = str(dtype).removeprefix("torch.")
    if dtype in HALVES:
        return f"{named}, measured as it is; a float32 copy lends gradients"
    return f"{named}, measured as it is" if dtype.is_floating_point else f"{named}, given as rounded floats"


def type_of(module: torch.nn.Module) -> torch.dtype:
    """Return the type in which a module of layers takes its input: that of its first floating parameter."""
    floating = (one.dtype for one in module.parameters() if one.is_floating_point())
    return next(floating, torch.float32)


def in_float32(scores: torch.Tensor) -> torch.Tensor:
    """Return scores (N, K) in float32 with the same first choices; whole numbers are left for `check_logits` to judge.

    Double precision may tell scores apart that float32 holds for equal, or holds for infinite. A row whose choice that
    moves, or that lies so high that its leads would be rounded away, is given by the distance from its greatest score,
    which float32 holds as exactly at any height. Each row by itself: a model must not choose by its other samples how
    much of a lead is seen.
    """
    if scores.dtype != torch.float64 or scores.ndim != 2:
        return scores.float() if scores.is_floating_point() else scores
    narrow, known = scores.float(), scores.detach()
    if scores.shape[1] < 2:
        return narrow
    top = known.amax(dim=1, keepdim=True)
    high = known.abs().amax(dim=1, keepdim=True) > _MOST_HEIGHT * (top - known.amin(dim=1, keepdim=True))
    moved = narrow.argmax(dim=1, keepdim=True) != known.argmax(dim=1, keepdim=True)
    beyond = (narrow.isinf() & known.isfinite()).any(dim=1, keepdim=True)
    below = (scores - top).clamp(min=torch.finfo(torch.float32).min).float()
    return torch.where(high | moved | beyond, below, narrow)


def _require_whole_pixels(dtype: torch.dtype, bounds: tuple[float, float]) -> None:
    if not dtype.is_floating_point and bounds[1] - bounds[0] <= 1:
        raise UnexaminableError(
            f"the model takes {str(dtype).removeprefix('torch.')}, and the samples lie in "
            f"[{bounds[0]:g}, {bounds[1]:g}]",
            what_to_do="Store the samples' inputs as uint8 from 0 to 255, as the model is given them in production.",
        )


def scores_name(body: Batched, given: torch.Tensor) -> tuple[str, bool, bool]:
    """Return the name of the value that holds scores, if it is one number a sample, and if that is a sigmoid's logit.

    That is the value before a softmax, or of one number before a sigmoid, where it is proved to decide as the first
    output does; else that output itself, since what is measured is what is served.
    """
    with torch.no_grad():
        single = one_logit.is_one_number(body(given), len(given))
    program = body.program
    output, before = program.output_names[0], logit_name(program) if single else logits_name(program)
    proved = before is not None and before in deciding(program, given)
    return (str(before) if proved else output), single, single and proved


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
        raise UnexaminableError("the model yields no number a sample; expected class scores or one logit")
    if logits.shape[1] > MAX_CLASSES:
        raise UnexaminableError(f"the model has {logits.shape[1]} outputs; this gate examines at most {MAX_CLASSES}")
    if not torch.isfinite(logits).all():
        raise NotFiniteError("the model yields NaN or infinite scores on clean samples")
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
