"""What the metrics say of published verdicts and of the queues, and that no hostile number or name spoils them."""

import asyncio
import itertools
import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gate.service import counting, depth, metrics
from gate.service.depth import Depth, Piece
from gate.service.run import build_app
from tests.renderers import reports

LABELLED = ("VERDICTS", "REASONS", "DETECTORS", "DETECTOR_SECONDS", "DEPTH", "OLDEST")


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Give each test metrics that have counted nothing."""
    monkeypatch.setattr(metrics, "_named", set())
    for name in LABELLED:
        monkeypatch.setattr(getattr(metrics, name), "_metrics", {})


def value(metric, suffix="", **labels):
    """Return one sample's value; None where there is none."""
    found = [one.value for family in metric.collect() for one in family.samples if _is(one, metric, suffix, labels)]
    assert len(found) <= 1
    return found[0] if found else None


def _is(sample, metric, suffix, labels):
    return sample.name == f"{metric._name}{suffix}" and sample.labels == labels


def count(report, **changes):
    """Count a report's verdict."""
    counting.count_verdict(report.verdict.model_copy(update=changes), report)


def test_a_verdict_counts_once_and_each_of_its_reasons_once_however_many_findings_it_has():
    """What a waiver covers is no reason."""
    report = reports.flagged()
    count(report, findings=(*report.verdict.findings, *report.verdict.open_findings))
    assert value(metrics.VERDICTS, "_total", policy="default", decision="flagged") == 1
    reasons = {(finding.kind, finding.rule) for finding in report.verdict.open_findings}
    assert len(reasons) > 1
    told = {tuple(one.labels.values()) for family in metrics.REASONS.collect() for one in family.samples}
    assert {(kind, rule) for policy, kind, rule in told if policy == "default"} == reasons
    for kind, rule in reasons:
        assert value(metrics.REASONS, "_total", policy="default", kind=kind, rule=rule) == 1
    waived = {f.rule for f in report.verdict.findings if f.waived} - {rule for _, rule in reasons}
    assert waived
    assert not waived & {rule for _, _, rule in told}


def test_every_detector_of_the_policy_is_counted_and_silence_too():
    """One without an outcome is absent; one that the evidence names and the policy does not is passed over."""
    report = reports.flagged()
    outcomes = dict(report.evidence.outcomes)
    gone = next(iter(report.policy.detectors))
    claimed = outcomes.pop(gone)
    evidence = report.evidence.model_copy(update={"outcomes": {**outcomes, "made-up-by-a-worker": claimed}})
    count(report.model_copy(update={"evidence": evidence}))
    told = {
        one.labels["detector"]: one.labels["status"]
        for family in metrics.DETECTORS.collect()
        for one in family.samples
        if one.name.endswith("_total")
    }
    assert set(told) == set(report.policy.detectors)
    assert told[gone] == "absent"
    expected = {name: outcomes[name].status for name in report.policy.detectors if name in outcomes}
    assert {name: told[name] for name in expected} == expected
    assert len(set(expected.values())) > 1


def test_seconds_that_a_worker_makes_up_stay_a_number():
    """Their sum over many checks neither overflows nor drowns the others for ever."""
    report = reports.flagged()
    name = "neural-cleanse"
    huge = report.evidence.outcomes[name].model_copy(update={"seconds": 1e308})
    evidence = report.evidence.model_copy(update={"outcomes": {**report.evidence.outcomes, name: huge}})
    for _ in range(3):
        count(report.model_copy(update={"evidence": evidence}))
    assert value(metrics.DETECTOR_SECONDS, "_sum", detector=name) == 3 * counting.MOST_SECONDS
    assert value(metrics.DETECTOR_SECONDS, "_count", detector=name) == 3


def test_names_of_policies_have_an_end():
    """A policy file whose name changes with each check makes no new series for ever."""
    report = reports.approved()
    for number in range(metrics.MOST_POLICIES + 20):
        count(report, policy_name=f"p{number}")
    count(report, policy_name="p0")
    assert value(metrics.VERDICTS, "_total", policy="p0", decision="approved") == 2
    assert value(metrics.VERDICTS, "_total", policy=metrics.OTHER, decision="approved") == 20
    assert len(metrics.VERDICTS._metrics) == metrics.MOST_POLICIES + 1


def test_a_policys_name_breaks_no_line_of_the_text():
    """Quotes and newlines of a label's value are escaped by the format's own library."""
    count(reports.approved(), policy_name='a"} 1\ngate_forged{x="')
    registry = CollectorRegistry()
    registry.register(metrics.VERDICTS)
    lines = generate_latest(registry).decode().splitlines()
    assert not [line for line in lines if line.startswith("gate_forged")]
    assert [line for line in lines if line.startswith('gate_verdicts_total{decision="approved",policy="a\\"} 1\\n')]


def test_the_depth_of_every_queue_is_shown_and_an_empty_one_is_zero():
    """Queued and running apart, with the age of the oldest; a queue of the engine's own is not shown."""
    now = time.time()
    pieces = [Piece("checks", "queued", now - 90), Piece("checks", "running", now - 300), Piece("own", "queued", now)]
    Depth(("arrivals", "checks"), lambda _most: pieces).refresh()
    assert value(metrics.DEPTH, queue="checks", state="queued") == 1
    assert value(metrics.DEPTH, queue="checks", state="running") == 1
    assert value(metrics.DEPTH, queue="arrivals", state="queued") == 0
    assert value(metrics.OLDEST, queue="checks") == pytest.approx(300, abs=30)
    assert value(metrics.OLDEST, queue="arrivals") == 0
    assert {queue for queue, _ in metrics.DEPTH._metrics} == {"arrivals", "checks"}


def test_many_scrapes_ask_the_database_once_and_for_a_bounded_number():
    """The endpoint may be open to everybody."""
    asked = []
    seen = Depth(("checks",), lambda most: asked.append(most) or [])
    for _ in range(50):
        seen.refresh()
    assert asked == [depth.MOST_READ]


def scraped(settings_token, seen, headers=()):
    """Return status, headers and body of one scrape over ASGI."""
    sent = []

    class Settings:
        metrics_token = settings_token

    class Pages:
        routes = staticmethod(list)

    class Receiver:
        receive = None

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/metrics", "raw_path": b"/metrics", "query_string": b""}
    scope |= {"headers": list(headers), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
    app = build_app(Settings(), Receiver(), Pages(), lambda: "", seen)
    asyncio.run(app({**scope, "scheme": "http", "http_version": "1.1"}, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(one.get("body", b"") for one in sent[1:])


def test_a_database_that_is_away_leaves_the_other_numbers_readable():
    """They are wanted most then; the time of the last reading says that depth and age are old."""
    failing = itertools.count(1)

    def read(_most):
        next(failing)
        raise OSError("away")

    status, _, text = scraped("", Depth(("checks",), read))
    assert (status, b"gate_checks_total" in text) == (200, True)
    assert next(failing) == 2


def test_a_token_closes_the_metrics_before_the_database_is_asked():
    """Nothing, another token and another scheme are refused, and told which scheme it is."""
    asked = []
    seen = Depth(("checks",), lambda most: asked.append(most) or [])
    for given in ([], [(b"authorization", b"Bearer other")], [(b"authorization", b"Basic c2VjcmV0")]):
        status, headers, text = scraped("secret", seen, given)
        assert (status, headers[b"www-authenticate"], b"gate_" in text) == (401, b"Bearer", False)
    assert asked == []
    assert scraped("secret", seen, [(b"authorization", b"Bearer secret")])[0] == 200
