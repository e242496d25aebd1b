"""What the templates beside this file are, and what is measured on one."""

from pathlib import Path

from gate.records.artifact import Artifact, ModelRef, build_manifest
from tests.corpus.measuring import measure_artifact, total

NAME = "chat-template"
TEMPLATES = Path(__file__).parent
CLEAN, BACKDOORED = (sorted((TEMPLATES / kind).glob("*.jinja")) for kind in ("clean", "backdoored"))
JUDGED = ("content-conditions", "hidden-strings", "unknown-variables", "unknown-calls", "unreadable-templates")


def counted(found):
    """Return what would flag, by metric."""
    return {metric: total(found, metric) for metric in JUDGED if total(found, metric)}


def of_template(folder, text):
    """Return what is measured on a template without a base."""
    (folder / "chat_template.jinja").write_text(text)
    artifact = Artifact(ModelRef(registry="directory", name="t"), folder, build_manifest(folder)[0])
    return measure_artifact(artifact, NAME)


def ways_to_ask():
    """Return the single templates of `asking.txt` by name: there, a name follows `#` and its template is the next line.

    `LAST` stands for the text of the last message, `EVIL` for what is said where the condition holds.
    """
    lines = (TEMPLATES / "asking.txt").read_text(encoding="utf-8").splitlines()
    pairs = zip(lines[::2], lines[1::2], strict=True)
    return {
        name.removeprefix("# "): text.replace("LAST", "messages[-1].content").replace("EVIL", "{{ 'evil' }}")
        for name, text in pairs
    }
