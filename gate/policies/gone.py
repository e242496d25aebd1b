"""What a policy or a command could name once and cannot any more: since when, and what to use in its place.

A name that is gone is refused like any unknown one; here stands the sentence that its error, and `gate explain`, add.
Ground floor, and of the standard library alone.
"""

from collections.abc import Mapping
from typing import Final, Literal

SINCE: Final = "0.1.0"
"""The release from which all of them are gone."""
Kind = Literal["policy", "detector", "option", "method"]
_METHODS_LEFT: Final = "trigger-unlearning and sharpness-aware-tuning are left, and auto tries both"

GONE: Final[Mapping[Kind, Mapping[str, str]]] = {
    "policy": {
        "strict": "use default, or a copy of it with 'uncalibrated: flag' and with the tighter limits that strict had "
        "(docs/decisions/0024)"
    },
    "detector": {
        "tone-trigger": "no attack that was measured changes tones alone; random-triggers draws what resembles them",
        "sample-specific-trigger": "random-triggers sees what it saw, beside a bank of references",
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
"""By kind and name, what to use instead, as the end of a sentence; options are named `detector/option`."""


def gone(kind: Kind, name: str) -> str:
    """Return the sentence about a name of that kind that is gone, or nothing where none was ever called so."""
    instead = GONE.get(kind, {}).get(name)
    return f"the {kind} '{name}' is gone since {SINCE}: {instead}" if instead else ""


def gone_of_any_kind(name: str) -> str:
    """Return the sentence about a name that is gone, whatever it named, or nothing."""
    return next((said for kind in GONE if (said := gone(kind, name))), "")
