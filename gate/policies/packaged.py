"""The policies that come with the gate, and how `--policy` tells them from files.

A bare name of one of them is always the packaged policy, whatever lies in the working directory: nobody who can add a
file where the gate runs thereby chooses the policy. Anything else is a path.
"""

from pathlib import Path

from gate.policies.gone import gone
from gate.records.errors import PolicyError

POLICIES = Path(__file__).resolve().parent
NAMES = ("default", "files-only")
DEFAULT, FILES_ONLY = (POLICIES / f"{name}.yml" for name in NAMES)

_OLD_FOLDER = "policies"


def policy_at(named: str | Path) -> Path:
    """Return the file that `--policy` or a configuration names: a packaged policy by its bare name, else a path.

    The bare name of one that is gone is a `PolicyError`, lest a file of that name here take its place.
    """
    if said := gone("policy", str(named)):
        raise PolicyError(said, what_to_do=f"The policies that come with the gate are {' and '.join(NAMES)}.")
    return POLICIES / f"{named}.yml" if str(named) in NAMES else Path(named)


def packaged_name(path: Path) -> str | None:
    """Return the bare name of a packaged policy, by whatever path it is reached; None for any other file."""
    found = path.resolve()
    return found.stem if found.parent == POLICIES and found.stem in NAMES else None


def policy_word(path: Path) -> str:
    """Return what one types after `--policy` for this file."""
    return packaged_name(path) or str(path)


def successor(path: Path) -> str:
    """Return what took the place of a path of earlier releases, such as `policies/default.yml`, in a sentence."""
    if path.parent.name != _OLD_FOLDER or path.suffix != ".yml":
        return ""
    if path.stem in NAMES:
        return f"The gate's own policies are part of its package now: write --policy {path.stem}."
    said = gone("policy", path.stem)
    return f"{said[:1].upper()}{said[1:]}." if said else ""
