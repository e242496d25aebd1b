"""Writes results where people read them: JSON beside the evidence, a picture, docs/results/efficacy.md between markers.

The end of the flow. Everything comes from committed summaries, so anybody can write the page again without a scan.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.efficacy import tables
from benchmarks.efficacy.judged import Judged
from benchmarks.efficacy.picture import areas
from benchmarks.efficacy.results import SystemResult
from benchmarks.efficacy.subjects import NOT_MADE, NOT_SCANNED, LeftOut
from benchmarks.zoo.store import Entry, write_whole
from gate.records.errors import UsageError
from gate.records.policy import Policy

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "results" / "efficacy.md"
RESULTS = Path(__file__).with_name("results")
_VERBS = ("run", "peers", "table --write")


@dataclass(frozen=True)
class Told:
    """What is to be told of a split; the first system's results are told in full."""

    split: str
    results: Sequence[SystemResult]
    left_out: Sequence[LeftOut]
    policy: Policy
    seed: int
    banks: tuple[str, ...] = ()
    """Of the first system."""
    targets: str = ""
    """A table of what was to be reached."""


def write(told: Told) -> None:
    """Write a split's results as JSON and picture, and into the page."""
    split, policy = told.split, told.policy
    value = {
        "split": split,
        "commit": commit(),
        "policy": {"name": policy.name, "digest": policy.digest, "seed": policy.seed},
        "bootstrap_seed": told.seed,
        "banks": told.banks,
        "left_out": [vars(left) for left in told.left_out],
        "systems": [result.model_dump(mode="json") for result in told.results],
    }
    write_whole(RESULTS / f"{split}.json", (json.dumps(value, indent=1) + "\n").encode())
    plot = areas(told.results, f"Split {split}, area under the ROC curve")
    write_whole(PAGE.with_name(f"efficacy-{split}.svg"), plot.encode())
    between(PAGE, f"efficacy-{split}", text(told))


def text(told: Told) -> str:
    """Return what the page says of a split."""
    split, results, left_out, policy = told.split, told.results, told.left_out, told.policy
    gate = results[0]
    models = gate.overall.models + gate.clean_overall.models
    waiting = sum(left.reason in (NOT_SCANNED, NOT_MADE) for left in left_out)
    what = (
        f"Split `{split}`: {models} models, {gate.overall.models} of them backdoored; {len(left_out) - waiting} more "
        f"are left out, because they did not learn or their backdoor does not work, and {waiting} are not measured. "
        f"Policy `{policy.name}` ({policy.digest[:19]}…), seed {policy.seed}; bootstrap and folds by seed {told.seed}; "
        f"commit {commit()}."
    )
    commands = "\n".join(f"python -m benchmarks.efficacy {verb} --split {split}" for verb in _VERBS)
    commands += "".join(f" --bank {bank}" for bank in told.banks)
    parts = [
        what,
        f"```\n{commands}\n```",
        told.targets,
        tables.side_by_side(results),
        f"![Area under the ROC curve by attack](efficacy-{split}.svg)",
        "Detected, by system and attack:",
        tables.detected_by_attack(results),
        f"The {gate.system} by attack (medians; seconds on a busy clock, of the processor where known):",
        tables.by_attack(gate),
        f"The {gate.system} on clean models:",
        tables.false_alarms(gate),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def each_text(
    split: str,
    policy: Policy,
    pairs: Sequence[tuple[Entry, Judged]],
    left_out: Sequence[LeftOut],
    banks: Sequence[str] = (),
    without: Sequence[str] = (),
) -> str:
    """Return what the page says of a split's models one by one."""
    flagged = sum(bool(row.flagged) for _, row in pairs)
    beside = f"beside {', '.join(banks)}" if banks else "without a bank"
    what = (
        f"Split `{split}`, {beside}: {len(pairs)} models, {flagged} of them flagged. Policy `{policy.name}` "
        f"({policy.digest[:19]}…), seed {policy.seed}; commit {commit()}."
    )
    also = "".join(f" --without {name}" for name in without)
    commands = "\n".join(
        f"python -m benchmarks.efficacy {verb} --split {split}" for verb in ("run", f"each --write{also}")
    )
    missing = [f"Left out: {left.name}, {left.attack} on {left.task}: {left.reason}." for left in left_out]
    return "\n\n".join([what, f"```\n{commands}\n```", tables.each_model(pairs).strip(), *missing]) + "\n"


def between(page: Path, name: str, content: str) -> None:
    """Replace what stands between a page's markers of a name."""
    before, _, after = _parts(page, name)
    write_whole(page, f"{before}\n{content}\n{after}".encode())


def written(page: Path, name: str) -> str:
    """Return what stands between a page's markers of a name, as `between` was given it."""
    return _parts(page, name)[1].removeprefix("\n").removesuffix("\n")


def _parts(page: Path, name: str) -> tuple[str, str, str]:
    """Return a page up to the end of a marker, what follows, and the page from the closing marker on."""
    text = page.read_text("utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, opened, rest = text.partition(begin)
    inside, closed, after = rest.partition(end)
    if not opened or not closed:
        raise UsageError(f"{page.name} has no markers {begin.strip()} and {end}", what_to_do="Put them there.")
    return before + opened, inside, closed + after


def commit() -> str:
    """Return the short commit of the tree, `+` behind it where something is changed; a word where git is absent."""
    try:
        named = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "gate")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return named + ("+" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ).stdout.strip()
