"""Protected aliases and stages: one that was moved to an unapproved version is set back to the last approved one.

Detection after the fact: the window is a webhook's delivery, or else one poll. A version whose decision has expired
since it was put there stays and raises an alert: an expiry must not stop production. An error is no approval, whatever
it is: a version chooses what it makes of a download. Nothing is moved, and an alert says so, where no version could be
judged: the registry is silent, policy or log are away, or the bytes of the version to put back cannot be had either
(docs/decisions/0058-what-cannot-be-judged-stays.md).
"""

import fcntl
import json
import logging
from collections.abc import Callable, Iterator
from functools import partial

from gate.attestations.envelope import envelope_digest
from gate.attestations.keys import PublicKey
from gate.records.artifact import ModelRef
from gate.records.errors import GateError
from gate.registries.contract import ProductionRegistry
from gate.service import metrics
from gate.service.alerts import Alerts
from gate.service.approvals import Approvals, NotJudgedError
from gate.service.logs import log
from gate.service.settings import ModelSection, Settings


class Guard:
    """Compares protected places with the signed decisions, and corrects them."""

    def __init__(
        self, settings: Settings, registry: ProductionRegistry, keys: tuple[PublicKey, ...], alerts: Alerts
    ) -> None:
        self._settings, self._registry, self._alerts = settings, registry, alerts
        self._approvals = Approvals(settings, registry, keys, alerts)
        self._path = settings.file.data / "protected.json"

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
        # No two candidate models share a production model, so that each place is judged once, by one policy.
        section = next((one for one in self._settings.file.models if one.production == production), None)
        if section is not None:
            yield from (partial(self._alias, section, alias) for alias in section.aliases)
            yield partial(self._stages, section)

    def _exists(self, production: str) -> bool:
        """Tell whether there is anything to guard: before the first promotion MLflow answers 403 for aliases.

        A model with a remembered place counts as existing: lost rights must not pass for an empty registry.
        """
        remembered = any(place.startswith(f"{production}@") for place in self._remembered())
        return remembered or bool(self._registry.find_versions(production, {}))

    def _alias(self, section: ModelSection, alias: str) -> bool:
        """Correct one alias; return whether it was wrong, or could not be judged."""
        assert section.production is not None
        held = self._registry.alias(section.production, alias)
        if held is None:
            return False
        return self._judged("alias", held, f"{section.production}@{alias}", lambda: self._correct(section, alias, held))

    def _correct(self, section: ModelSection, alias: str, held: ModelRef) -> bool:
        place = f"{held.name}@{alias}"
        good, approved = self._remembered().get(place), self._approvals.holds(section, held)
        if approved:
            if good != held.version:
                self._remember(place, held.version or "")
            return False
        once = self._approvals.held_once(section, held) if good is None else False
        if once:
            good = held.version  # the file that remembers it is lost or new: the decision tells it instead
            self._remember(place, good or "")
        if good == held.version:
            self._alerts.send("no-longer-approved", model=str(held), place=place)
            return True
        last = ModelRef(registry="mlflow", name=held.name, version=good) if good else self._last_approved(section)
        if last is not None and None in {approved, once}:
            self._require_bytes(section, last)
        self._put_back(alias, held, last)
        return True

    def _judged(self, what: str, ref: ModelRef, place: str, correct: Callable[[], bool]) -> bool:
        """Correct a place, or say that what is there cannot be judged and was left alone; it is asked again."""
        try:
            return correct()
        except NotJudgedError as error:
            metrics.REVERTED.labels(what, "not-judged").inc()
            self._alerts.send("not-judged", model=str(ref), place=place, why=str(error)[:500])
            return True

    def _require_bytes(self, section: ModelSection, other: ModelRef) -> None:
        """Raise where another version's bytes cannot be had either: whose fault it is cannot be told."""
        if not self._approvals.can_be_had(section, other):
            raise NotJudgedError(f"its bytes cannot be had at this moment, and those of {other} cannot either")

    def _put_back(self, alias: str, held: ModelRef, last: ModelRef | None) -> None:
        """Point the alias at the last approved version; without one an alert says that nothing can be put back."""
        place = f"{held.name}@{alias}"
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
        return next((ref for ref, _ in found if self._approvals.holds(section, ref)), None)

    def _stages(self, section: ModelSection) -> int:
        """Archive versions in a protected stage without a decision; return how many there were, or not judged.

        One that was approved there and now cannot be verified stays: an error of the gate must not stop production.
        """
        assert section.production is not None
        found = self._registry.staged(section.production, section.stages)
        return sum(self._judged("stage", ref, stage, partial(self._stage, section, ref, stage)) for ref, stage in found)

    def _stage(self, section: ModelSection, ref: ModelRef, stage: str) -> bool:
        approved, place = self._approvals.holds(section, ref), f"{section.production}/{stage}/{ref.version}"
        name = envelope_digest(self._approvals.attestation(ref))
        known = self._remembered().get(place) == name
        if approved:
            if not known:
                self._remember(place, name)
            return False
        if approved is None and known:
            self._alerts.send("no-longer-approved", model=str(ref), place=stage)
            return True
        if approved is None and (other := self._another(section, ref)) is not None:
            self._require_bytes(section, other)
        self._registry.archive(ref)
        metrics.REVERTED.labels("stage", "archived").inc()
        event = "an unapproved version was in a protected stage"
        log(event, level=logging.WARNING, model=str(ref), stage=stage)
        self._alerts.send("protected-stage", model=str(ref), place=stage, outcome="archived")
        return True

    def _another(self, section: ModelSection, ref: ModelRef) -> ModelRef | None:
        """Return another version of the model that was seen approved in a place, the newest; None without one."""
        alias, stage = f"{section.production}@", f"{section.production}/"
        told = self._remembered().items()
        seen = {v for place, v in told if place.startswith(alias)} | {
            place.rpartition("/")[2] for place, _ in told if place.startswith(stage)
        }
        newest = max(seen - {ref.version, ""}, key=lambda version: (len(version), version), default=None)
        if newest is None:
            return self._last_approved(section)
        return ModelRef(registry="mlflow", name=ref.name, version=newest)

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
