"""Copies of a candidate's own program, trained anew on trusted data: a copy's task, its result, a bank's word on them.

A worker's result is hostile until its schema has been checked. Number, seed, recipe, goal and data are the
orchestrator's own, and never taken from a worker.
"""

from operator import not_
from typing import Annotated, Final, Literal

from pydantic import Field

from gate.records.fields import Digest, Finite, Sha256, Text, is_none
from gate.records.record import Record

TRIAL_FILE: Final = "trial.json"
COPY_FILE: Final = "copy.json"
COPY_PROGRAM: Final = "copy.pt2"
"""A trainer's program: hostile bytes, only for the strict reader."""

TRAINING_STEP: Final = "training a copy"
"""Step of progress by which a trainer says how far it is, of the most steps that it may take."""

MAX_COPIES: Final = 1000
EPOCHS, LEAST_STEPS = 30, 3000
"""The limit where none is stated: passes over the data, and the steps that little data gets at least."""
ROUNDS: Final = (1, 2, 4, 8)
"""Lengths of the rounds of training; all together are the limit."""
LARGE_PIXELS: Final = 64
"""Pixels of an image's longer side up to which copies are trained on processor cores without being asked twice."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Recipe(Record):
    """How one copy is trained; drawn for each, so that copies differ as models of several makers do."""

    gain: float = Field(default=1.0, gt=0, le=4)
    """Scale of the weights that it starts from: 1 is He's, 0.41 that of torch's own layers."""
    learning_rate: float = Field(gt=0, le=1)
    """The highest rate of each round."""
    batch: int = Field(ge=2, le=4096)
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes."""
    weight_decay: float = Field(ge=0, le=1)
    shift: int = Field(ge=0, le=16)
    """The most pixels by which an image is moved each way."""
    noise: float = Field(ge=0, le=1)
    """Standard deviation of noise on pixels, as a share of the input's range."""
    rounds_beyond: int = Field(ge=0, le=3)
    """Rounds of training after the goal was reached."""


class CopyTask(Record):
    """One copy to be trained; without a recipe, the look at candidate and data before any is."""

    number: int = Field(default=0, ge=0, le=MAX_COPIES)
    recipe: Recipe | None = None
    goal: Share = 1.0
    """Accuracy on the clean samples from which on the copy is as good as the candidate."""
    epochs: int | None = Field(default=None, ge=1, le=100_000)
    """The most passes over the data; None: as `steps_at_most` bounds them."""
    seconds: float = Field(default=3600.0, gt=0)
    """The most seconds of training."""
    data_path: str
    data_source: Text
    data_sha256: Sha256
    """The trusted data: images with labels, by the operator's own word."""
    weights_path: str | None = None
    weights_sha256: Sha256 | None = None
    """Weights to start from, which the operator names as trusted; None: all are drawn anew."""


class Trial(Record):
    """What candidate, samples and data show before a copy is trained."""

    fault: Text = ""
    """Why no copy can be trained; empty where some can."""
    what_to_do: Text = ""
    of_data: bool = False
    """Whether the fault is one of the data or weights that the operator named, and not of the candidate."""
    accuracy: Share | None = None
    """Share of the clean samples that the candidate gets right."""
    input_shape: tuple[int, ...] = Field(default=(), max_length=8)
    images: int = Field(default=0, ge=0)
    """Images to train on."""
    left_out: int = Field(default=0, ge=0)
    """Images of the data that are clean samples too, on which no copy is trained."""
    device: Text = ""
    """`cpu` or `cuda`."""
    seconds_an_image: Finite = Field(default=0.0, ge=0)
    """Seconds of one image forward and backward, measured on a few batches."""


class CopyResult(Record):
    """One copy as it was trained."""

    number: int = Field(ge=1, le=MAX_COPIES)
    seed: int = Field(ge=0)
    status: Literal["trained", "short", "failed"]
    """`trained`: as good as the goal asks; `short`: not within the limit; `failed`: there is no copy."""
    reason: Text = ""
    accuracy: Share | None = None
    agreement: Share | None = None
    """Share of the clean samples for which it names the candidate's class."""
    epochs: Finite = Field(default=0.0, ge=0)
    loss: Finite | None = None
    """Mean cross-entropy over the last steps."""
    seconds: Finite = Field(default=0.0, ge=0)
    processor_seconds: Finite = Field(default=0.0, ge=0)
    sample_passes: int = Field(default=0, ge=0)
    """Images through the copy, forward or forward and backward."""


class CopyNote(Record):
    """What a bank says of one copy."""

    number: int = Field(ge=1, le=MAX_COPIES)
    recipe: Recipe
    accuracy: Share | None = None
    agreement: Share | None = None
    epochs: Finite = 0.0
    left_out: Text = Field(default="", exclude_if=not_)
    """Why it is not among the bank's models; empty where it is."""


class SelfMade(Record):
    """Where the models of a self-made bank come from."""

    candidate: Text
    """The model whose program was copied."""
    candidate_digest: Digest
    candidate_accuracy: Share
    tolerance: Share
    """By how much a copy's accuracy may lie below the candidate's."""
    data: Text
    """Name of the data that the copies were trained on, trusted by the operator's own word."""
    data_sha256: Sha256
    data_count: int = Field(ge=0)
    weights: Text = Field(default="", exclude_if=not_)
    weights_sha256: Sha256 | None = Field(default=None, exclude_if=is_none)
    """Weights that all copies start from; without, every value was drawn anew."""
    copies: tuple[CopyNote, ...] = Field(default=(), max_length=MAX_COPIES)
    """Every copy that was trained, those that fell short too."""

    @property
    def short(self) -> tuple[CopyNote, ...]:
        """The copies that are not among the bank's models."""
        return tuple(note for note in self.copies if note.left_out)


def steps_at_most(images: int, batch: int, epochs: int | None) -> int:
    """Return the most steps of a training on so many images, in so many passes over them."""
    an_epoch = max(1, images // min(batch, images))
    return epochs * an_epoch if epochs is not None else max(EPOCHS * an_epoch, LEAST_STEPS)
