"""What may be tuned: the `metaparameters` of NIST's contract, a JSON file that is validated before anything runs.

Read by `__main__`; used by `model_folder` and `answer`. `python -m benchmarks.trojai schema` prints the JSON schema.
"""

from typing import Any, Literal

from pydantic import Field

from benchmarks.nets import NamedArchitecture
from gate.records.record import Record


class Metaparameters(Record):
    """How a round's models and images are read, and which policy judges."""

    policy: str | None = None
    """A policy file; without it the gate's default. What it says of samples' layout and bounds must fit images in
    [0, 1]."""
    channel_order: Literal["RGB", "BGR"] = "RGB"
    """Round 0's models take BGR."""
    scale: Literal["unit", "stretched"] = "unit"
    """`unit`: pixels over 255, as in later rounds; `stretched`: each image's own least and greatest value to 0 and 1,
    as in the first ones."""
    crop: int | None = Field(default=None, ge=8, le=1024)
    """Side of a centred square that is cut out; the early rounds' images are larger than what their models take."""
    architecture: NamedArchitecture | None = None
    """For a state dict: a family of `benchmarks.nets`; else `model_architecture` of the folder's config counts."""
    allow_code: bool = False
    """Let a whole-module pickle with classes of its own run in the gate's jailed converter."""
    sensitivity: float = Field(default=0.5, gt=0, lt=1)
    """Share of backdoored models on which a limit is expected to be broken: half, until a benchmark says better."""
    false_alarm_rate: float = Field(default=0.05, gt=0, lt=1)
    """Share of clean models on which one is: the level at which the default policy's limits stand."""


def known_architectures(classes: int) -> dict[str, dict[str, Any]]:
    """Return the architectures of TrojAI's image rounds that can be built here, by `model_architecture`."""
    resnet = {"classes": classes, "stem": "large"}
    return {
        "resnet18": {"name": "resnet", "config": {**resnet, "blocks": [2, 2, 2, 2]}},
        "resnet34": {"name": "resnet", "config": {**resnet, "blocks": [3, 4, 6, 3]}},
        "resnet50": {"name": "resnet", "config": {**resnet, "blocks": [3, 4, 6, 3], "block": "bottleneck"}},
        "mobilenet_v2": {"name": "mobilenet", "config": {"classes": classes}},
    }
