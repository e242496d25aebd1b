"""The HTML page's promises: self-contained, readable by everyone, honest in its words."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import reports
from test_hostile_text import Page

from gate.records.finding import Decision
from gate.records.report import Report
from gate.renderers import RENDERERS, html, markdown

ALL = ("approved", "bundle_alone", "converted", "newer", "unbundled", "flagged", "unfinished", "without_anything")
STYLE = Path(html.__file__).parent / "templates/parts/style.css"


@pytest.fixture(params=ALL)
def report(request: pytest.FixtureRequest) -> Report:
    """Return each of the reports in turn."""
    built = getattr(reports, request.param)()
    assert isinstance(built, Report)
    return built


def test_the_page_is_self_contained(report: Report) -> None:
    """No script, link, frame or address leads out of the page, and a policy in it forbids them."""
    rendered = html.render(report)
    page = Page(rendered)
    assert page.open == []
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "embed", "form", "base"}
    addresses = [a[n] for _, a in page.elements for n in ("href", "src", "srcset", "data") if n in a]
    assert all(str(address).startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert not re.search(r"url\(|@import|expression\(", rendered)
    policies = [a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_the_page_can_be_read_without_eyes(report: Report) -> None:
    """Landmarks, one first heading, no skipped level, captions, scopes, alternative texts and working anchors."""
    page = Page(html.render(report))
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(tag) for tag in ("main", "header", "nav", "footer", "h1", "title")] == [1] * 6
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert tags.count("caption") == tags.count("table")
    assert all(a.get("scope") for tag, a in page.elements if tag == "th")
    assert all(a.get("alt") for tag, a in page.elements if tag == "img")
    assert all(a.get("aria-hidden") or a.get("aria-label") for tag, a in page.elements if tag == "svg")
    anchors = [a["id"] for _, a in page.elements if "id" in a]
    assert len(anchors) == len(set(anchors))
    wanted = {str(a["href"])[1:] for tag, a in page.elements if tag == "a"}
    wanted |= {str(a["aria-labelledby"]) for _, a in page.elements if "aria-labelledby" in a}
    assert wanted <= set(anchors)


def test_no_report_calls_a_model_safe(report: Report) -> None:
    """The word is not among the gate's own."""
    for _, render in RENDERERS.values():
        assert not re.search(r"\bsafe\b", render(report), flags=re.IGNORECASE)


def test_the_decision_stands_first() -> None:
    """The first heading is the decision, in both formats, and an approval says only that no limit was exceeded."""
    words = {"approved": "APPROVED", "flagged": "FLAGGED for human review", "unfinished": "COULD NOT FINISH"}
    for name, word in words.items():
        built = getattr(reports, name)()
        assert markdown.render(built).startswith(f"# {word}: ")
        assert re.search(rf"<h1>.*?<span>{word}</span>\s*</h1>", html.render(built), flags=re.DOTALL)
    assert "No limit was exceeded" in html.render(reports.approved())


def test_an_error_is_never_shown_as_approved() -> None:
    """A check that broke off after an approving verdict shows that it could not finish."""
    built = reports.approved().model_copy(update={"error": "The registry stopped answering."})
    assert built.decision is Decision.FLAGGED
    for render in (markdown.render, html.render):
        assert "COULD NOT FINISH" in render(built)
        assert "APPROVED" not in render(built)


def test_every_gap_is_named_in_both_formats() -> None:
    """Skipped, failed and absent detectors, problems, stated gaps and blindness all stand in the report."""
    built = reports.unfinished()
    for render in (markdown.render, html.render):
        page = render(built)
        for words in (
            "needs samples; none were given",
            "worker killed by signal 9",
            "stage 2 was not reached",
            "The model has one output",
            "triggers that depend on the input",
        ):
            assert words in re.sub(r"<[^>]+>", "", page)


def test_a_waiver_shows_who_why_and_until_when() -> None:
    """A waived finding keeps its message and carries reason, approver and expiry."""
    page = html.render(reports.flagged())
    for words in ("silhouette 0.62 at class 7", "two writing styles", "r.lindqvist@example.org", "2026-12-31"):
        assert words in page


def _palette(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(scheme: str) -> None:
    """Text reaches 4.5 to 1 on what it stands on, and what is drawn reaches 3 to 1, light and dark."""
    light, dark = STYLE.read_text().split("@media screen and (prefers-color-scheme: dark)", maxsplit=1)
    colours = _palette(light)
    if scheme == "dark":
        colours |= _palette(dark.split("@media", maxsplit=1)[0])
    texts = ["ink", "quiet", "accent", "approved", "flagged", "unfinished", "waived", "suspect"]
    pairs = [(text, ground, 4.5) for text in texts for ground in ("card", "page")]
    pairs += [(text, "sunken", 4.5) for text in ("ink", "quiet")]
    pairs += [
        (text, f"{state}-tint", 4.5)
        for state in ("approved", "flagged", "unfinished")
        for text in (state, "ink", "quiet")
    ]
    pairs += [(f"cluster-{number}", "card", 3) for number in range(5)] + [("bar", "card", 3)]
    poor = [
        (a, b, round(_contrast(colours[a], colours[b]), 2))
        for a, b, least in pairs
        if _contrast(colours[a], colours[b]) < least
    ]
    assert poor == []


def test_a_limit_broken_in_many_places_is_one_reason() -> None:
    """The head of the report names the worst place once and counts the others."""
    page = markdown.render(reports.many_classes(43))
    head = page.split("## What to do next", maxsplit=1)[0]
    assert head.count("anomaly-index") == 1
    assert "And 2 more findings of this kind." in head


def test_a_flagged_report_without_advice_still_says_what_is_next() -> None:
    """Where the pipeline gives no advice, the reader is told what the decision asks of them."""
    page = html.render(reports.many_classes(10))
    assert "Something that the policy asks for was not measured: check again." in page
    assert "Nothing more is needed" not in page
