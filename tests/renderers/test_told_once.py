"""What a person reads first, on every surface: each cause once, with all that did not run because of it."""

import html
import re

import pytest
import reports
from test_next_steps import BAD_SAMPLES, CASES

from gate.cli.terminal import show_result
from gate.records.evidence import Skipped
from gate.records.finding import Finding
from gate.renderers import RENDERERS, comment
from gate.renderers.causes import causes, core
from gate.renderers.findings import all_reasons

WHY = "The model has several outputs, and nothing tells which one is used."
SKIPPED = f"needs the model, which could not be examined: {WHY}"


def silence(rule: str, message: str) -> Finding:
    """Return a finding."""
    return Finding(rule=rule, kind="silence", message=message)


def of(*findings: Finding, unrun: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Return rule and consequence of each cause."""
    outcomes = {name: Skipped(reason=SKIPPED) for name in unrun}
    report = reports.flagged().model_copy(update={"evidence": reports.evidence(outcomes)})
    found = causes(findings, report)
    return [(one.first.rule, one.consequence) for one in found]


def test_a_cause_names_the_detectors_that_did_not_run() -> None:
    """The problem stands in its own words, and after it who lacked the model because of it."""
    handed = [silence(name, f"The detector was skipped: {SKIPPED}") for name in ("a", "b", "c")]
    assert of(silence("scan", WHY), *handed, unrun=("a", "b", "c")) == [
        ("scan", "So 3 detectors did not run: a, b, c.")
    ]
    assert of(*handed, silence("scan", WHY), unrun=("a", "b", "c"))[0][0] == "scan"


def test_other_causes_stay_apart() -> None:
    """What has a reason of its own keeps it, and short words that occur in a sentence are no cause of it."""
    found = of(silence("scan", WHY), silence("a", "model"), silence("b", "Another reason, of its own."))
    assert [rule for rule, _ in found] == ["scan", "a", "b"]


def test_limits_are_never_folded() -> None:
    """Two places beyond a limit are two findings, whatever their words."""
    one = Finding(rule="a", kind="limit", message="the same words, word by word")
    assert len(of(one, one)) == 2


def test_the_frame_of_a_reason_is_taken_off() -> None:
    """Scan and judge hand a reason on in words of their own."""
    assert core(f"The detector was skipped: {SKIPPED}") == core(WHY)
    assert core("The model was not loaded: it carries code.") == core("not loaded: it carries code")


@pytest.mark.parametrize("case", ["bad-samples", "pickled"])
@pytest.mark.parametrize("surface", ["html", "markdown", "comment", "terminal"])
def test_a_cause_is_said_once_on_every_surface(case: str, surface: str, capsys) -> None:
    """The sentence stands once, and so do the detectors that it kept from running."""
    report = CASES[case]()
    show_result(report, None, "")
    text = {
        "html": lambda: RENDERERS["html"][1](report),
        "markdown": lambda: RENDERERS["markdown"][1](report),
        "comment": lambda: comment.render(report).split("<details>")[0],
        "terminal": capsys.readouterr,
    }[surface]()
    said = " ".join(html.unescape(re.sub(r"<[^>]+>|\\", " ", str(getattr(text, "out", text)))).split())
    sentence = BAD_SAMPLES if case == "bad-samples" else "it carries code, or its files are not what MLflow writes"
    assert said.count(sentence) == (1 if case == "bad-samples" else 0)
    assert said.count("did not run: neural-cleanse, activation-clustering, model-inversion.") == 1


def test_a_pickle_is_one_reason() -> None:
    """Eleven calls, a model that was not loaded and the detectors without it come of one thing."""
    found = all_reasons(CASES["pickled"]())
    assert [reason.rule for reason in found] == ["unsafe-pickle"]
    assert found[0].more.startswith("And 10 more findings of this kind. So 3 detectors did not run: ")
