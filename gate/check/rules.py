"""The rules of an examination, read once before the pull: a policy, its bank, and samples that override its own."""

from dataclasses import dataclass, replace
from pathlib import Path

from gate.check.base_model import AskedBase
from gate.check.evidence import ScanRequest, ScanSettings
from gate.check.files import Pulled
from gate.check.previous import BY_ALIAS, Against
from gate.check.pull import PullRequest
from gate.policies.packaged import DEFAULT, policy_word
from gate.policies.read import read_policy
from gate.policies.source import policy_source
from gate.records.bank import OpenBank, open_bank
from gate.records.clock import today
from gate.records.policy import Policy
from gate.records.report import PolicySource


@dataclass(frozen=True)
class Rules:
    """A policy with its file, and bank and samples beside it; `samples` overrides what the policy pins."""

    policy: Policy
    file: Path = DEFAULT
    samples: str | None = None
    bank: OpenBank | None = None
    source: PolicySource | None = None
    """Lines of the file's keys; None where no report points at them."""

    @property
    def word(self) -> str:
        """The value of `--policy` for this file."""
        return policy_word(self.file)

    def pull_of(self, uri: str, against: Against = BY_ALIAS, base: AskedBase | None = None) -> PullRequest:
        """Return the request for a pull of one model, of what it is compared with, and of an adapter's base."""
        return PullRequest(uri, self.policy, self.samples, against, base)

    def scan_of(self, pulled: Pulled, base: Path, settings: ScanSettings) -> ScanRequest:
        """Return the request for a scan of a pulled copy below `base`."""
        return ScanRequest(pulled, base, self.policy, settings, self.bank)

    def beside(self, given: Path | None) -> "Rules":
        """Return these rules with the bank that an option or else the policy names, opened."""
        return replace(self, bank=named_bank(self.policy, self.file, given))


def read_rules(file: Path, samples: str | None = None) -> Rules:
    """Read a policy file; a fault in it is a `PolicyError`."""
    return Rules(read_policy(file, on=today()), file, samples, source=policy_source(file))


def named_bank(policy: Policy, file: Path, given: Path | None = None) -> OpenBank | None:
    """Open the bank that `given` or the policy names, the latter relative to the policy's folder."""
    if given is not None:
        return replace(open_bank(given), by_option=True)
    if policy.bank is None:
        return None
    return open_bank(file.parent / policy.bank.path, sha256=policy.bank.sha256, source=policy.bank.path)
