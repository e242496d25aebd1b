"""The policies of the scans: every detector that is known, with its default options, and a short search by pairs.

Pure. Stages are ordered so that detectors which others take something from come first. What a state does not know is
left out; what no stage here names runs at the end, where nothing depends on it.
"""

from collections.abc import Iterable
from typing import Any

Policy = dict[str, Any]
"""A policy file's content; JSON is YAML too."""

EVERY, PAIRS = "every", "pairs"
"""The scans of a model, by name."""

_STAGES: tuple[tuple[str, ...], ...] = (
    ("artifact-integrity", "unsafe-pickle", "consumer-hazards", "unsafe-format", "modelaudit"),
    (
        "graph-structure",
        "head-indicators",
        "maximum-margin",
        "neural-cleanse",
        "additive-trigger",
        "warp-trigger",
        "probe-grid",
    ),
    ("activation-clustering",),
    ("model-inversion",),
    ("confirmation",),
)
_LAST = ("spectral-signature", "training-set-clustering")
_OVER_SUSPECTS = frozenset({"activation-clustering", "model-inversion", "confirmation"})
# Far wider than any policy's that comes with the gate: clean models too must have suspects of each search.
_SUSPECTS: tuple[dict[str, Any], ...] = (
    {"detector": "neural-cleanse", "metric": "size-ratio", "min": 0.8},
    {"detector": "additive-trigger", "metric": "size-ratio", "min": 0.7},
    {"detector": "warp-trigger", "metric": "size-ratio", "min": 0.7},
)
_BY_PAIRS = {"pairs": "screened", "pairs-most": 20, "steps": 60, "pair-steps": 40}
_DEADLINE = 86_400
"""Seconds, so that a busy machine skips nothing."""


def policy_of(scan: str, known: Iterable[str]) -> Policy | None:
    """Return the policy of a scan for a state that knows these detectors; None where they are too few for it."""
    names = set(known)
    return _every(names) if scan == EVERY else _pairs(names)


def usable(kept: Policy, wanted: Policy) -> bool:
    """Tell whether evidence under one policy holds all of another: at most the last stage ran more than is wanted."""
    *before, last = kept["stages"]
    *wanted_before, wanted_last = wanted["stages"]
    settings = [
        {key: value for key, value in one.items() if key not in {"stages", "detectors"}} for one in (kept, wanted)
    ]
    return (
        settings[0] == settings[1]
        and before == wanted_before
        and set(wanted_last["detectors"]) <= set(last["detectors"])
        and all(kept["detectors"].get(name) == rule for name, rule in wanted["detectors"].items())
    )


def _every(names: set[str]) -> Policy:
    stages = [_stage([name for name in stage if name in names]) for stage in _STAGES]
    placed = {name for stage in _STAGES for name in stage}
    rest = sorted(names - placed - set(_LAST))
    stages.append(_stage([*(name for name in _LAST if name in names), *rest]))
    return _policy([stage for stage in stages if stage["detectors"]], {name: {} for name in sorted(names)})


def _pairs(names: set[str]) -> Policy | None:
    wanted = {"neural-cleanse", "confirmation"}
    if not wanted <= names:
        return None
    search = _stage(["neural-cleanse"]) | {
        "suspects": [{"detector": "neural-cleanse", "metric": "pair-residual", "min": -0.1}]
    }
    rules = {"neural-cleanse": {"options": _BY_PAIRS}, "confirmation": {"options": {"most": 2}}}
    return _policy([search, _stage(["confirmation"])], rules)


def _stage(names: list[str]) -> dict[str, Any]:
    stage: dict[str, Any] = {"detectors": names, "over": "suspects" if _OVER_SUSPECTS & set(names) else "all"}
    suspects = [rule for rule in _SUSPECTS if rule["detector"] in names]
    return stage | ({"suspects": suspects} if suspects else {})


def _policy(stages: list[dict[str, Any]], rules: dict[str, Any]) -> Policy:
    return {
        "version": 1,
        "name": "same-evidence",
        "seed": 0,
        "device": "cpu",
        "deadline": _DEADLINE,
        "inspection-deadline": _DEADLINE,
        "stages": stages,
        "detectors": rules,
    }
