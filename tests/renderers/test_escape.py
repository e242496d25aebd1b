"""Untrusted text in Markdown stays text: properties, checked with a Markdown parser."""

import re

import pytest
import reports
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gate.renderers.escape import code, escape_markdown, fence
from gate.renderers.text import plain

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
NASTY = st.text(
    st.sampled_from("\\`*_{}[]()<>#+-.!|~$^&@:/=\"' \n\t\r1aZwG\x1b\u202e\u200b\u2028é漢👍;lt"), max_size=60
)
TEXTS = st.one_of(st.text(max_size=80), NASTY, st.sampled_from(reports.HOSTILE))


def shown(tokens: list[Token]) -> str:
    """Return the text of a parsed paragraph, without the joiners."""
    inline = [child for token in tokens for child in token.children or []]
    return "".join(child.content for child in inline).replace("\u2060", "")


@given(TEXTS)
@example("1. a")
@example("-")
@example("&#124;")
@example("\\")
@example("a\\|b")
def test_escaped_text_is_one_paragraph_of_that_text(text: str) -> None:
    """Whatever the text, a parser sees one paragraph with that very text, no link, code, image, HTML or emphasis."""
    expected = plain(text)
    tokens = PARSER.parse(str(escape_markdown(text)))
    assert [token.type for token in tokens] == (["paragraph_open", "inline", "paragraph_close"] if expected else [])
    kinds = {child.type for token in tokens for child in token.children or []}
    assert kinds <= {"text", "text_special"}
    assert shown(tokens) == expected


@given(TEXTS)
def test_escaped_text_stays_in_its_cell(text: str) -> None:
    """In a table a text stays whole in its cell, and makes no further cell or row."""
    tokens = PARSER.parse(f"| a | b |\n| --- | --- |\n| {escape_markdown(text)} | {code(text)} |\n")
    cells = [shown([token]) for token in tokens if token.type == "inline"]
    assert cells == ["a", "b", plain(text), plain(text)]
    types = [token.type for token in tokens]
    assert (types.count("td_open"), types.count("tr_open"), types.count("table_open")) == (2, 2, 1)
    assert types[-1] == "table_close"


@given(TEXTS)
def test_a_code_span_holds_the_text_and_nothing_else(text: str) -> None:
    """A code span ends where it should, or the text is escaped instead."""
    tokens = PARSER.parse(f"x {code(text)} y")
    inline = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inline} <= {"text", "text_special", "code_inline"}
    assert re.sub(" +", " ", shown(tokens)) == re.sub(" +", " ", f"x {plain(text)} y")


@given(st.lists(TEXTS, max_size=4))
def test_a_fence_holds_every_line(lines: list[str]) -> None:
    """A fenced block of commands is one block, whatever the commands hold."""
    tokens = PARSER.parse(f"{fence(lines)}\n")
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content.splitlines() == [plain(line) for line in lines]


@given(TEXTS)
def test_plain_text_is_one_visible_line(text: str) -> None:
    """No control, bidirectional or zero-width character and no line end is left, and no runner sees a command."""
    line = plain(text)
    assert len(line.splitlines()) <= 1
    assert not re.search("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]", line)
    assert not line.startswith("::")
    assert not re.search(r"##[\w-]*\[", line)


@given(TEXTS, st.integers(min_value=1, max_value=40))
def test_long_text_is_cut_to_the_length_stated(text: str, limit: int) -> None:
    """A text is never longer than its limit and says so by an ellipsis."""
    line = plain(text, limit)
    assert len(line) <= limit
    assert line == plain(text) or len(plain(text)) > limit or line.endswith("…")


@pytest.mark.parametrize(
    ("text", "forbidden"),
    [
        ("@org/team", r"@\w"),
        ("see #12 and owner/repo#12", r"#\d"),
        ("!12 and ~label and $34", r"[!~$]\w"),
        ("GH-12", r"GH-\d"),
        ("https://evil.example", r"://"),
        ("www.evil.example", r"www\."),
        (":tada:", r":tada"),
    ],
)
def test_platforms_see_no_mention_reference_or_link(text: str, forbidden: str) -> None:
    """Signs that platforms act on after Markdown are parted from their word in the rendered text."""
    html = PARSER.render(str(escape_markdown(text)))
    assert not re.search(forbidden, html)
    assert re.sub("<[^>]+>|\u2060", "", html).strip() == text
