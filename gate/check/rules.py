"""By what versions are examined: a policy as it is today, the bank beside it, and samples in place of its own.

Read once, before anything is pulled, and handed on whole; a report names them again in its commands.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from gate.check.evidence import ScanRequest, ScanSettings
from gate.check.files import Pulled
from gate.check.pull import PullRequest
from gate.policies.lines import policy_source
from gate.policies.packaged import DEFAULT, policy_word
from gate.policies.read import read_policy
from gate.records.bank import OpenBank, open_bank
from gate.records.clock import today
from gate.records.policy import Policy
from gate.records.report import PolicySource


@dataclass(frozen=True)
class Rules:
    """A policy and what stands beside it."""

    policy: Policy
    file: Path = DEFAULT
    """The policy's own."""
    samples: str | None = None
    """Samples that replace what the policy pins."""
    bank: OpenBank | None = None
    source: PolicySource | None = None
    """On which lines the file says what; None where no report points at them."""

    @property
    def word(self) -> str:
        """What one types after `--policy`."""
        return policy_word(self.file)

    def pull_of(self, uri: str) -> PullRequest:
        """Return what a pull of one model is asked for."""
        return PullRequest(uri, self.policy, self.samples)

    def scan_of(self, pulled: Pulled, base: Path, settings: ScanSettings) -> ScanRequest:
        """Return what a scan of a pulled copy below `base` is asked for."""
        return ScanRequest(pulled, base, self.policy, settings, self.bank)

    def beside(self, given: Path | None) -> "Rules":
        """Return these rules with the bank that an option or else the policy names, which is opened here."""
        return replace(self, bank=named_bank(self.policy, self.file, given))


def read_rules(file: Path, samples: str | None = None) -> Rules:
    """Read a policy file; what is wrong in it is a `PolicyError`."""
    return Rules(read_policy(file, on=today()), file, samples, source=policy_source(file))


def named_bank(policy: Policy, file: Path, given: Path | None = None) -> OpenBank | None:
    """Open the bank that `given` or the policy names, the latter's path being relative to the policy's folder."""
    if given is not None:
        return replace(open_bank(given), by_option=True)
    if policy.bank is None:
        return None
    return open_bank(file.parent / policy.bank.path, sha256=policy.bank.sha256, source=policy.bank.path)
