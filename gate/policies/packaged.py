"""The policies that come with the gate, named by `--policy` without a path.

A bare name of one of them is always the packaged policy: a file of that name where the gate runs is ignored. Anything
else is a path.
"""

from pathlib import Path

from gate.policies.gone import gone
from gate.records.errors import PolicyError

POLICIES = Path(__file__).resolve().parent
NAMES = ("default", "files-only", "text", "adapter", "language")
DEFAULT, FILES_ONLY, TEXT, ADAPTER, LANGUAGE = (POLICIES / f"{name}.yml" for name in NAMES)
NAMED = f"{', '.join(NAMES[:-1])} and {NAMES[-1]}"
"""The names in a sentence."""


def policy_at(named: str | Path) -> Path:
    """Return the file that `--policy` or a configuration names: a packaged policy by its bare name, else a path.

    The bare name of one that is gone is a `PolicyError`: a local file of that name must not replace it.
    """
    if sentence := gone("policy", str(named)):
        raise PolicyError(sentence, what_to_do=f"The policies that come with the gate are {NAMED}.")
    return POLICIES / f"{named}.yml" if str(named) in NAMES else Path(named)


def packaged_name(path: Path) -> str | None:
    """Return the bare name of a packaged policy, by any path to it; None for any other file."""
    found = path.resolve()
    return found.stem if found.parent == POLICIES and found.stem in NAMES else None


def policy_word(path: Path) -> str:
    """Return the value of `--policy` for this file."""
    return packaged_name(path) or str(path)


def successor(path: Path) -> str:
    """Return the replacement of a path of earlier releases, such as `policies/default.yml`, in a sentence."""
    if path.parent.name != "policies" or path.suffix != ".yml":
        return ""
    if path.stem in NAMES:
        return f"The gate's own policies are part of its package now: write --policy {path.stem}."
    sentence = gone("policy", path.stem)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""
