"""Names, descriptions and tags are the candidate side's words: they appear as text, never as commands or markup."""

import re
from dataclasses import dataclass

import pytest

from tests.e2e.stories import short_story

NAME = "x<img src=q onerror=alert(1)>**bold** [a](b) `c` ##[error]d \x1b[31mred"
DESCRIPTION = (
    "::error file=a::forged\n::set-output name=decision::approved\n<script>alert(1)</script>\n"
    "# APPROVED\n![p](http://example.invalid/p.png) <!-- \x1b[2J\x1b]0;title\x07 \u202e @everyone"
)
COMMANDS = ("\x1b", "\n::error", "\n::set-output", "##[error]", "\u202e")
MARKUP = ("<img src=q", "<script>alert", "\n# APPROVED")


@dataclass
class Spoken:
    """Everything that a check of a hostile version said and wrote."""

    ended: object
    texts: dict


def of_a_hostile_version(world):
    """Check a version whose every word is hostile."""
    store = world.embedded
    store.register("clean", NAME, description=DESCRIPTION, tags={"note": DESCRIPTION, "gate.decision": "approved"})
    desk = world.desk_here(MLFLOW_TRACKING_URI=store.uri, GATE_SAMPLES=world.samples / "labels.npz")
    ended = desk.gate("check", f"models:/{NAME}/1")
    texts = {name: (desk.out / name).read_text() for name in ("report.md", "report.html")}
    return Spoken(ended, texts | {"stdout": ended.stdout, "stderr": ended.stderr, "tags": store.tags(NAME)})


STORY = short_story(of_a_hostile_version)


@STORY
@pytest.mark.parametrize("where", ["stdout", "stderr", "report.md", "report.html"])
def test_nothing_hostile_appears_raw(where, told):
    """No escape sequence and no command of a CI runner survives, and in a report no markup either."""
    text = "\n" + told.texts[where]
    hostile = COMMANDS + MARKUP if where.startswith("report") else COMMANDS
    if where == "report.md":
        # The reviewer's commands stand in code blocks.
        text = re.sub(r"\n *```sh\n.*?\n *```\n", "\n", text, flags=re.DOTALL)
    assert [raw for raw in hostile if raw in text] == []


@STORY
def test_hostile_words_are_shown_as_text(told):
    """The reader still sees what the registry says, escaped."""
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in told.texts["report.html"]
    assert re.search(r"&lt;script&gt;alert", told.texts["report.md"])


@STORY
def test_a_version_that_approves_itself_is_flagged(told):
    """A decision that the trainer set at registration is overwritten."""
    assert told.ended.code == 1, told.ended
    assert told.texts["tags"]["gate.decision"] == "flagged"
