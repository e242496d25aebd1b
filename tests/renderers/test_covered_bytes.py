"""The first thing a reader may not mistake: which bytes a decision is about, and what opens them, on every surface."""

import json
import re
from xml.etree import ElementTree as ET

import pytest
import reports
from hypothesis import given
from hypothesis import strategies as st

from gate.cli.terminal import show_result
from gate.records.bundle import BundleFacts
from gate.records.report import Report
from gate.renderers import RENDERERS, comment
from gate.renderers.bundled import UNSHOWN, difference
from gate.renderers.headline import headline
from gate.renderers.served import Served, newer_than_candidate, opens, served
from gate.renderers.view import View

BUNDLE = reports.digest("c")
CANDIDATE = reports.manifest().digest


def seen(report: Report) -> Served:
    """Return what is said of the bytes, which must be something."""
    found = served(report)
    assert found is not None
    return found


def covered(report: Report) -> dict[str, bool]:
    """Return the digests that are named, and whether an approval is about them."""
    return {one.digest: one.covered for one in seen(report).bytes}


def judged(report: Report, **changes: object) -> Report:
    """Return a report with changes to its verdict."""
    assert report.verdict
    return report.model_copy(update={"verdict": report.verdict.model_copy(update=changes)})


def page(kind: str, report: Report) -> str:
    """Return a rendering without tags, escapes and folded blanks."""
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", RENDERERS[kind][1](report), flags=re.DOTALL)
    return re.sub(r"\s+", " ", text.replace("\\", "").replace("&#39;", "'"))


def on_terminal(report: Report, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of the result on a terminal."""
    show_result(report, None, "")
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_an_approval_of_both_says_what_each_is_for() -> None:
    """The candidate for who loads it in the registry, the bundle for production, and what opens it."""
    told = seen(reports.approved())
    assert covered(reports.approved()) == {CANDIDATE: True, BUNDLE: True}
    assert [one.means for one in told.bytes] == [
        "as they lie in the registry, for whoever loads them there",
        "what gate promote copies into production",
    ]
    assert (told.opens, told.newer, told.alone, told.remark) == (
        "torch ≥ 2.9, MLflow ≥ 3.9; written by torch 2.13.0",
        *("", "", ""),
    )


@pytest.mark.parametrize("name", ["bundle_alone", "converted"])
def test_an_approval_of_the_bundle_alone_says_so_before_anything_else(name: str) -> None:
    """In the heading of each format; the candidate's digest stands as one that is not approved."""
    report = getattr(reports, name)()
    assert covered(report) == {BUNDLE: True, CANDIDATE: False}
    assert RENDERERS["markdown"][1](report).startswith(f"# APPROVED: bundle `{BUNDLE}`, not the candidate `models:/")
    assert f"### APPROVED: bundle `{BUNDLE}`, not the candidate `models:/" in comment.render(report)
    rendered = RENDERERS["html"][1](report)
    assert f"<span>APPROVED: bundle {BUNDLE[:19]}…, not the candidate</span>" in rendered
    assert f"<title>APPROVED: bundle {BUNDLE[:19]}…, not the candidate" in rendered
    for kind in ("markdown", "html"):
        assert "not approved: gate verify refuses these bytes" in page(kind, report)


def test_without_a_bundle_the_reason_and_the_consequence_stand_first() -> None:
    """It is approved as it lies, cannot be promoted, and nothing on the page says that gate promote would copy it."""
    report = reports.unbundled()
    assert covered(report) == {CANDIDATE: True}
    why = "No bundle was written: its layers could not be exported as a program that the gate reads: aten::unique"
    for kind in ("markdown", "html"):
        head = page(kind, report).split("What was checked")[0]
        assert why in head.replace("⁠", "").replace("&#8288;", "")
        assert "Approved as it lies, and cannot be promoted." in head
        assert "gate promote copies" not in page(kind, report)
    assert "No bundle was written, so the candidate itself was measured." in page("html", report)


def test_a_flagged_version_says_what_a_review_would_cover() -> None:
    """Of level B the bundle; where nothing is there to be approved, that nobody can."""
    told = seen(reports.flagged())
    assert told.heading == "Which bytes a reviewer's approval would cover"
    assert covered(reports.flagged()) == {BUNDLE: True, CANDIDATE: False}
    assert told.bytes[0].means == "what gate promote would copy into production"
    assert told.bytes[1].means == "not covered: gate verify refuses these bytes"
    base = reports.flagged()
    assert base.evidence
    for level, why in (("C", "its assurance is level C"), (None, "it was not loaded")):
        evidence = base.evidence.model_copy(update={"assurance": level})
        nothing = base.model_copy(update={"evidence": evidence, "what_to_do": ""})
        assert (seen(nothing).bytes, seen(nothing).remark) == ((), f"Nobody can approve it: {why}.")
        assert "Log the model again" in page("html", nothing) or "nobody can approve it" in page("html", nothing)
        assert "gate review" not in page("markdown", nothing)


def test_a_policy_that_serves_the_bundle_alone_leaves_nothing_without_one() -> None:
    """Flagged, and no reviewer's word makes a bundle."""
    report = reports.approved(
        rules={"serve": "bundle"}, bundle_digest=None, bundle=None, unbundled="no writer for this flavour", advice=""
    )
    assert report.decision.value == "flagged"
    assert seen(report).bytes == ()
    assert seen(report).remark == (
        "No bundle was written: no writer for this flavour. Only a bundle could be approved, and there is none."
    )


@pytest.mark.parametrize(("level", "digests"), [("A", {CANDIDATE: True}), ("B", {BUNDLE: True, CANDIDATE: False})])
def test_a_verdict_of_an_earlier_gate_is_not_given_a_bundle_to_promote(level: str, digests: dict[str, bool]) -> None:
    """It says no `covers`: what its level meant is shown, and that `gate promote` wants another check."""
    bundle = BUNDLE if level == "B" else None
    new = reports.approved(assurance=level, bundle_digest=bundle, bundle=None, rules={"assurance": "B"}, advice="")
    report = judged(new, covers=None)
    assert covered(report) == digests
    said = page("html", report)
    assert "gate promote copies" not in said
    # Of level B the judge of today wants another scan: the program of such a bundle is the converter's own file.
    assert ("scan again" if level == "B" else "approved by an earlier gate: check it again") in said
    assert ("check it again before gate promote" if level == "B" else "cannot be promoted") in said


def test_without_a_decision_no_bytes_are_named() -> None:
    """A check that broke off after an approving verdict approves nothing."""
    broken = reports.approved().model_copy(update={"error": "The registry stopped answering."})
    for report in (broken, reports.unfinished(), reports.without_anything()):
        assert served(report) is None
        assert "Which bytes" not in page("html", report)
        assert (headline(report)["covers"], headline(report)["bundle-digest"]) == ("", "")


TORCHES = [
    ("2.13.0", "2.9", ""),
    ("2.13.0+cu130", "2.9", ""),
    ("2.14.0", "2.9", ""),
    (
        "2.9.1",
        "2.9",
        "The candidate says torch 2.9.1; the bundle is written by torch 2.13.0 and opens with torch ≥ 2.9.",
    ),
    ("2.9.1+cu121", "2.9", "The candidate says torch 2.9.1; the bundle is written by torch 2.13.0 and opens with"),
    ("2.10", "2.9", "The candidate says torch 2.10; the bundle is written by torch 2.13.0 and opens with torch ≥ 2.9."),
    ("2.6.0", "2.9", "opens with torch ≥ 2.9: a consumer on torch 2.6.0 has to update first."),
    ("2.6.0", "", "written by torch 2.13.0, and nothing shows that torch 2.6.0 opens it."),
    *((text, "2.9", "") for text in ("", "newest", "2.9; rm", "1" * 41, "９.9.9 x", "2.9.1\n2.9.1")),
]


@pytest.mark.parametrize(("claimed", "least", "said"), TORCHES)
def test_a_bundle_of_a_newer_torch_than_the_candidate_says_is_named(claimed: str, least: str, said: str) -> None:
    """Versions are compared as versions, without their local part; what is none is compared with nothing."""
    facts = reports.bundle(candidate_torch=claimed, opens_with={"torch": least} if least else {})
    told = newer_than_candidate(facts)
    assert said in told
    assert bool(said) == bool(told)


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_claim_breaks_the_comparison(claimed: str, least: str) -> None:
    """Whatever a candidate says of its torch, the sentence holds a version of it or is empty."""
    facts = reports.bundle(candidate_torch=claimed, opens_with={"torch": least, claimed or "x": least})
    told = newer_than_candidate(facts)
    assert not told or re.match(r"The candidate says torch [0-9][0-9a-z.!]*[;]", told)
    assert "\n" not in opens(facts)


def test_what_opens_the_bundle_stands_on_the_first_screen_of_each_format() -> None:
    """Above the advice, and in the comment above the fold."""
    report = reports.newer()
    told = ("torch ≥ 2.9, MLflow ≥ 3.9; written by torch 2.13.0", "a consumer on torch 2.6.0 has to update first")
    heads = (
        page("html", report).split("What to do next")[0],
        page("markdown", report).split("What to do next")[0],
        comment.render(report).split("**Next:**")[0],
    )
    assert all(words in head for words in told for head in heads)


DIFFERENCES = {
    "pt2": (0.0, "the same operators and constants as the candidate's, bit for bit"),
    "converted": (0.0, "the same operators and constants as the converted program's, bit for bit"),
    "pickle": (3.2e-7, "logits within 3.2e-07 of the candidate's on the clean samples, as a share of the largest"),
    "state-dict": (0.0, "the same logits as the candidate's on the clean samples, bit for bit"),
}


@pytest.mark.parametrize("origin", DIFFERENCES)
def test_the_difference_claims_no_more_than_was_compared(origin: str) -> None:
    """Of a converted program nothing is said about the code that left it; of an exported one, samples alone."""
    apart, said = DIFFERENCES[origin]
    assert difference(reports.bundle(origin=origin, greatest_difference=apart)) == said


@pytest.mark.parametrize("kind", ["html", "markdown"])
def test_the_report_lists_losses_files_signature_pins_and_oddities(kind: str) -> None:
    """What the bundle leaves out, what it pins, and what the policy tells without flagging."""
    said = page(kind, reports.newer())
    for words in (
        "stack traces and the order of calls by submodule are left behind",
        "move_to_device_pass(torch.export.load(…), 'cuda') moves the program.",
        "python_model.pkl",
        "left out: the column 'when' is a datetime",
        "mlflow 3.17.2, numpy 2.4.1, python 3.11.9, torch 2.13.0",
        "logits within 3.2e-07",
    ):
        assert words in said
    odd = page(kind, reports.bundle_alone())
    assert "these oddities of the candidate's own files do not flag" in odd
    assert "unexpected-files 1 at file notes/train.ipynb" in odd
    assert "On what the policy serves, no limit was exceeded" in odd


def test_long_lists_are_cut_and_counted() -> None:
    """The page names forty files and twenty oddities and says how many more there are."""
    report = reports.bundle_alone()
    assert report.verdict
    assert report.evidence
    many = reports.bundle(left=tuple(f"data/part-{number}.bin" for number in range(150)))
    report = report.model_copy(update={"evidence": report.evidence.model_copy(update={"bundle": many})})
    report = judged(report, told=report.verdict.told * 30)
    said = page("html", report)
    assert "110 more files in report.json" in said
    assert "40 more oddities in report.json" in said
    assert "130 more files in report.json" in page("markdown", report)


def test_a_conversion_stands_under_what_was_not_examined() -> None:
    """At level B nobody can show that the bundle answers as the candidate's own code does; at level A there is none."""
    assert UNSHOWN in [gap.why for gap in View(reports.converted()).gaps]
    assert UNSHOWN not in [gap.why for gap in View(reports.approved()).gaps]


def test_the_terminal_names_the_bytes_in_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """The first line of an approval of the bundle alone says that it is not of the candidate; then what opens it."""
    lines = on_terminal(reports.bundle_alone(), capsys)
    assert lines[0] == f"APPROVED  bundle {BUNDLE[:19]}…, not the candidate"
    assert lines[1] == "models:/credit-digits/7"
    assert f"model    {CANDIDATE}" in lines
    assert f"bundle   {BUNDLE}" in lines
    assert "covers   the bundle alone, which gate promote copies" in lines
    assert "opens    torch ≥ 2.9, MLflow ≥ 3.9; written by torch 2.13.0" in lines
    told = next(line for line in lines if line.startswith("told     2 oddities of the candidate's own files"))
    assert told
    assert all(len(line) <= 80 for line in lines)


def test_the_terminal_says_what_cannot_be_promoted_and_who_must_update(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a bundle the reason stands under the digest; a newer torch stands under what opens it."""
    bare = on_terminal(reports.unbundled(), capsys)
    assert bare[0] == "APPROVED  models:/credit-digits/7"
    assert "covers   the candidate as it lies; it cannot be promoted" in bare
    assert any(line.startswith("bundle   No bundle was written: its layers could not be exported") for line in bare)
    both = on_terminal(reports.newer(), capsys)
    assert "covers   the candidate as it lies, and the bundle, which gate promote copies" in both
    assert any(line.startswith("         The candidate says torch 2.6.0;") for line in both)
    flagged = on_terminal(reports.flagged(), capsys)
    assert "covers   once a reviewer approves: the bundle alone, which gate promote copies" in flagged


@pytest.mark.parametrize("text", reports.HOSTILE, ids=range(len(reports.HOSTILE)))
@pytest.mark.parametrize("bundled", [True, False])
def test_the_terminal_shows_hostile_claims_as_text(
    text: str, bundled: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """No line of the result is a runner's command or a terminal's sequence."""
    show_result(reports.hostile(text, bundled=bundled), None, "")
    out = capsys.readouterr().out
    assert not re.search(r"^\s*::|##[\w-]*\[", out, flags=re.MULTILINE)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)


def test_outputs_and_properties_carry_the_bundle_and_what_is_covered() -> None:
    """An action's outputs, a job's variables, JUnit's and SARIF's properties, each with both digests."""
    for name, covers in (("approved", "candidate"), ("bundle_alone", "bundle"), ("flagged", "bundle")):
        report = getattr(reports, name)()
        assert (headline(report)["bundle-digest"], headline(report)["covers"]) == (BUNDLE, covers)
        suite = ET.fromstring(RENDERERS["junit"][1](report))
        found = {one.get("name"): one.get("value") for one in suite.iter("property")}
        assert (found["bundle-digest"], found["covers"]) == (BUNDLE, covers)
        (run,) = json.loads(RENDERERS["sarif"][1](report))["runs"]
        assert (run["properties"]["bundleDigest"], run["properties"]["covers"]) == (BUNDLE, covers)
    bare = reports.unbundled()
    assert (headline(bare)["bundle-digest"], headline(bare)["covers"]) == ("", "candidate")
    assert "bundle-digest" not in RENDERERS["junit"][1](bare)


def test_facts_without_anything_optional_are_shown() -> None:
    """The least that evidence can say of a bundle renders in every format."""
    least = BundleFacts(origin="pt2", parent=reports.digest("9"), torch="2.13.0")
    report = reports.approved(bundle=least)
    assert seen(report).opens == "written by torch 2.13.0"
    for kind in ("html", "markdown"):
        assert "Written from" in page(kind, report)
