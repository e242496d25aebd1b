"""Names that a policy or a command can no longer use: since when, and what to use instead."""

from collections.abc import Mapping
from typing import Final, Literal

SINCE: Final = "0.1.0"
"""The release from which all of them are gone."""
Kind = Literal["policy", "detector", "option", "method"]
_METHODS_LEFT: Final = "of images trigger-unlearning and sharpness-aware-tuning are left, and auto tries both"

GONE: Final[Mapping[Kind, Mapping[str, str]]] = {
    "policy": {
        "strict": "use default, or a copy of it with 'uncalibrated: flag' and with the tighter limits that strict had "
        "(docs/decisions/0024)"
    },
    "detector": {
        "tone-trigger": "no attack that was measured changes tones alone; probe-grid tries what resembles them",
        "sample-specific-trigger": "probe-grid sees what it saw, beside a bank of references",
        "random-triggers": "probe-grid tries fixed triggers of the same families, and more, and a bank compares each",
    },
    "option": {
        "maximum-margin/intrinsic-weight": "the detector measures without it, as it did by default",
        "maximum-margin/intrinsic-samples": "the detector measures without it, as it did by default",
    },
    "method": {
        "channel-lipschitz-pruning": f"it reached the target on none of 12 models; {_METHODS_LEFT}",
        "neuron-pruning": f"it reached the target on 1 of 12 models; {_METHODS_LEFT}",
        "adversarial-neuron-pruning": f"it reached the target on 1 of 12 models; {_METHODS_LEFT}",
        "implicit-unlearning": f"it reached the target on none of 12 models; {_METHODS_LEFT}",
    },
}
"""By kind and name, the replacement, as the end of a sentence; options are named `detector/option`."""


def gone(kind: Kind, name: str) -> str:
    """Return the sentence about a name of that kind that is gone; empty for any other name."""
    instead = GONE.get(kind, {}).get(name)
    return f"the {kind} '{name}' is gone since {SINCE}: {instead}" if instead else ""


def gone_of_any_kind(name: str) -> str:
    """Return the sentence about a name of any kind that is gone; empty for any other name."""
    return next((sentence for kind in GONE if (sentence := gone(kind, name))), "")
