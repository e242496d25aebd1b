"""Alerts: a metric, a log line, and a JSON post to one configured address, tried once."""

import json
import logging
import urllib.request
from http.client import HTTPException

from gate.records.logins import without_logins
from gate.service import metrics
from gate.service.logs import log

_SECONDS = 5
_LASTING = frozenset({"no-longer-approved", "not-judged", "policy-unreadable", "mark-not-put-back"})
"""Kinds that every look finds anew, until somebody acts."""


class Alerts:
    """Sends alerts to one address, or only to log and metrics where it is empty."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._sent: set[str] = set()

    def send(self, kind: str, **facts: str) -> None:
        """Send one alert; a lasting state with the same facts is told once while the process lives."""
        facts = {name: without_logins(fact) for name, fact in facts.items()}
        text = json.dumps({"alert": kind, **facts}, sort_keys=True)
        if kind in _LASTING and text in self._sent:
            return
        self._sent.add(text)
        metrics.ALERTS.labels(kind).inc()
        log("alert", level=logging.WARNING, alert=kind, **facts)
        if not self._url:
            return
        request = urllib.request.Request(  # noqa: S310  # the configuration allows http and https alone
            self._url, text.encode(), {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310  # likewise
                pass
        except (OSError, HTTPException, ValueError) as error:
            log("an alert could not be posted", level=logging.ERROR, alert=kind, why=type(error).__name__)
