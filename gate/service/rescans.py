"""The scheduled re-scan of production by today's policy, with an alert for what would be flagged today."""

import datetime as dt

from gate.attestations.keys import PublicKey
from gate.attestations.log import ReviewLog
from gate.check.base_model import asked_base
from gate.promotion.rescan import Rescan, rescan
from gate.promotion.verification import Trust, now
from gate.records.errors import CannotFinishError
from gate.registries.contract import ProductionRegistry
from gate.service.alerts import Alerts
from gate.service.jobs import read_rules
from gate.service.logs import log
from gate.service.settings import ModelSection, Settings

_LEAST_AGE = dt.timedelta(hours=1)
"""Age of a scan from which another is due: a schedule that fires twice scans once."""


class Rescans:
    """Scans production again."""

    def __init__(
        self, settings: Settings, registry: ProductionRegistry, keys: tuple[PublicKey, ...], alerts: Alerts
    ) -> None:
        self._settings, self._registry, self._keys, self._alerts = settings, registry, keys, alerts

    def scan(self) -> str:
        """Scan the versions behind every production model's aliases; return how many would be flagged today."""
        return str(sum(self._scan(section) for section in self._settings.file.models if section.production))

    def _scan(self, section: ModelSection) -> int:
        assert section.production is not None
        rules, log_ = read_rules(section), ReviewLog(self._settings.audit_log)
        policy = rules.policy
        request = Rescan(
            model=section.production,
            older_than=_LEAST_AGE,
            rules=rules,
            settings=self._settings.scan(),
            trust=Trust(
                self._keys, policy.digest, section.name, log_, policy.artifact_stores, download=policy.download
            ),
            report_dir=self._settings.file.data / "rescans",
            base=asked_base(section.base),
        )
        found = rescan(self._registry, request, now(), lambda *_: None, log)
        for one in found:
            if one.error:
                self._alerts.send("rescan-unfinished", model=str(one.ref), why=one.error)
            elif one.would_be_flagged:
                self._alerts.send("would-be-flagged", model=str(one.ref), cause=one.cause)
        if any(one.error for one in found):
            raise CannotFinishError(f"{section.production!r} could not be scanned again as a whole")
        return sum(one.would_be_flagged for one in found)
