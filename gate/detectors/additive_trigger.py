"""Inverts, for every class at once, the faintest image whose addition sends other inputs to the class.

Measures  size: root mean square of the smallest addition per class, in shares of the range. size-ratio, anomaly-index
          and attack-success-rate as in `neural-cleanse`.
Matters   Blended noise, sinusoids and other faint triggers over the whole image are additions to first order; their
          target class is reached by a fainter addition than in a clean model.
Blind to  Triggers that are no fixed addition (warps, input-dependent ones), single source classes, hard thresholds, and
          classes that a faint perturbation reaches in clean models too. Every undefended model has some, so that the
          ratio of one model says less than the comparison with clean models of the same task.
See       Chen et al., "Targeted Backdoor Attacks on Deep Learning Systems", 2017; Barni et al., ICIP 2019;
          docs/explanation/detection.md.
"""

from pydantic import Field

from gate.detectors.inversion import inversion_detector
from gate.search.options import TriggerSearch
from gate.spaces.image.triggers.additive import FAMILY


class AdditiveTrigger(TriggerSearch):
    """Settings of the search for additions."""

    steps: int = Field(default=40, ge=1, le=10_000)
    batch: int = Field(default=8, ge=1, le=1024)
    settled_after: int | None = Field(default=30, ge=1)
    hopeless_after: int | None = Field(default=None, ge=1)
    limit: float = Field(default=0.25, gt=0, le=1)
    """The largest change of a pixel, as a share of the range."""


DETECTOR = inversion_detector(
    id="additive-trigger",
    title="Trigger inversion, additions",
    doing="triggers added to images",
    family=FAMILY,
    options=AdditiveTrigger,
)
