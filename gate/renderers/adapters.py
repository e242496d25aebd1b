"""The steps that remove the cause of a flag of what is judged beside a base: its policy, its base, a bank."""

from collections.abc import Iterator, Sequence
from typing import Final

from gate.records.evidence import Evidence
from gate.records.facts import ADAPTER, BESIDE_BASE, LANGUAGE
from gate.records.finding import Finding
from gate.records.policy import CALIBRATED_RULE
from gate.records.report import Report
from gate.renderers.commands import NEW_BANK, Commands, Step

_FOR: Final = {ADAPTER: "adapter-spectrum", LANGUAGE: "difference-from-base"}
"""The detectors by which a policy is for a kind, by what an inspector names it."""
_MODELS: Final = {
    ADAPTER: "adapters of the same base, kind and band of ranks",
    LANGUAGE: "language models that were tuned from the same base",
}
BASE: Final = "models:/BASE/VERSION"


def steps(report: Report, evidence: Evidence, commands: Commands, findings: Sequence[Finding]) -> Iterator[Step]:
    """Yield what is missing for a verdict beside a base, the first of them alone where the others rest on it."""
    kind = evidence.facts.flavour
    policy = BESIDE_BASE[kind]
    if _FOR[kind] not in report.policy.detectors:
        said = f"Have it examined by the policy {policy}, beside its base."
        yield Step("base", said, commands.beside_base(policy, report.given.base or BASE))
    elif evidence.base is None:
        yield Step("base", "Name the language model that it was made from.", commands.check("--base", BASE))
    elif any(finding.rule == CALIBRATED_RULE and finding.kind == "condition" for finding in findings):
        said = (
            f"Build a bank of at least {report.policy.least_references} clean {_MODELS[kind]}, and check again beside "
            "it; or have a person decide."
        )
        yield Step("bank", said, commands.bank_beside_base(policy))
        yield Step("bank", "Then:", commands.check(bank=NEW_BANK))
