"""The steps that remove the cause of an adapter's flag: the policy for adapters, its base, a bank of its group."""

from collections.abc import Iterator, Sequence
from typing import Final

from gate.records.evidence import Evidence
from gate.records.finding import Finding
from gate.records.policy import CALIBRATED_RULE
from gate.records.report import Report
from gate.renderers.commands import NEW_BANK, Commands, Step

SPECTRUM: Final = "adapter-spectrum"
"""The detector by which a policy is for adapters."""
BASE: Final = "models:/BASE/VERSION"


def steps(report: Report, evidence: Evidence, commands: Commands, findings: Sequence[Finding]) -> Iterator[Step]:
    """Yield what is missing for a verdict on an adapter, the first of them alone where the others rest on it."""
    if SPECTRUM not in report.policy.detectors:
        said = "Have it examined as an adapter, beside its base."
        yield Step("base", said, commands.of_adapter(report.given.base or BASE))
    elif evidence.base is None:
        yield Step("base", "Name the language model that it is for.", commands.check("--base", BASE))
    elif any(finding.rule == CALIBRATED_RULE and finding.kind == "condition" for finding in findings):
        said = (
            f"Build a bank of at least {report.policy.least_references} clean adapters of the same base, kind and band "
            "of ranks, and check again beside it; or have a person decide."
        )
        yield Step("bank", said, commands.bank_of_adapters())
        yield Step("bank", "Then:", commands.check(bank=NEW_BANK))
