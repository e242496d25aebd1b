"""A `Classifier` that runs the strict reader's program: raw inputs in, logits and penultimate activations out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch

from gate.programs import Batched, Program, batched, deciding, final_linear, logit_name, logits_name
from gate.programs.numbers import HALVES, declared, in_single
from gate.programs.quick import ANSWERED, Quick, choose
from gate.programs.readers.pt2.outputs import ALONE
from gate.records.declarations import Space
from gate.records.errors import UnexaminableError
from gate.spaces.contract import Bounds, Shape
from gate.spaces.image.preprocessing import Preprocessing, given
from gate.worker.loading import one_logit
from gate.worker.loading.outputs import type_name
from gate.worker.loading.passes import counted
from gate.worker.loading.scores import check_logits, flat, in_float32, lending, rows

EXAMPLE = 4
"""Samples on which a program shows how it takes batches."""


@dataclass
class ProgramClassifier:
    """A classifier that runs the strict reader's program."""

    body: Batched
    preprocessing: Preprocessing
    input_shape: Shape
    bounds: Bounds
    num_classes: int
    feature_name: str | None
    feature_layer: str
    averaged: bool
    output: str = ALONE
    sample_passes: int = 0
    gradient_passes: int = 0
    one_logit: bool = False
    """Whether the program yields one number a sample, read as two classes (`gate.worker.loading.one_logit`)."""
    squashed: bool = False
    """Whether that number is the sigmoid of the logit, which is then measured in its place."""
    slopes: Batched | None = None
    """The program in float32, which lends its gradients to one of half precision; else None."""

    @classmethod
    def of(
        cls, program: Program, example: torch.Tensor, preprocessing: Preprocessing, bounds: Bounds
    ) -> "ProgramClassifier":
        """Try on raw example inputs (n, C, H, W) how the program of one output takes batches; find its last layer."""
        if len(program.output_names) != 1:
            raise ValueError(f"the program has {len(program.output_names)} outputs; one is judged")
        wide = in_single(program) if declared(program) in HALVES else None
        slopes = batched(wide, preprocessing.giving(torch.float32)(example)) if wide is not None else None
        _require_whole_pixels(declared(program), bounds)
        program, preprocessing = given(program, preprocessing)
        body = batched(program, preprocessing(example))
        head = final_linear(program)
        name, single, squashed = scores_name(body, preprocessing(example))
        channels, height, width = example.shape[1:]
        classifier = cls(
            body=body,
            preprocessing=preprocessing,
            input_shape=(channels, height, width),
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
    forms: Quick | None = field(default=None, init=False)
    """Quicker forms of the program for passes whose answers are measured again; None until they are chosen."""

    def choose_forms(self, samples: torch.Tensor) -> None:
        """Choose quicker forms on raw samples (n, C, H, W); a small net, and one of another type, keeps its own."""
        if self.slopes is None:
            name = self._logits_name or self.body.program.output_names[0]
            self.forms = choose(self.body, name, self.preprocessing(samples[:ANSWERED]))

    @property
    def space(self) -> Space:
        """Images."""
        return "images"

    @property
    def arithmetic(self) -> str:
        """How `quick_logits` runs the program; empty where as it was read."""
        return str(self.forms or "")

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K)."""
        return self._run(x, None)[0]

    def quick_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K) by the forms that were chosen."""
        if self.forms is None:
            return self.logits(x)
        x = counted(self, x)
        return self._scores(in_float32(rows(self.forms(self.preprocessing(x)))))

    def activations(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map raw inputs to logits (N, K) and what enters the last layer (N, D), positions averaged."""
        if self.feature_name is None:
            raise UnexaminableError("no last linear layer was found in the graph; there are no penultimate activations")
        return self._run(x, self.feature_name)

    def values(self, x: torch.Tensor, names: Collection[str]) -> Mapping[str, torch.Tensor]:
        """Map raw inputs (N, C, H, W) to values of the graph by name, each with N first; no gradients are lent."""
        x = counted(self, x)
        return self.body.run(self.preprocessing(x), taps=names)[1]

    def _run(self, x: torch.Tensor, feature: str | None) -> tuple[torch.Tensor, torch.Tensor]:
        x = counted(self, x)
        slopes = None if self.slopes is None else partial(self._pass, self.slopes, feature)
        own = partial(self._pass, self.body, feature)
        if self.forms is None or len(x) <= self.forms.forward.batch:
            return lending(x, self.preprocessing, own, slopes)
        # A CPU's caches hold the values of few samples of a large net, and more at once take several times as long.
        parts = [own(self.preprocessing(part)) for part in torch.split(x, self.forms.forward.batch)]
        logits, values = map(torch.cat, zip(*parts, strict=True))
        return logits, values

    def _pass(self, body: Batched, feature: str | None, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and activations in float32."""
        if feature is None and self._logits_name in {None, self.body.program.output_names[0]}:
            logits = self._scores(in_float32(rows(body(given))))
            return logits, logits
        wanted = [name for name in (self._logits_name, feature) if name is not None]
        outputs, tapped = body.run(given, taps=wanted)
        logits = tapped[self._logits_name] if self._logits_name is not None else outputs[0]
        logits = self._scores(in_float32(logits.reshape(len(given), -1) if logits.ndim != 2 else logits))
        return logits, logits if feature is None else flat(tapped.get(feature, given)).float()

    def _scores(self, logits: torch.Tensor) -> torch.Tensor:
        return one_logit.two_scores(logits) if self.one_logit else logits


def _require_whole_pixels(dtype: torch.dtype, bounds: Bounds) -> None:
    least, greatest = bounds
    if not dtype.is_floating_point and greatest - least <= 1:
        raise UnexaminableError(
            f"the model takes {type_name(dtype)}, and the samples lie in [{least:g}, {greatest:g}]",
            what_to_do="Store the samples' inputs as uint8 from 0 to 255, as the model is given them in production.",
        )


def scores_name(body: Batched, given: torch.Tensor) -> tuple[str, bool, bool]:
    """Return the name of the value that holds scores, if it is one number a sample, and if that is a sigmoid's logit.

    The scores are the value before a softmax, or before a sigmoid of one number, where this is proved to decide as the
    first output does; else that output itself, since what is judged is what is served.
    """
    with torch.no_grad():
        single = one_logit.is_one_number(body(given), len(given))
    program = body.program
    output, before = program.output_names[0], logit_name(program) if single else logits_name(program)
    proved = before is not None and before in deciding(program, given)
    return (str(before) if proved else output), single, single and proved
