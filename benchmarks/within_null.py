"""The clean models that come with the gate for a p-value within the model, from the zoo's committed measurements.

    python -m benchmarks.within_null [--check]

Reads the measurements of the clean models of the splits calibrate, fit and few (`benchmarks/efficacy/evidence`), scans
nothing, and writes `gate/judging/calibration/within.json`: of each model the numbers that detectors declare
(`Metric.within`), of detectors that the default policy runs over every class. No split that is reported has a part.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.efficacy import summaries
from benchmarks.zoo.recipe import CLEAN
from benchmarks.zoo.store import Entry, read_index, write_whole
from gate.judging.calibration import within
from gate.judging.calibration.within import CleanModel, CleanModels, measured_by, numbers_of
from gate.policies.declared import numbers_within, option_digests
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.comparison import OneNumber
from gate.records.evidence import Evidence, Measured, Skipped
from gate.records.policy import Policy

DATA = Path(within.__file__).with_name(within.FILE)
SPLITS = ("calibrate", "fit", "few")
DIGITS = 6

Model = tuple[Entry, Evidence]


def clean_models(entries: Sequence[Entry], folder: Path = summaries.FOLDER) -> list[Model]:
    """Return the clean models of the splits that count and were measured."""
    known = {entry.name: entry for entry in entries if entry.counts and entry.recipe.row.attack == CLEAN}
    found = [one for split in SPLITS for one in summaries.read(summaries.path_of(split, folder)) if one.name in known]
    return [(known[one.name], summaries.evidence_of(one)) for one in found]


def null_of(models: Sequence[Model], policy: Policy) -> CleanModels:
    """Return the clean models' numbers; a model that was measured in another way than the policy's ends the command."""
    over_all = {name for stage in policy.plan() if stage.over == "all" for name in stage.detectors}
    compared = tuple(one for one in numbers_within() if one.detector in over_all)
    digests = option_digests(policy)
    settings = {one.detector: digests[one.detector] for one in compared}
    if other := [entry.name for entry, evidence in models if not _measured(evidence, settings)]:
        raise SystemExit(
            f"{len(other)} of {len(models)} clean models were measured by other settings than the policy's or not yet: "
            f"{', '.join(other[:5])}{', …' if other[5:] else ''}"
        )
    return CleanModels(
        made_of=_made_of(models),
        compared=compared,
        settings=settings,
        models=[_model(*one, compared) for one in models],
    )


def _measured(evidence: Evidence, settings: Mapping[str, str]) -> bool:
    """Tell whether each of these detectors measured by these settings, or said why it could not."""
    found = {name: evidence.outcomes.get(name) for name in settings}
    return all(
        isinstance(outcome, Skipped) or (isinstance(outcome, Measured) and measured_by(outcome, name, settings))
        for name, outcome in found.items()
    )


def _model(entry: Entry, evidence: Evidence, compared: Sequence[OneNumber]) -> CleanModel:
    found = numbers_of(evidence.outcomes, compared)
    return CleanModel(
        task=entry.recipe.row.task,
        classes=evidence.facts.classes or 0,
        numbers={
            name: {metric: float(f"{worst.number:.{DIGITS}g}") for metric, worst in numbers.items()}
            for name, numbers in found.items()
        },
    )


def _made_of(models: Sequence[Model]) -> str:
    families = {entry.recipe.row.architecture for entry, _ in models}
    return (
        f"small image classifiers of the gate's own zoo, splits {', '.join(SPLITS)}, {len(families)} families of nets"
    )


def main() -> None:
    """Write the data, or say whether what is packaged is what would be written."""
    parser = argparse.ArgumentParser(description="Clean models that come with the gate for a p-value within the model.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the packaged data differ")
    arguments = parser.parse_args()
    made = null_of(clean_models(read_index()), read_policy(DEFAULT, on=today()))
    if arguments.check:
        same = DATA.is_file() and CleanModels.from_json(DATA.read_bytes()) == made
        raise SystemExit(0 if same else f"{DATA.name} is out of date")
    write_whole(DATA, made.pretty_json().encode())
    print(f"{made.made_of}; to {DATA.name}")


if __name__ == "__main__":
    main()
