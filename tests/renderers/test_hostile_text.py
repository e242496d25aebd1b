"""Reports in which every text of the candidate's side is hostile: nothing of it may act in any format."""

import json
import re
from html.parser import HTMLParser

import pytest
import reports
from markdown_it import MarkdownIt

from gate.renderers import RENDERERS
from gate.renderers.text import plain

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects elements and attributes, and checks that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that opens."""
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that closes itself."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must be this one."""
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect the page's text."""
        if not self.open or self.open[-1] != "style":
            self.text += data

    def handle_comment(self, data: str) -> None:
        """Refuse comments: the templates write none."""
        raise AssertionError(f"a comment: {data}")


def skeleton(page: Page) -> list[str]:
    """Return the elements without what may rightly differ from text to text."""
    return [tag for tag, _ in page.elements]


BUNDLED = pytest.mark.parametrize("bundled", [True, False], ids=["bundled", "unbundled"])


@BUNDLED
@pytest.mark.parametrize("text", reports.HOSTILE, ids=range(len(reports.HOSTILE)))
def test_html_keeps_its_elements_and_shows_the_text(text: str, bundled: bool) -> None:
    """A hostile text adds no element, attribute, address or invisible character, and is still to be read."""
    rendered = RENDERERS["html"][1](reports.hostile(text, bundled=bundled))
    page, calm = Page(rendered), Page(RENDERERS["html"][1](reports.hostile("calm", bundled=bundled)))
    assert page.open == []
    assert skeleton(page) == skeleton(calm)
    allowed = {name for _, attributes in calm.elements for name in attributes}
    assert {name for _, attributes in page.elements for name in attributes} <= allowed
    for tag, attributes in page.elements:
        for name in ("href", "src", "action", "style", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,")), (tag, name)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]", rendered)
    assert plain(text, 200).rstrip("…") in re.sub(r"\s+", " ", page.text)


@BUNDLED
@pytest.mark.parametrize("text", reports.HOSTILE, ids=range(len(reports.HOSTILE)))
def test_markdown_keeps_its_blocks_and_links_nowhere(text: str, bundled: bool) -> None:
    """A hostile text adds no block, link, image, HTML or log command to the Markdown."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    rendered, calm = (RENDERERS["markdown"][1](reports.hostile(words, bundled=bundled)) for words in (text, "calm"))
    blocks = [token.type for token in parser.parse(rendered)]
    assert blocks == [token.type for token in parser.parse(calm)]
    inline = {child.type for token in parser.parse(rendered) for child in token.children or []}
    assert inline <= {"text", "text_special", "code_inline", "strong_open", "strong_close", "softbreak"}
    assert not re.search(r"^\s*::|##[\w-]*\[", rendered, flags=re.MULTILINE)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]", rendered)


@pytest.mark.parametrize("text", reports.HOSTILE, ids=range(len(reports.HOSTILE)))
def test_json_is_ascii_and_reads_back(text: str) -> None:
    """The JSON holds the text exactly, in characters that do nothing to a terminal."""
    rendered = RENDERERS["json"][1](reports.hostile(text))
    assert re.fullmatch(r"[\n\x20-\x7e]*", rendered)
    assert json.loads(rendered)["description"] == text
    assert not re.search(r"^\s*::", rendered, flags=re.MULTILINE)


def test_thousands_of_findings_and_files_stay_a_comment() -> None:
    """However long the lists, the Markdown stays below the 65,536 characters of a comment."""
    report = reports.hostile("x" * 1900)
    assert report.verdict
    assert report.manifest
    findings = report.verdict.findings[:1] * 5000
    verdict = report.verdict.model_copy(update={"findings": findings + report.verdict.findings})
    assert report.evidence
    assert report.evidence.bundle
    facts = report.evidence.bundle.model_copy(update={"losses": ("l" * 1900,) * 40, "left": ("f" * 1900,) * 200})
    verdict = verdict.model_copy(update={"told": verdict.told * 1000})
    report = report.model_copy(update={"evidence": report.evidence.model_copy(update={"bundle": facts})})
    long = report.model_copy(
        update={"verdict": verdict, "not_examined": ("y" * 1900,) * 3000, "commands": ("z" * 900,) * 5}
    )
    assert len(RENDERERS["markdown"][1](long)) < 65_536
