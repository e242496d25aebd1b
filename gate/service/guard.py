"""Protected aliases and stages: one that was moved to an unapproved version is set back to the last approved one.

Detection after the fact: the window is a webhook's delivery, or else one poll. A version whose decision has expired
since it was put there stays and raises an alert: an expiry must not stop production. An error is no approval, whatever
it is: a version chooses what it makes of a download. Only a registry that is silent is asked again later.
"""

import datetime as dt
import fcntl
import json
import logging
from collections.abc import Callable, Iterator
from functools import partial

from gate.attestations.envelope import Expected, envelope_digest, open_envelope, verify
from gate.attestations.keys import PublicKey
from gate.attestations.log import ReviewLog
from gate.check.pull import downloaded
from gate.policies.read import read_policy
from gate.promotion.verification import ATTESTATION_TAG, Trust, now, superseded, verify_folder
from gate.records.artifact import ModelRef
from gate.records.errors import GateError, PolicyError, RegistryError, UnknownVersionError
from gate.records.policy import Policy
from gate.registries.contract import ProductionRegistry
from gate.service import metrics
from gate.service.alerts import Alerts
from gate.service.logs import log
from gate.service.settings import ModelSection, Settings


class Guard:
    """Compares protected places with the signed decisions, and corrects them."""

    def __init__(
        self, settings: Settings, registry: ProductionRegistry, keys: tuple[PublicKey, ...], alerts: Alerts
    ) -> None:
        self._settings, self._registry, self._keys, self._alerts = settings, registry, keys, alerts
        self._path = settings.file.data / "protected.json"
        self._compared: set[tuple[ModelRef, str, str]] = set()
        """Version, attestation and policy's digest, where the bytes were found to be those of the approval."""
        self._policies: dict[str, Policy] = {}
        """Each candidate model's policy as it could last be read."""

    def look(self, production: str) -> str:
        """Correct every protected alias and stage of a production model; return how many were wrong."""
        if not self._exists(production):
            return "0"
        wrong, failed = 0, None
        for correct in self._places(production):
            try:
                wrong += correct()
            except GateError as error:
                failed = error  # one place that cannot be corrected must not hide the others
        if failed is not None:
            raise failed
        return str(wrong)

    def _places(self, production: str) -> Iterator[Callable[[], int]]:
        for section in self._settings.file.models:
            if section.production == production:
                yield from (partial(self._alias, section, alias) for alias in section.aliases)
                yield partial(self._stages, section)

    def _exists(self, production: str) -> bool:
        """Tell whether there is anything to guard: before the first promotion MLflow answers 403 for aliases.

        A model with a remembered place counts as existing: lost rights must not pass for an empty registry.
        """
        remembered = any(place.startswith(f"{production}@") for place in self._remembered())
        return remembered or bool(self._registry.find_versions(production, {}))

    def _alias(self, section: ModelSection, alias: str) -> bool:
        """Correct one alias; return whether it was wrong."""
        assert section.production is not None
        held = self._registry.alias(section.production, alias)
        if held is None:
            return False
        place = f"{section.production}@{alias}"
        good = self._remembered().get(place)
        if self._approved(section, held):
            if good != held.version:
                self._remember(place, held.version or "")
            return False
        if good is None and self._once_approved(section, held):
            good = held.version  # the file that remembers it is lost or new: the decision tells it instead
            self._remember(place, good or "")
        if good == held.version:
            self._alerts.send("no-longer-approved", model=str(held), place=place)
            return True
        self._put_back(section, alias, held, good)
        return True

    def _put_back(self, section: ModelSection, alias: str, held: ModelRef, good: str | None) -> None:
        """Point the alias at the last approved version; without one an alert says that nothing can be put back."""
        place = f"{held.name}@{alias}"
        last = ModelRef(registry="mlflow", name=held.name, version=good) if good else self._last_approved(section)
        outcome = "put-back" if last else "nothing-to-put-back"
        try:
            if last is not None:
                self._registry.set_alias(last, alias)
        except Exception:
            outcome, last = "not-put-back", None
            raise
        finally:
            metrics.REVERTED.labels("alias", outcome).inc()
            log("a protected alias was moved", level=logging.WARNING, place=place, to=str(held), outcome=outcome)
            self._alerts.send("protected-alias", model=str(held), place=place, outcome=outcome, now=str(last or held))

    def _last_approved(self, section: ModelSection) -> ModelRef | None:
        assert section.production is not None
        found = self._registry.find_versions(section.production, {})
        return next((ref for ref, _ in found if self._approved(section, ref)), None)

    def _stages(self, section: ModelSection) -> int:
        """Archive versions in a protected stage without a decision; return how many there were.

        One that was approved there and now cannot be verified stays: an error of the gate must not stop production.
        """
        assert section.production is not None
        wrong = 0
        for ref, stage in self._registry.staged(section.production, section.stages):
            approved, place = self._approved(section, ref), f"{section.production}/{stage}/{ref.version}"
            name = envelope_digest(self._attestation(ref))
            known = self._remembered().get(place) == name
            if approved:
                if not known:
                    self._remember(place, name)
                continue
            wrong += 1
            if approved is None and known:
                self._alerts.send("no-longer-approved", model=str(ref), place=stage)
                continue
            self._registry.archive(ref)
            metrics.REVERTED.labels("stage", "archived").inc()
            event = "an unapproved version was in a protected stage"
            log(event, level=logging.WARNING, model=str(ref), stage=stage)
            self._alerts.send("protected-stage", model=str(ref), place=stage, outcome="archived")
        return wrong

    def _approved(self, section: ModelSection, ref: ModelRef) -> bool | None:
        """Tell whether a decision covers the version's bytes; None where an error keeps it unknown."""
        return self._answer(ref, lambda: self._holds(section, ref))

    def _holds(self, section: ModelSection, ref: ModelRef) -> bool:
        """Tell whether a decision under today's policy holds; the bytes are compared once for each attestation."""
        policy, attestation = self._policy(section), self._attestation(ref)
        trust = self._trust(section, policy.digest, policy.artifact_stores)
        if not _decided(attestation, trust, now()):
            return False
        compared = (ref, attestation, policy.digest)
        if compared not in self._compared and not self._covers(ref, attestation, trust, now()):
            return False
        self._compared.add(compared)
        return True

    def _once_approved(self, section: ModelSection, ref: ModelRef) -> bool | None:
        """Tell whether these bytes were ever approved, under any policy, and not rejected since."""
        return self._answer(ref, lambda: self._once_held(section, ref))

    def _once_held(self, section: ModelSection, ref: ModelRef) -> bool:
        attestation = self._attestation(ref)
        statement = open_envelope(attestation, self._keys).statement
        if statement is None:
            return False
        trust, at = self._trust(section, stores=self._policy(section).artifact_stores), statement.predicate.decided_at
        return _decided(attestation, trust, at) and self._covers(ref, attestation, trust, at)

    def _answer(self, ref: ModelRef, ask: Callable[[], bool]) -> bool | None:
        """Return an answer about a version, None where an error keeps it unknown; a silent registry is raised."""
        try:
            return ask()
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

    def _covers(self, ref: ModelRef, attestation: str, trust: Trust, at: dt.datetime) -> bool:
        with downloaded(self._registry.allowing(trust.stores), ref) as folder:
            return verify_folder(folder, attestation, trust, at).holds

    def _attestation(self, ref: ModelRef) -> str:
        return self._registry.facts(ref).tags.get(ATTESTATION_TAG, "")

    def _policy(self, section: ModelSection) -> Policy:
        """Return the policy as it is now; where it cannot be read, as it last was, and an alert says so.

        A waiver that has run out counts for nothing here: it decides what is flagged, not what was signed.
        """
        try:
            self._policies[section.name] = read_policy(section.policy, on=None)
        except PolicyError as error:
            self._alerts.send("policy-unreadable", model=section.name, why=str(error)[:500])
            if section.name not in self._policies:
                raise
        return self._policies[section.name]

    def _trust(self, section: ModelSection, policy_digest: str | None = None, stores: tuple[str, ...] = ()) -> Trust:
        path = self._settings.audit_log
        return Trust(self._keys, policy_digest, section.name, ReviewLog(path) if path.exists() else None, stores)

    def _remembered(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}

    def _remember(self, place: str, version: str) -> None:
        with self._path.with_name(f".{self._path.name}.lock").open("a") as turns:
            fcntl.flock(turns, fcntl.LOCK_EX)  # threads and processes take turns
            new = self._path.with_name(f".{self._path.name}.new")
            new.write_text(json.dumps(self._remembered() | {place: version}))
            new.replace(self._path)


def _decided(attestation: str, trust: Trust, at: dt.datetime) -> bool:
    """Tell whether an approval holds at a time but for the bytes, which are not compared: nothing is downloaded."""
    found = verify(attestation, trust.keys, at, Expected(None, trust.policy_digest, candidate=trust.candidate))
    return not (found.reasons or superseded(found, attestation, trust))
