"""The pages for people: every link leads somewhere, every page is reached, and the README is short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / ".github").rglob("*.md")])
SOURCES = ("gate", "tests", "benchmarks", "docker", "demo", "templates", ".ci", ".github")
SINGLE = ("Makefile", "Dockerfile", "pyproject.toml", "action.yml", *(page.name for page in ROOT.glob("*.md")))
TEXTS = {".py", ".yml", ".toml", ".sh", ".md", ".j2", ""}
FENCE = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
MENTION = re.compile(r"(?<![\w./-])docs/[\w./-]*\w")
FORMER = {"contracts.md", "detection.md", "security.md"}
"""Addresses that signed policies and reports hold; a pointer stands at each."""


def prose(page):
    """Return a page's text without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-1")
    return found


def links(page):
    """Yield the relative links of a page as (target, file, anchor)."""
    for target in LINK.findall(prose(page)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield target, (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    """The file is there and lies in the repository, and so does the heading."""
    for target, file, anchor in links(page):
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_is_reached_from_the_readme():
    """By links, in some steps; but for the pointers at former addresses."""
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [file for _, file, _ in links(page) if file.is_relative_to(ROOT)]
    left = {str(page.relative_to(DOCS)) for page in set(DOCS.rglob("*.md")) - reached}
    assert left - FORMER == set()


def test_every_page_that_code_names_is_there():
    """A path such as `docs/how-to/ci.md` is a file, and `docs/decisions/0003` begins the name of one."""
    files = [file for folder in SOURCES for file in (ROOT / folder).rglob("*") if file.suffix in TEXTS]
    files = [file for file in (*files, *(ROOT / name for name in SINGLE)) if file.is_file() and file != Path(__file__)]
    named = {
        (str(file.relative_to(ROOT)), path)
        for file in files
        for path in MENTION.findall(file.read_text(encoding="utf-8", errors="replace"))
    }
    assert {
        (file, path) for file, path in named if not (ROOT / path).exists() and not [*ROOT.glob(f"{path}-*")]
    } == set()
    assert {path for _, path in named} >= {"docs/reference/contracts.md", "docs/decisions/0003"}


def test_the_readme_is_short():
    """Whoever comes new reads it to the end."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900
