"""What a person reads first, on the terminal and at the head of a report: each reason once, with all who give it."""

from gate.cli.terminal import _told_once
from gate.finding import Finding
from gate.renderers.findings import Reason, _once

WHY = "The model has several outputs, and nothing tells which one is used."


def silence(rule, message):
    """Return a finding."""
    return Finding(rule=rule, kind="silence", message=message)


def test_a_reason_that_many_detectors_give_is_told_once():
    """The first rule stands at its head and the others with it, in their order."""
    said = _told_once((silence("a", "one"), silence("b", "two"), silence("c", "one")))
    assert said == [(["a", "c"], "one"), (["b"], "two")]


def test_what_a_later_reason_repeats_of_an_earlier_one_is_cut():
    """A detector that lacks the model need not say again why the model is lacking."""
    skipped = f"The detector was skipped: needs the model, which could not be examined: {WHY}"
    said = _told_once((silence("scan", WHY), silence("a", skipped), silence("b", skipped)))
    cut = "The detector was skipped: needs the model, which could not be examined: as said above."
    assert said == [(["scan"], WHY), (["a", "b"], cut)]


def test_the_head_of_a_report_names_a_reason_once_with_all_its_rules():
    """Six detectors that lack the model are one reason, and leave room for the others."""
    skipped = f"The detector was skipped: needs the model, which could not be examined: {WHY}"
    found = _once([Reason("scan", WHY), Reason("a", skipped), Reason("x", "another"), Reason("b", skipped)])
    assert found == [Reason("scan", WHY, "Likewise a, b."), Reason("x", "another")]
