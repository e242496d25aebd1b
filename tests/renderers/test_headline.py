"""The handful of values that later steps of a pipeline read: the policy's own metrics, and nothing that could act."""

import re

import pytest
import reports

from gate.records.evidence import Location, Measured, Measurement
from gate.renderers.headline import headline, inert


def test_an_index_on_which_the_policy_sets_no_limit_is_not_the_headline() -> None:
    """Another detector's metric of the same name is on a scale of its own."""
    report = reports.flagged()
    assert report.evidence
    loud = Measured(
        measurements=(Measurement(metric="anomaly-index", value=320.2, location=Location.of_class(1)),), seconds=1.0
    )
    outcomes = {**report.evidence.outcomes, "model-inversion": loud}
    found = report.model_copy(update={"evidence": report.evidence.model_copy(update={"outcomes": outcomes})})
    assert headline(found)["anomaly-index"] == "7.64"


def test_the_p_value_that_judged_is_the_headline() -> None:
    """Where a bank calibrated the verdict, its p-value is an output, flagged or not; without one there is none."""
    assert headline(reports.approved())["p-value"] == "0.8"
    assert headline(reports.flagged())["p-value"] == ""


def test_without_a_report_the_decision_is_flagged() -> None:
    """Silence is never approval, in an output either."""
    values = headline(None)
    assert values["decision"] == "flagged"
    assert set(values.values()) == {"flagged", ""}


@pytest.mark.parametrize("text", ["a b", "$(id)", "a\nb=c", "`x`", 'q"q', "ü", "%0A"])
def test_a_value_keeps_only_a_narrow_alphabet(text: str) -> None:
    """What a shell would expand or a reader would split is replaced."""
    assert re.fullmatch(r"[A-Za-z0-9._:/@+,=~#?&-]*", inert(text))
