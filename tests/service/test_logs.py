"""The service's log lines and alerts: no login, whatever characters it has."""

import io
import json
import logging
import sys

import pytest

from gate.records import logins
from gate.registries.contract import RegistrySettings
from gate.service.alerts import Alerts
from gate.service.logs import log, set_up_logs

ADDRESS = "postgresql://gate:Zm9v/YmFyCg2=@127.0.0.1:1/mlflow"


@pytest.fixture(autouse=True)
def lines(monkeypatch):
    """Return what reads the lines; loggers and known logins are left as they were."""
    monkeypatch.setattr(logins, "_remembered", set())
    root, own, written = logging.getLogger(), logging.getLogger("gate.service"), io.StringIO()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(sys, "stderr", written)
    levels = root.level, own.level
    set_up_logs()
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def test_a_line_shows_no_login(lines):
    """Neither the event nor a fact; another library's line neither."""
    log(f"the database {ADDRESS} does not answer", why=f"no answer of {ADDRESS}", tries=3)
    logging.getLogger("sqlalchemy").warning("connecting to %s", ADDRESS)
    first, second = lines()
    shown = "postgresql://127.0.0.1:1/mlflow"
    assert (first["event"], first["why"], first["tries"]) == (
        f"the database {shown} does not answer",
        f"no answer of {shown}",
        3,
    )
    assert second["event"] == f"connecting to {shown}"


def test_a_part_of_a_known_login_is_removed_too(lines):
    """As clients quote it that end the host at a slash."""
    RegistrySettings(ADDRESS)
    log("a poll failed", why="Failed to parse: 'gate:Zm9v', url: /YmFyCg2=@127.0.0.1")
    assert lines()[0]["why"] == "Failed to parse: '***', url: /***@127.0.0.1"


def test_an_alert_shows_no_login(lines):
    """In the log and in what is posted."""
    Alerts("").send("not-judged", why=f"the registry {ADDRESS} does not answer")
    assert lines()[0]["why"] == "the registry postgresql://127.0.0.1:1/mlflow does not answer"
