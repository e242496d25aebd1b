"""SARIF, JUnit, code quality, comment and summary: valid for their readers, within their limits, deaf to names."""

import datetime as dt
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import reports
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

from gate.check.report import Context, build_report
from gate.check.rules import Rules
from gate.judging.judge import judge
from gate.records.facts import OutputFacts
from gate.records.policy import Policy, Rule
from gate.records.report import Report
from gate.records.sample_settings import SamplesPolicy
from gate.renderers import RENDERERS, comment, dotenv, summary
from gate.renderers.escape import escape_markdown
from gate.renderers.issues import issues
from gate.renderers.summary import fold

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0.json").read_text())
NAMES = ["approved", "flagged", "unfinished", "without_anything"]
LINK = "https://ci.example/runs/5"
INVISIBLE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]"
TEXTS = pytest.mark.parametrize("text", reports.HOSTILE, ids=range(len(reports.HOSTILE)))


def render(kind: str, report: Report) -> str:
    """Return a report in one of the formats with a file of their own."""
    return RENDERERS[kind][1](report)


def many(amount: int) -> Report:
    """Return a flagged report with so many findings beyond a limit."""
    report = reports.flagged()
    assert report.verdict
    one = next(finding for finding in report.verdict.findings if finding.kind == "limit")
    verdict = report.verdict.model_copy(update={"findings": (one,) * amount})
    return report.model_copy(update={"verdict": verdict})


@pytest.mark.parametrize("name", NAMES)
def test_sarif_fits_its_schema(name: str) -> None:
    """Every outcome is a log by the standard's own schema."""
    log = json.loads(render("sarif", getattr(reports, name)()))
    assert list(Draft202012Validator(SCHEMA).iter_errors(log)) == []


@pytest.mark.parametrize("name", NAMES)
def test_sarif_has_what_github_asks_for(name: str) -> None:
    """Rules with texts, severity and tags, results with place and fingerprint, techniques as taxa."""
    (run,) = json.loads(render("sarif", getattr(reports, name)()))["runs"]
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["help"]["markdown"]
        assert rule["helpUri"].startswith("https://")
        assert {"security", "AML.T0018"} & set(rule["properties"]["tags"])
        assert 0.1 <= float(rule["properties"]["security-severity"]) <= 10
        assert len(rule["properties"]["tags"]) <= 20
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert {"startLine", "startColumn", "endLine", "endColumn"} == set(region)
        assert re.fullmatch(r"[0-9a-f]{64}:1", result["partialFingerprints"]["primaryLocationLineHash"])
        assert {taxon["id"] for taxon in result["taxa"]} <= {"AML.T0018", "AML.T0020"}
    assert {taxon["id"] for taxon in run["taxonomies"][0]["taxa"]} == {"AML.T0018", "AML.T0020"}
    assert run["invocations"][0]["exitCode"] == {"approved": 0, "flagged": 1}.get(name, 3)


def test_sarif_shows_a_waiver_as_a_suppression() -> None:
    """What a person accepted stays visible, and is no open alert."""
    results = json.loads(render("sarif", reports.flagged()))["runs"][0]["results"]
    waived = [result for result in results if "suppressions" in result]
    assert [result["ruleId"] for result in waived] == ["activation-clustering/silhouette"]
    assert "r.lindqvist@example.org" in waived[0]["suppressions"][0]["justification"]


def test_fingerprints_outlive_values_and_differ_between_models() -> None:
    """A new measurement of the same finding is the same alert; another model's, or another class's, is not."""
    report = reports.flagged()
    assert report.verdict
    assert report.model
    finding = report.verdict.findings[1]
    changed = [finding.model_copy(update={"value": 9.9, "message": "other"}), *report.verdict.findings[2:]]
    again = report.model_copy(update={"verdict": report.verdict.model_copy(update={"findings": tuple(changed)})})
    other = report.model_copy(update={"model": report.model.model_copy(update={"name": "other"})})
    first = {issue.fingerprint for issue in issues(report)}
    assert {issue.fingerprint for issue in issues(again)} <= first
    assert not {issue.fingerprint for issue in issues(other)} & first
    assert len(first) == len(issues(report))


def test_sarif_stays_within_githubs_limits() -> None:
    """Of more findings than GitHub shows, 5,000 are results and a notification counts the others."""
    (run,) = json.loads(render("sarif", many(5003)))["runs"]
    assert len(run["results"]) == 5000
    assert "3 further findings" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_code_quality_stays_within_its_limit() -> None:
    """Of more findings than fit, the last entry counts those that are left out."""
    entries = json.loads(render("codequality", many(1500)))
    assert len(entries) == 1000
    assert entries[-1]["description"] == "And 501 more findings, listed in report.json."


@pytest.mark.parametrize("name", NAMES)
def test_code_quality_has_what_gitlab_asks_for(name: str) -> None:
    """Each entry has description, check, unique fingerprint, severity and a line; an approved model has none."""
    entries = json.loads(render("codequality", getattr(reports, name)()))
    assert bool(entries) == (name != "approved")
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)
    for entry in entries:
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert entry["location"]["lines"]["begin"] >= 1
        assert not entry["location"]["path"].startswith("/")


@pytest.mark.parametrize("name", NAMES)
def test_junit_counts_what_it_holds(name: str) -> None:
    """Totals are those of the cases, and there are failures or errors exactly where the model is not approved."""
    suite = ET.fromstring(render("junit", getattr(reports, name)()))[0]
    for kind, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert int(suite.get(attribute, "")) == len(suite.findall(f"testcase/{kind}"))
    assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
    broken = int(suite.get("failures", "")) + int(suite.get("errors", ""))
    assert (broken == 0) == (name == "approved")


def test_junit_names_the_first_places_and_counts_the_rest() -> None:
    """A limit exceeded at a thousand places is one failure of forty lines and a count."""
    failure = ET.fromstring(render("junit", many(1000))).find("testsuite/testcase/failure")
    assert failure is not None
    assert len((failure.text or "").splitlines()) == 41
    assert "960 more places" in (failure.text or "")


@TEXTS
def test_names_add_no_element_to_the_xml(text: str) -> None:
    """A hostile name changes no structure, and no character that XML forbids comes through."""
    rendered = render("junit", reports.hostile(text))
    calm = ET.fromstring(render("junit", reports.hostile("calm")))
    assert [element.tag for element in ET.fromstring(rendered).iter()] == [element.tag for element in calm.iter()]
    assert not re.search(INVISIBLE, rendered)
    assert not re.search(r"^\s*::|##[\w-]*\[", rendered, flags=re.MULTILINE)


@TEXTS
@pytest.mark.parametrize("kind", ["sarif", "codequality"])
def test_names_act_in_no_json(kind: str, text: str) -> None:
    """A hostile name stays ASCII, begins no log command, makes no link and keeps SARIF valid."""
    rendered = render(kind, reports.hostile(text))
    assert re.fullmatch(r"[\n\x20-\x7e]*", rendered)
    assert not re.search(r"^\s*::", rendered, flags=re.MULTILINE)
    value = json.loads(rendered)
    if kind == "sarif":
        assert list(Draft202012Validator(SCHEMA).iter_errors(value)) == []
        assert all("](" not in result["message"]["text"] for result in value["runs"][0]["results"])


@TEXTS
def test_names_add_no_block_to_comment_or_summary(text: str) -> None:
    """A hostile name adds no block and no link of its own to what is posted."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for renderer in (comment, summary):
        rendered, calm = (renderer.render(reports.hostile(words), LINK) for words in (text, "calm"))
        tokens = parser.parse(rendered)
        assert [token.type for token in tokens] == [token.type for token in parser.parse(calm)]
        children = [child for token in tokens for child in token.children or []]
        targets = {child.attrs["href"] for child in children if child.type == "link_open"}
        assert targets <= {LINK}
        assert not {"image", "html_inline"} & {child.type for child in children}
        assert not re.search(INVISIBLE, rendered)


def test_a_comment_too_long_leaves_the_whole_report_out() -> None:
    """Where the whole report does not fit, the head stands and a link leads to the rest."""
    report = reports.hostile("×" * 1900)
    text = comment.render(report.model_copy(update={"not_examined": ("字" * 1900,) * 50}), "https://ci.example/5")
    assert len(text.encode()) <= comment.MAX_BYTES
    assert "too long for a comment; [it is here](https://ci.example/5)" in text
    assert "<details>" not in text


SURFACES = {
    "summary": (lambda report: summary.render(report, LINK), 1 << 20),
    "comment": (lambda report: comment.render(report, LINK), 65_536),
    "dotenv": (lambda report: dotenv.render(report, {"report-address": LINK}), 5_000),
    "codequality": (RENDERERS["codequality"][1], 1 << 20),
    "junit": (RENDERERS["junit"][1], 1 << 20),
}
"""How each surface is rendered, and the bytes that its reader takes (characters, for the comment)."""


@pytest.mark.parametrize("surface", SURFACES)
def test_more_of_everything_stays_within_every_surfaces_limit(surface: str) -> None:
    """Thousands of findings, classes and gaps in four-byte characters: each surface is cut and stays useful."""
    report, wide = many(3000), "\N{LARGE RED SQUARE}" * 1900
    assert report.verdict
    verdict = report.verdict.model_copy(update={"target_classes": tuple(range(5000))})
    update = {"verdict": verdict, "not_examined": (wide,) * 400, "description": wide, "commands": (wide,) * 30}
    render_surface, limit = SURFACES[surface]
    text = render_surface(report.model_copy(update=update))
    assert len(text.encode()) <= limit
    shown = {"summary": LINK, "comment": LINK, "dotenv": LINK, "codequality": "more findings", "junit": "more places"}
    assert shown[surface] in text


def test_the_marker_names_model_and_policy() -> None:
    """Each model has its own comment under each policy, and no name appears in the marker."""
    report = reports.flagged()
    assert report.model
    other = report.model_copy(update={"model": report.model.model_copy(update={"name": "--> <b>"})})
    strict = report.model_copy(update={"policy": report.policy.model_copy(update={"name": "strict"})})
    markers = {comment.marker(each) for each in (report, other, strict)}
    assert len(markers) == 3
    assert all(re.fullmatch(r"<!-- gate:[0-9a-f]{32} -->", marker) for marker in markers)


@pytest.mark.parametrize("report", [reports.approved, reports.flagged, reports.unfinished, reports.unbundled])
def test_a_summary_stands_open_by_its_head_alone(report: Callable[[], Report]) -> None:
    """Decision, reasons, what to do and the link are seen at once, in under sixty lines; no section is lost."""
    text = summary.render(report(), "https://ci.example/5")
    folded = re.findall(r"<details><summary>(.*?)</summary>\n\n(.*?)\n</details>", text, flags=re.DOTALL)
    seen = re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)
    assert len([line for line in seen.splitlines() if line.strip()]) < 60
    assert "## What to do next" in seen
    assert "](https://ci.example/5)" in seen
    whole = RENDERERS["markdown"][1](report())
    assert [line[3:] for line in whole.splitlines() if line.startswith("## ") and line[3:] not in summary.OPEN] == [
        title for title, _ in folded
    ]
    assert {line for line in whole.splitlines() if not line.startswith("## ")} <= set(text.splitlines())


def test_a_heading_within_a_fence_folds_nothing() -> None:
    """What stands in a code block is text."""
    code = "````sh\n``` x\n```\n## no heading\n````"
    folded = fold(f"# Head\n\n{code}\n\n## Why\n\n- x\n\n## Rest\n\ny\n", ("Why",))
    assert "## no heading" in folded.head
    assert folded.sections == (("Rest", "y"),)


def test_a_summary_is_cut_at_a_line() -> None:
    """Above the limit the summary ends with a whole line, a sentence and the link."""
    text = summary.render(reports.flagged(), "https://ci.example/5", limit=3000)
    assert len(text.encode()) <= 3000
    assert "The report was cut here" in text
    assert "](https://ci.example/5)" in text


def test_a_policys_lines_are_those_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, detectors and limits are found at their lines; a policy outside the directory has no path."""
    from gate.policies.source import policy_source

    text = "version: 1\ndetectors:\n  a:\n    limits:\n      x: {max: 1}\n      y:\n        max: 2\nwaivers: []\n"
    (tmp_path / "p.yml").write_text(text)
    monkeypatch.chdir(tmp_path)
    source = policy_source(Path("p.yml"))
    assert source.path == "p.yml"
    assert source.lines == {"version": 1, "detectors": 2, "a": 3, "a/x": 5, "a/y": 6, "waivers": 8}
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert policy_source(tmp_path / "p.yml").path == ""
    assert policy_source(Path("absent.yml")).lines == {}


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("SARIF_MULTITOOL"), reason="SARIF_MULTITOOL names no multitool")
@pytest.mark.parametrize("name", NAMES)
def test_the_multitool_finds_no_fault(name: str, tmp_path: Path) -> None:
    """Microsoft's validator, with GitHub's rules, finds no error; it misses the tool's address, which has none."""
    tool = shutil.which(os.environ["SARIF_MULTITOOL"])
    assert tool
    (tmp_path / "report.sarif").write_text(render("sarif", getattr(reports, name)()))
    ended = subprocess.run(
        [tool, "validate", "report.sarif", "--rule-kind", "Sarif;Ghas", "--level", "Error;Warning"],
        cwd=tmp_path,
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(re.findall(r"(?:error|warning) ([A-Z]+[0-9]+)", ended.stdout)) <= {"SARIF2005"}
    assert "1 files scanned" in ended.stdout


def test_help_in_sarif_is_escaped_markdown() -> None:
    """A detector's words stay words in the alert's help."""
    report = reports.flagged()
    coverage = tuple(part.model_copy(update={"measures": "a_b_ <i> [x](y)"}) for part in report.coverage)
    rules = json.loads(render("sarif", report.model_copy(update={"coverage": coverage})))["runs"][0]["tool"]["driver"]
    assert str(escape_markdown("a_b_ <i> [x](y)")) in rules["rules"][0]["help"]["markdown"]


def test_the_report_names_the_outputs_and_the_judged_one():
    """Markdown and page say what became of each; of many the first ones and how many more there are."""
    report = reports.approved()
    assert report.evidence
    roles = ("judged", "same-decision", "constant", *["not-examined"] * 7)
    outputs = tuple(
        OutputFacts(name=f"out{index}", shape=(10,), dtype="float32", role=role) for index, role in enumerate(roles)
    )
    facts = report.evidence.facts.model_copy(update={"outputs": outputs})
    shown = report.model_copy(update={"evidence": report.evidence.model_copy(update={"facts": facts})})
    for kind in ("markdown", "html"):
        text = re.sub(r"\\|&#39;", lambda found: "'" if found[0] != "\\" else "", render(kind, shown))
        for said in (
            "10 outputs: 'out0' (10 a sample, float32) judged",
            "'out1' (10 a sample, float32) gives the same",
        ):
            assert said in text
        assert "'out7' (10 a sample, float32) not examined, 2 more" in text


def test_an_output_that_the_policy_accepts_stands_under_what_was_not_examined():
    """It is no finding, and it is not forgotten."""
    report = reports.approved()
    assert report.evidence
    outputs = (
        OutputFacts(name="logits", shape=(10,), dtype="float32", role="judged"),
        OutputFacts(name="features", shape=(64,), dtype="float32", role="not-examined"),
    )
    facts = report.evidence.facts.model_copy(update={"outputs": outputs})
    evidence = report.evidence.model_copy(update={"facts": facts})
    for accepted, said in ((("features",), True), ((), False)):
        settings = SamplesPolicy(unexamined_outputs=accepted)
        policy = report.policy.model_copy(update={"samples": settings})
        verdict = judge(evidence, policy, on=dt.date(2026, 12, 1))
        assert any(finding.rule == "outputs" for finding in verdict.findings) != said
        built = build_report(evidence, verdict, Context("models:/digits/1", None, Rules(policy)))
        line = "The output 'features' (64 a sample, float32): the policy accepts that it is not examined."
        assert (line in built.not_examined) == said


def test_detectors_for_other_kinds_of_model_are_not_listed_as_not_run():
    """A classifier of images lacks nothing by a policy without words and adapters; what looks for images is listed."""
    report = reports.approved()
    assert report.evidence
    few = Policy(version=1, detectors={"neural-cleanse": Rule()})
    verdict = judge(report.evidence, few, on=dt.date(2026, 12, 1))
    built = build_report(report.evidence, verdict, Context("models:/digits/1", None, Rules(few)))
    lines = "\n".join(built.not_examined)
    assert "The detector probe-grid: the policy does not run it." in lines
    assert not any(name in lines for name in ("word-sweep", "token-trigger", "adapter-spectrum", "chat-template"))
