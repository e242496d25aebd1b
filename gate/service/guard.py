"""Protected aliases and stages: one that was moved to an unapproved version is set back to the last approved one.

Detection after the fact: the window is a webhook's delivery, or else one poll. A version whose decision has expired
since it was put there stays and raises an alert: an expiry must not stop production.
"""

import json
import logging
import os
from pathlib import Path

from gate.attestations.envelope import Expected, open_envelope, verify
from gate.attestations.keys import PublicKey
from gate.attestations.log import ReviewLog
from gate.promotion.verification import ATTESTATION_TAG, Trust, now, superseded, verify_version
from gate.records.artifact import ModelRef
from gate.registries.contract import ProductionRegistry
from gate.service import metrics
from gate.service.alerts import Alerts
from gate.service.jobs import read_rules
from gate.service.logs import log
from gate.service.settings import ModelSection, Settings


class Guard:
    """Compares protected places with the signed decisions, and corrects them."""

    def __init__(
        self, settings: Settings, registry: ProductionRegistry, keys: tuple[PublicKey, ...], alerts: Alerts
    ) -> None:
        self._settings, self._registry, self._keys, self._alerts = settings, registry, keys, alerts
        self._path = settings.file.data / "protected.json"
        self._looked: dict[tuple[ModelRef, str], bool] = {}

    def look(self, production: str) -> str:
        """Correct every protected alias and stage of a production model; return how many were wrong."""
        wrong = 0
        if not self._exists(production):
            return "0"
        for section in self._settings.file.models:
            if section.production == production:
                wrong += sum(not self._alias(section, alias) for alias in section.aliases)
                wrong += self._stages(section)
        return str(wrong)

    def _exists(self, production: str) -> bool:
        """Tell whether there is anything to guard: before the first promotion MLflow answers 403 for aliases.

        A model with a remembered place counts as existing: lost rights must not pass for an empty registry.
        """
        remembered = any(place.startswith(f"{production}@") for place in self._remembered())
        return remembered or bool(self._registry.find_versions(production, {}))

    def _alias(self, section: ModelSection, alias: str) -> bool:
        assert section.production is not None
        held = self._registry.alias(section.production, alias)
        if held is None:
            return True
        place = f"{section.production}@{alias}"
        good = self._remembered().get(place)
        if self._approved(section, held):
            if good != held.version:
                self._remember(place, held.version or "")
            return True
        if good is None and self._once_approved(section, held):
            good = held.version  # the file that remembers it is lost or new: the decision tells it instead
            self._remember(place, good or "")
        if good == held.version:
            self._alerts.send("no-longer-approved", model=str(held), place=place)
            return False
        self._put_back(section, alias, held, good)
        return False

    def _put_back(self, section: ModelSection, alias: str, held: ModelRef, good: str | None) -> None:
        """Point the alias at the last approved version; without one an alert says that nothing can be put back."""
        place = f"{held.name}@{alias}"
        last = ModelRef(registry="mlflow", name=held.name, version=good) if good else self._last_approved(section)
        outcome = "put-back" if last else "nothing-to-put-back"
        if last is not None:
            self._registry.set_alias(last, alias)
        metrics.REVERTED.labels("alias", outcome).inc()
        log("a protected alias was moved", level=logging.WARNING, place=place, to=str(held), outcome=outcome)
        self._alerts.send("protected-alias", model=str(held), place=place, outcome=outcome, now=str(last or held))

    def _last_approved(self, section: ModelSection) -> ModelRef | None:
        assert section.production is not None
        found = self._registry.find_versions(section.production, {})
        return next((ref for ref, _ in found if self._approved(section, ref)), None)

    def _stages(self, section: ModelSection) -> int:
        """Archive versions in a protected stage without a decision; return how many there were."""
        assert section.production is not None
        wrong = 0
        for ref, stage in self._registry.staged(section.production, section.stages):
            if not self._approved(section, ref):
                self._registry.archive(ref)
                wrong += 1
                metrics.REVERTED.labels("stage", "archived").inc()
                event = "an unapproved version was in a protected stage"
                log(event, level=logging.WARNING, model=str(ref), stage=stage)
                self._alerts.send("protected-stage", model=str(ref), place=stage, outcome="archived")
        return wrong

    def _approved(self, section: ModelSection, ref: ModelRef) -> bool:
        """Tell whether a decision covers the version's bytes; a yes is remembered while its attestation stays."""
        attestation = self._registry.facts(ref).tags.get(ATTESTATION_TAG, "")
        if self._looked.get((ref, attestation)):
            return not _expired(attestation, self._trust(section))
        policy = read_rules(section).policy
        trust = self._trust(section, policy.digest, policy.artifact_stores)
        holds = self._looked[ref, attestation] = verify_version(self._registry, str(ref), trust, now()).holds
        return holds

    def _once_approved(self, section: ModelSection, ref: ModelRef) -> bool:
        """Tell whether these bytes were ever approved, under any policy, and not rejected since."""
        facts = self._registry.facts(ref)
        statement = open_envelope(facts.tags.get(ATTESTATION_TAG, ""), self._keys).statement
        if statement is None:
            return False
        trust = self._trust(section, stores=read_rules(section).policy.artifact_stores)
        return verify_version(self._registry, str(ref), trust, statement.predicate.decided_at).holds

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
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        partial.write_text(json.dumps(self._remembered() | {place: version}))
        Path(partial).replace(self._path)


def _expired(attestation: str, trust: Trust) -> bool:
    """Tell whether a decision that held before, about bytes that were compared then, no longer holds."""
    found = verify(attestation, trust.keys, now(), Expected(None, None, candidate=trust.candidate))
    return bool(found.reasons or superseded(found, attestation, trust.log))
