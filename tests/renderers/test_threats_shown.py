"""Threats in the report: those to act on first, the same said once, and never a word of safety."""

import re

import reports

from gate.judging.threat_rates import power_of
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.threat import Threat
from gate.renderers import RENDERERS
from gate.renderers.threats import WORDS, about_threats, in_lines, threat_rows


def with_threats(*threats):
    """Return the flagged report with these threats."""
    report = reports.flagged()
    return report.model_copy(update={"verdict": report.verdict.model_copy(update={"threats": threats})})


def test_the_order_is_by_what_a_reader_must_do():
    """Detected, not examined, waived, not detected."""
    known = [Threat(id=f"a-{n}", title=f"T{n}", status=status) for n, status in enumerate(reversed(WORDS))]
    assert [row.status for row in threat_rows(with_threats(*known))] == list(WORDS)


def test_what_is_not_detected_stands_with_its_power():
    """Counts, the exact interval, and the bound of false alarms; and of which models they are."""
    power, _ = power_of("patch", read_policy(DEFAULT, on=reports.DAY), "limits")
    shown = with_threats(Threat(id="patch", title="A patch", status="not-detected", by=("probe-grid",), power=power))
    (row,) = threat_rows(shown)
    assert f"{power.found} of {power.models} such models found (" in row.says
    assert f"{power.false_alarms} of {power.clean_models} clean ones flagged (at most " in row.says
    assert power.split in about_threats(shown)
    assert re.search("Not detected is not absent", RENDERERS["html"][1](shown))


def test_a_detector_that_was_skipped_stands_beside_those_that_looked():
    """In the row, so that no reader takes its silence for a look."""
    one = Threat(
        id="a", title="A", status="not-detected", by=("b",), without=("modelaudit",), power_unknown="nothing is known"
    )
    (row,) = threat_rows(with_threats(one))
    assert row.says == "by b, without modelaudit, which was skipped; nothing is known"


def test_the_same_is_said_once_for_several_threats():
    """A row names them all."""
    same = [Threat(id=f"a-{n}", title=f"T{n}", status="not-examined", reason="it was skipped") for n in range(3)]
    (row,) = threat_rows(with_threats(*same))
    assert row.titles == ("T0", "T1", "T2")
    assert RENDERERS["markdown"][1](with_threats(*same)).count("it was skipped") == 1


def test_a_hostile_reason_or_name_stays_text():
    """In HTML and Markdown nothing of it is markup."""
    bad = "</td><script>x</script>|`\u202e"
    known = [
        Threat(id="a", title=bad, status="not-examined", reason=bad),
        Threat(id="b", title="B", status="waived", by=("c",), waived_by=(bad,), until=reports.DAY),
    ]
    for name in ("html", "markdown"):
        text = RENDERERS[name][1](with_threats(*known))
        assert "<script>" not in text
        assert "\u202e" not in text


def test_a_terminal_gets_short_names_by_status():
    """What a rule that looks for several threats found is one of them or more, and is not said of each."""
    lines = dict(in_lines(reports.flagged()))
    assert lines["detected"].startswith("one or more of: patch, ")
    assert lines["detected"].endswith("; found by neural-cleanse")
    assert "graph" in lines["not examined"]
    assert "found by" not in lines["not examined"]


def test_each_rule_that_found_something_has_its_own_line():
    """Threats of different rules are not mixed, and one alone is named without a choice."""
    several = [Threat(id=f"s-{n}", title=f"S{n}", status="detected", by=("neural-cleanse",)) for n in range(2)]
    alone = Threat(id="graph", title="G", status="detected", by=("graph-structure",))
    shown = with_threats(*several, alone)
    assert list(in_lines(shown)) == [
        ("detected", "one or more of: s-0, s-1; found by neural-cleanse"),
        ("detected", "graph; found by graph-structure"),
    ]
    assert [row.says for row in threat_rows(shown)] == ["one or more of them, by neural-cleanse", "by graph-structure"]
