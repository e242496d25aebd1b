"""How often each kind of threat is found in the zoo, and clean models flagged, by what a verdict says of threats.

    python -m benchmarks.threats [--split unseen] [--write | --check]

Reads the committed measurements of a split (`benchmarks/efficacy/evidence`) and what was planted
(`benchmarks/zoo/index.jsonl`), scans nothing, judges each model by the packaged default policy three times, by limits
alone, by the p-value within the model and beside the bank of its task, and prints a table. `--write` puts the counts
with exact intervals where verdicts read them, `gate/judging/threat_rates.json`. A model counts as found where its
verdict says `detected` of its own family; one that was flagged for something else does not. A model counts under each
of these that can judge it. Models of fewer than eight classes are left out.

Of the split *unseen*, on which nothing was chosen.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.efficacy import rates, tables
from benchmarks.efficacy.banking import beside
from benchmarks.efficacy.summaries import ANY_DAY
from benchmarks.typical import Subject, subjects
from benchmarks.zoo.store import write_whole
from gate.judging.judge import judge
from gate.judging.threat_families import Family, families
from gate.judging.threat_rates import DATA, ThreatRates, judged_beside
from gate.policies.declared import bank_rules_sha256, rules_sha256, within_rules_sha256
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.bank import OpenBank, open_bank
from gate.records.clock import today
from gate.records.policy import Policy
from gate.records.threat import Beside, Power, Status

BANKS = Path(__file__).parent / "efficacy" / "banks"
DIGITS = 3


@dataclass(frozen=True)
class Said:
    """What the verdict on one model says, by family, judged one way."""

    attack: str
    backdoored: bool
    status: dict[str, Status]
    compared: tuple[str, ...]
    """Statistics that were compared with a bank; empty without one."""


def rates_of(split: str, models: Sequence[Subject], policy: Policy, banks: Sequence[OpenBank]) -> ThreatRates:
    """Return the counts of every family that a verdict could have named."""
    by_limits = policy.model_copy(update={"within": "show"})
    ways: dict[Beside, tuple[Policy, Sequence[OpenBank]]] = {
        "limits": (by_limits, ()),
        "within": (policy, ()),
        "bank": (policy, banks),
    }
    said = {way: [one for model in models if (one := _said(model, way, *by))] for way, by in ways.items()}
    (seed,) = {model.evidence.seed for model in models}
    classes = {model.evidence.facts.classes for model in models}
    (compared,) = {one.compared for one in said["bank"]}
    found = {family.id: dict(_powers(family, said, split)) for family in families()}
    return ThreatRates(
        made_by="python -m benchmarks.threats",
        split=split,
        seed=seed,
        rules=rules_sha256(policy),
        within_rules=within_rules_sha256(policy),
        bank_rules=bank_rules_sha256(policy),
        compared=compared,
        classes=tuple(sorted(number for number in classes if number is not None)),
        families={name: powers for name, powers in found.items() if powers},
    )


def _said(model: Subject, way: Beside, policy: Policy, banks: Sequence[OpenBank]) -> Said | None:
    """Return what is said of a model; None where it is judged in another way than this one."""
    evidence = beside(model.evidence, banks, policy)
    verdict = judge(evidence, policy, on=ANY_DAY)
    if judged_beside(verdict, None) != way:
        return None
    compared = evidence.bank.comparison.statistics if evidence.bank and evidence.bank.comparison else ()
    status = {threat.id: threat.status for threat in verdict.threats}
    return Said(model.attack, model.truth.backdoored, status, compared)


def _powers(family: Family, said: dict[Beside, list[Said]], split: str) -> Iterator[tuple[Beside, Power]]:
    for way, rows in said.items():
        planted = [one.status[family.id] for one in rows if one.backdoored and one.attack in family.attacks]
        clean = [one.status[family.id] for one in rows if not one.backdoored] if planted else []
        if planted and not all(status == "not-examined" for status in planted):
            yield way, power(way, planted.count("detected"), len(planted), clean.count("detected"), len(clean), split)


def power(way: Beside, found: int, models: int, alarms: int, clean: int, split: str) -> Power:
    """Return counts with their exact bounds."""
    return Power(
        beside=way,
        found=found,
        models=models,
        low=_rounded(rates.lower_bound(found, models, tables.TAIL)),
        high=_rounded(rates.upper_bound(found, models, tables.TAIL)),
        false_alarms=alarms,
        clean_models=clean,
        false_alarms_at_most=_rounded(rates.upper_bound(alarms, clean)),
        split=split,
    )


def _rounded(value: float) -> float:
    return round(value, DIGITS)


def table(made: ThreatRates) -> str:
    """Return the counts as a Markdown table."""
    head = ("threat", "judged by", "found [exact 95 %]", "clean flagged", "rate at most")
    titles = {family.id: family.title for family in families()}
    rows = [
        (
            titles[name],
            way,
            tables.exact_share(one.found, one.models),
            tables.share(one.false_alarms, one.clean_models),
            f"{one.false_alarms_at_most:.0%}",
        )
        for name, powers in made.families.items()
        for way, one in powers.items()
    ]
    return tables.markdown(head, rows)


def made_now(split: str) -> ThreatRates:
    """Return the counts of a split under the packaged policy, beside the committed banks."""
    banks = [open_bank(path) for path in sorted(BANKS.glob("*.json"))]
    return rates_of(split, subjects(split), read_policy(DEFAULT, on=today()), banks)


def main() -> None:
    """Print the table; write the data, or say whether what is packaged is what would be written."""
    parser = argparse.ArgumentParser(description="How often threats of the zoo are found, for verdicts.")
    parser.add_argument("--split", default="unseen", choices=("fit", "test", "unseen"))
    parser.add_argument("--write", action="store_true", help="write what verdicts read")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the packaged data differ")
    arguments = parser.parse_args()
    made = made_now(arguments.split)
    if arguments.check:
        raise SystemExit(0 if ThreatRates.from_file(DATA) == made else f"{DATA.name} is out of date")
    if arguments.write:
        write_whole(DATA, made.pretty_json().encode())
    print(table(made))


if __name__ == "__main__":
    main()
