"""The docs site: links as the site has them, GitHub's anchors, and a navigation that reaches every page."""

from pathlib import Path

import pytest
import yaml

from release import site
from tests.test_docs import anchors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SLUGS = ["4. Files of a check, in `--report-dir` (one directory per check)", "Naïve — and `code_x`", "A & B / C"]


@pytest.mark.parametrize("heading", SLUGS)
def test_anchors_are_githubs(heading, tmp_path):
    """As the test of the pages' links has them, so that one link is right in both places."""
    page = tmp_path / "page.md"
    page.write_text(f"# {heading}\n")
    assert {site.slug(heading, "-")} == anchors(page)


@pytest.mark.parametrize(
    ("text", "folder", "there"),
    [
        ("[a](../reference/serve.md#x)", "docs/how-to", "[a](../reference/serve.md#x)"),
        ("[log](../../CHANGELOG.md)", "docs/how-to", "[log](../CHANGELOG.md)"),
        ("[log](../../CONTRIBUTING.md#add-a-detector)", "docs/how-to", "[log](../CONTRIBUTING.md#add-a-detector)"),
        ("[notes](docs/how-to/upgrade.md)", "", "[notes](how-to/upgrade.md)"),
        ("[the code](../../gate/service/run.py)", "docs/how-to", "the code (`gate/service/run.py`)"),
        ("[`gate/service/run.py`](../../gate/service/run.py)", "docs/how-to", "`gate/service/run.py`"),
        ("[out](https://example.org/a.md)", "docs", "[out](https://example.org/a.md)"),
        ("[here](#there)", "docs", "[here](#there)"),
        ("[none](../../no/such.py)", "docs/how-to", "[none](../../no/such.py)"),
        ("```\n[a](../../CHANGELOG.md)\n```", "docs/how-to", "```\n[a](../../CHANGELOG.md)\n```"),
    ],
)
def test_links_lead_to_what_the_site_holds(text, folder, there):
    """One that leads nowhere is left, for the build to end by."""
    assert site.relinked(text, folder) == there


def test_the_navigation_reaches_every_page_but_pointers_and_the_template():
    """Once each; what docs/README.md names comes in its order."""
    found = []
    waiting = list(site.navigation((DOCS / "README.md").read_text("utf-8")))
    while waiting:
        one = waiting.pop(0)
        (value,) = one.values() if isinstance(one, dict) else (one,)
        if isinstance(value, str):
            found.append(value)
        else:
            waiting += value
    assert all((DOCS / path).exists() or path in site.ROOT_PAGES for path in found)
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    pointers = {"contracts.md", "detection.md", "security.md"}
    assert pages - set(found) == pointers | {"decisions/template.md"}


def test_nothing_of_the_site_comes_from_elsewhere():
    """No script and no style of another host, and every warning about a link is one that ends a strict build."""
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert settings["theme"]["highlightjs"] is False
    assert set(settings["validation"]["links"].values()) == {"warn"}
    makefile = (ROOT / "Makefile").read_text()
    (recipe,) = [line for line in makefile.splitlines() if "mkdocs build" in line]
    command = recipe.partition("#")[0]
    # With --quiet mkdocs counts no warning, and ends well whatever it found.
    assert "--strict" in command
    assert "--quiet" not in command
    assert "make docs" in (ROOT / ".ci" / "run").read_text()
