"""Each renderer over the reports, kept as snapshots; update them with `pytest --snapshot-update` and look at them."""

import re
from pathlib import Path

import pytest
import reports
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from gate import renderers
from gate.renderers import RENDERERS, comment, dotenv, summary

STYLE = re.compile(r"(?<=<style>\n).*?(?=\n</style>)", re.DOTALL)
STYLE_SHEET = Path(renderers.__file__).parent / "templates" / "parts" / "style.css"
LINK = "https://ci.example/runs/5"
SURFACES = {
    "comment": ("md", lambda report: comment.render(report, LINK)),
    "summary": ("md", lambda report: summary.render(report, LINK, "The comment could not be posted.")),
    "dotenv": ("env", lambda report: dotenv.render(report, {"report-address": LINK, "exit": "1"})),
}
"""Renderings that need an address of the pipeline, and so are made where it is known."""


BUNDLES = ["bundle_alone", "converted", "newer", "unbundled"]
"""What an approval may be about besides the candidate and a bundle of its own torch."""
SHOWN = [
    *((kind, name) for kind in sorted(RENDERERS) for name in ("approved", "flagged", "unfinished", "without_anything")),
    *((kind, name) for kind in ("html", "markdown") for name in (*BUNDLES, "with_history")),
]


@pytest.mark.parametrize(("renderer", "name"), SHOWN, ids=[f"{kind}-{name}" for kind, name in SHOWN])
def test_a_report_is_rendered_as_it_was(renderer: str, name: str, snapshot: SnapshotAssertion) -> None:
    """The rendered report equals the one that was looked at and kept."""
    file_name, render = RENDERERS[renderer]

    class OneFile(SingleFileSnapshotExtension):
        _write_mode = WriteMode.TEXT
        file_extension = file_name.rsplit(".", maxsplit=1)[-1]

    # Every page brings the one style sheet, which stands in no snapshot.
    assert STYLE.sub("", render(getattr(reports, name)())) == snapshot(extension_class=OneFile)


@pytest.mark.parametrize("name", [name for kind, name in SHOWN if kind == "html"])
def test_a_page_brings_the_style_sheet_as_it_is(name: str) -> None:
    """What the snapshots of pages leave out is the packaged file, once."""
    _, render = RENDERERS["html"]
    found = STYLE.findall(render(getattr(reports, name)()))
    assert [style.strip() for style in found] == [STYLE_SHEET.read_text(encoding="utf-8").strip()]


@pytest.mark.parametrize("name", ["approved", "bundle_alone", "flagged", "unfinished"])
@pytest.mark.parametrize("surface", sorted(SURFACES))
def test_a_surface_is_rendered_as_it_was(surface: str, name: str, snapshot: SnapshotAssertion) -> None:
    """What is posted to a forge equals what was looked at and kept."""
    extension, render = SURFACES[surface]

    class OneFile(SingleFileSnapshotExtension):
        _write_mode = WriteMode.TEXT
        file_extension = extension

    assert render(getattr(reports, name)()) == snapshot(extension_class=OneFile)


def test_rendering_twice_gives_the_same() -> None:
    """A renderer is a pure function of the report."""
    for _, render in RENDERERS.values():
        assert render(reports.flagged()) == render(reports.flagged())


def test_the_json_is_the_report_again() -> None:
    """`report.json` reads back into an equal report."""
    report = reports.flagged()
    assert type(report).from_json(RENDERERS["json"][1](report).encode()) == report
