"""`gate explain`: every name that a report shows has an answer, and every name that is nearly one a suggestion."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gate import detectors
from gate.cli.glossary import TERMS
from gate.cli.main import main
from gate.policies.suggestions import did_you_mean, near
from gate.records.errors import UsageError
from gate.records.finding import Decision
from gate.renderers.confirmation import COLUMNS
from gate.renderers.issues import issues
from tests.renderers import reports

ROOT = Path(__file__).parents[2]
METRICS = sorted({metric.id for name in detectors.names() for metric in detectors.load(name).metrics})
FIRST = {name: detectors.load(name) for name in detectors.names()}


def explain(*name, columns=80):
    """Return the lines of an explanation."""
    ended = CliRunner().invoke(main, ["explain", *name], env={"COLUMNS": str(columns)}, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.stdout.splitlines()


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_explained_with_the_detectors_that_measure_it(metric):
    """What it means, its unit and its direction, once for each detector."""
    lines = explain(metric)
    measured = [one for one in FIRST.values() if one.metric(metric)]
    assert lines[0].startswith(f"{metric}: a metric of ")
    for detector in measured:
        assert any(detector.id in line for line in lines)
    assert sum(line.startswith("Unit ") for line in lines) == len(measured)
    assert sum(line.startswith("Worse ") for line in lines) == len(measured)


@pytest.mark.parametrize("name", sorted(FIRST))
def test_every_detector_is_explained(name):
    """By its id, by its id in other signs, and one of its metrics as findings are named."""
    lines = explain(name)
    assert lines[0] == f"{name}: {FIRST[name].title}"
    assert explain(*name.replace("-", " ").title().split()) == lines
    assert f"For       models that take {' or '.join(sorted(FIRST[name].spaces))}" in lines
    first = FIRST[name].metrics[0]
    assert explain(f"{name}/{first.id}", columns=100)[0].startswith(
        f"{name}/{first.id}: a metric of {FIRST[name].title[:20]}"
    )


@pytest.mark.parametrize("report", [reports.approved, reports.flagged, reports.unfinished, reports.unbundled])
def test_whatever_a_report_names_is_explained(report):
    """Rules of findings and issues, columns of suspects, and the decision."""
    made = report()
    named = {issue.rule for issue in issues(made)} | {made.decision.value}
    named |= {finding.rule for finding in made.verdict.findings} if made.verdict else set()
    named |= {column.title for column in COLUMNS}
    for name in named:
        assert explain(name)


def test_every_rule_of_the_judge_has_a_text():
    """No condition can be added to the judge that nobody can look up."""
    sources = [*(ROOT / "gate" / "judging").rglob("*.py"), ROOT / "gate" / "records" / "policy.py"]
    said = {rule for path in sources for rule in re.findall(r'rule="([a-z-]+)"', path.read_text())}
    assert {"samples", "assurance", "isolation", "bundle"} <= said <= set(TERMS)
    assert {decision.value for decision in Decision} <= set(TERMS)
    assert {"limit", "silence", "condition"} <= set(TERMS)


@pytest.mark.parametrize("name", FIRST)
def test_every_option_of_a_detector_is_explained(name):
    """A number alone says nothing of what it counts."""
    wanted = FIRST[name].options.model_json_schema(by_alias=True).get("properties", {})
    text = " ".join(" ".join(explain(name)).split()).partition("Options in the policy")[2]
    told = dict(re.findall(r"([a-z-]+) \(default [^)]*\)+: ([A-Z][^.]+\.)", text))
    assert told.keys() == wanted.keys()


def test_without_a_name_all_are_listed():
    """Each stands whole in a line, so that it can be copied."""
    words = set(re.findall(r"[a-z-]+", "\n".join(explain())))
    assert {*FIRST, *METRICS, *TERMS} <= words


def test_the_limits_of_the_policies_stand_beside_a_metric():
    """With what they mean for some numbers of classes, and where they come from."""
    text = " ".join(" ".join(explain("neural-cleanse/size-ratio")).split())
    assert "Limit default flags below 0.316 at 8, 0.307 at 10, 0.227 at 100, 0.173 at 1000 classes" in text
    assert "Suspect default looks closer below 0.5" in text
    assert "Source: 5 % under a log-normal null" in text


def test_the_only_name_that_begins_so_is_meant():
    """`gate explain neural` is neural-cleanse; `size` is itself, though others begin with it."""
    assert explain("neural") == explain("neural-cleanse")
    assert explain("size")[0].startswith("size: ")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("size-rato", "'size-ratio'"),
        ("neural-clense", "'neural-cleanse'"),
        ("trigger", "'trigger-overlap', 'trigger-share'"),
        ("cleanse", "'neural-cleanse'"),
        ("assurence", "'assurance'"),
        ("neural-cleanse/size-rato", "'size-ratio'"),
        ("SUSPECTS", "'suspect'"),
    ],
)
def test_what_is_nearly_a_name_is_answered_with_suggestions(asked, meant):
    """And ends with 2, as every wrong argument."""
    with pytest.raises(UsageError, match="did you mean") as caught:
        CliRunner().invoke(main, ["explain", asked], catch_exceptions=False)
    assert meant in str(caught.value)


def test_a_name_like_no_other_is_refused_without_a_guess():
    """The error names the command that lists them."""
    with pytest.raises(UsageError, match="unknown name 'mind-reading'") as caught:
        CliRunner().invoke(main, ["explain", "mind-reading"], catch_exceptions=False)
    assert "did you mean" not in str(caught.value)
    assert "gate explain" in caught.value.what_to_do


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("name", [(), ("size-ratio",), ("neural-cleanse",), ("samples",)])
def test_lines_are_true_to_the_terminal(name, columns):
    """No line is longer than the terminal is wide."""
    assert max(map(len, explain(*name, columns=columns))) <= columns


@given(st.text(max_size=300), st.lists(st.text(max_size=20), max_size=30))
def test_suggestions_are_known_names_and_few(word, known):
    """Whatever is asked and known."""
    found = near(word, known)
    assert set(found) <= set(known)
    assert len(found) == len(set(found)) <= 5
    assert bool(did_you_mean(word, known)) == bool(found)


@given(st.text(max_size=200))
def test_no_name_breaks_it(name):
    """Any text is answered or refused in a sentence."""
    ended = CliRunner().invoke(main, ["explain", "--", name])
    assert ended.exception is None or isinstance(ended.exception, UsageError)
