"""What is known of a version in a protected place: whether an approval covers its bytes now, or ever did.

A version chooses what it makes of a download, so that an error there is no approval. What the gate needs itself, its
policy and its review log, no version chooses: where one of them cannot be read, nothing is judged.
"""

import datetime as dt
import logging
from collections.abc import Callable

from gate.attestations.envelope import Expected, open_envelope, verify
from gate.attestations.keys import PublicKey
from gate.attestations.log import ReviewLog
from gate.attestations.statement import Statement
from gate.check.pull import downloaded
from gate.policies.read import read_policy
from gate.promotion.verification import ATTESTATION_TAG, Trust, against, now, verify_folder
from gate.records.artifact import ModelRef
from gate.records.errors import CannotFinishError, GateError, PolicyError, RegistryError, UnknownVersionError
from gate.records.policy import Policy
from gate.registries.contract import ProductionRegistry
from gate.service.alerts import Alerts
from gate.service.logs import log
from gate.service.settings import ModelSection, Settings


class NotJudgedError(CannotFinishError):
    """What the gate judges with cannot be had; it says nothing for the version and nothing against it."""


class Approvals:
    """Signed decisions about versions of production models, compared with their bytes once for each attestation."""

    def __init__(
        self, settings: Settings, registry: ProductionRegistry, keys: tuple[PublicKey, ...], alerts: Alerts
    ) -> None:
        self._settings, self._registry, self._keys, self._alerts = settings, registry, keys, alerts
        self._compared: set[tuple[ModelRef, str, str]] = set()
        """Version, attestation and policy's digest, where the bytes were found to be those of the approval."""
        self._policies: dict[str, Policy] = {}
        """Each candidate model's policy as it could last be read."""

    def attestation(self, ref: ModelRef) -> str:
        """Return a version's signed decision, or whatever else its tag holds."""
        return self._registry.facts(ref).tags.get(ATTESTATION_TAG, "")

    def holds(self, section: ModelSection, ref: ModelRef) -> bool | None:
        """Tell whether a decision covers the version's bytes; None where they cannot be had.

        A silent registry is raised, and a `NotJudgedError` where the gate lacks its own policy or log.
        """
        return self._answer(ref, lambda: self._holds_now(section, ref))

    def held_once(self, section: ModelSection, ref: ModelRef) -> bool | None:
        """Tell whether these bytes were ever approved, under any policy, and not rejected since; as `holds`."""
        return self._answer(ref, lambda: self._held_once(section, ref))

    def can_be_had(self, section: ModelSection, ref: ModelRef) -> bool:
        """Tell whether a version's bytes can be downloaded at this moment, whatever they are; a silent registry raises.

        One that the registry does not know any more counts as had: it says nothing about the store.
        """
        policy = _required(self._policy(section), section)
        try:
            with downloaded(self._registry.allowing(policy.artifact_stores), ref, policy.download):
                return True
        except Exception as error:
            if isinstance(error, RegistryError) and self._silent(ref):
                raise
            return isinstance(error, UnknownVersionError) and not self._known(ref)

    def _holds_now(self, section: ModelSection, ref: ModelRef) -> bool:
        """Tell whether a decision under today's policy holds; the bytes are compared once for each attestation."""
        attestation, policy = self.attestation(ref), self._policy(section)
        if open_envelope(attestation, self._keys).statement is None:
            return False
        policy = _required(policy, section)
        trust = self._trust(section, policy, policy.digest)
        compared = (ref, attestation, policy.digest)
        if not self._decided(attestation, trust, now()):
            return False
        if compared not in self._compared and not self._covers(ref, attestation, trust, now()):
            return False
        self._compared.add(compared)
        return True

    def _held_once(self, section: ModelSection, ref: ModelRef) -> bool:
        attestation = self.attestation(ref)
        statement = open_envelope(attestation, self._keys).statement
        if statement is None:
            return False
        trust = self._trust(section, _required(self._policy(section), section), None)
        at = statement.predicate.decided_at
        return self._decided(attestation, trust, at) and self._covers(ref, attestation, trust, at)

    def _trust(self, section: ModelSection, policy: Policy, digest: str | None) -> Trust:
        stores, bounds = policy.artifact_stores, policy.download
        return Trust(self._keys, digest, section.name, self._log(), stores, download=bounds)

    def _decided(self, attestation: str, trust: Trust, at: dt.datetime) -> bool:
        """Tell whether an approval holds at a time but for the bytes, which are not compared: nothing is downloaded."""
        found = verify(attestation, trust.keys, at, Expected(None, trust.policy_digest, candidate=trust.candidate))
        if found.statement is None or found.reasons:
            return False
        return not self._logged_against(found.statement, attestation, trust)

    def _logged_against(self, statement: Statement, attestation: str, trust: Trust) -> tuple[str, ...]:
        """Return the log's reasons against a decision; a log that is away or damaged judges nothing."""
        if trust.log is None:
            if statement.predicate.log_head is None:
                return ()
            raise NotJudgedError(f"the review log {self._settings.audit_log}, which the decision names, is not there")
        try:
            whole = trust.log.whole()
        except (GateError, OSError) as error:
            raise NotJudgedError(str(error)) from error
        return against(statement, attestation, whole, trust)

    def _covers(self, ref: ModelRef, attestation: str, trust: Trust, at: dt.datetime) -> bool:
        with downloaded(self._registry.allowing(trust.stores), ref, trust.download) as folder:
            return verify_folder(folder, attestation, trust, at).holds

    def _answer(self, ref: ModelRef, ask: Callable[[], bool]) -> bool | None:
        """Return an answer about a version, None where an error of its bytes keeps it unknown."""
        try:
            return ask()
        except NotJudgedError:
            raise
        except Exception as error:
            if isinstance(error, RegistryError) and self._silent(ref):
                raise
            why = f"{type(error).__name__}: {str(error)[:500]}"
            log("a version could not be verified", level=logging.WARNING, model=str(ref), why=why)
            return None

    def _silent(self, ref: ModelRef) -> bool:
        """Tell whether the registry says nothing about a version: one that answers has only refused its bytes."""
        try:
            self._registry.facts(ref)
        except RegistryError as error:
            return not isinstance(error, UnknownVersionError)
        return False

    def _known(self, ref: ModelRef) -> bool:
        try:
            self._registry.facts(ref)
        except UnknownVersionError:
            return False
        return True

    def _policy(self, section: ModelSection) -> Policy | None:
        """Return the policy as it is now; where it cannot be read, as it last was, if ever, and an alert says so.

        A waiver that has run out counts for nothing here: it decides what is flagged, not what was signed.
        """
        try:
            self._policies[section.name] = read_policy(section.policy, on=None)
        except PolicyError as error:
            self._alerts.send("policy-unreadable", model=section.name, why=str(error)[:500])
        return self._policies.get(section.name)

    def _log(self) -> ReviewLog | None:
        path = self._settings.audit_log
        try:
            return ReviewLog(path) if path.exists() else None
        except OSError as error:
            raise NotJudgedError(f"the review log {path} cannot be looked at: {error.strerror}") from error


def _required(policy: Policy | None, section: ModelSection) -> Policy:
    if policy is None:
        raise NotJudgedError(f"the policy {section.policy} cannot be read, and never was since the service started")
    return policy
