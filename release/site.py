"""What the docs site needs beside mkdocs.yml: GitHub's anchors, the order of docs/README.md, and pages of the root.

A link to a page of the root leads to its copy in the site; one to a source file, which the site does not hold, becomes
the file's name. Any other link that leads nowhere ends `mkdocs build --strict`.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROOT_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_INDENTED = re.compile(r"^( +)```\w*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
"""A block of code in a list, which Python's Markdown knows by its indentation alone."""
_FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def slug(text: str, separator: str) -> str:
    """Return a heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", separator)


def on_config(config: Any) -> Any:
    """Set the anchors and the navigation."""
    config.mdx_configs["toc"] = {"slugify": slug}
    config.nav = list(navigation((ROOT / "docs" / "README.md").read_text("utf-8")))
    return config


def navigation(index: str) -> Iterator[dict[str, Any]]:
    """Yield the sections of docs/README.md with their pages, then detectors and decisions, then the root's pages."""
    yield {"Documentation": "README.md"}
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        pages = dict.fromkeys((path, _plain(text)) for text, path in _LINK.findall(body) if path.endswith(".md"))
        yield {title.strip(): [{text: path} for path, text in pages if path != "README.md"]}
    yield {"Detectors": _folder("reference/detectors")}
    yield {"Decisions": _folder("decisions")}
    yield {"Project": [{page.removesuffix(".md").capitalize(): page} for page in ROOT_PAGES]}


def _plain(text: str) -> str:
    """Return a link's words with a large first letter, as an entry of the navigation."""
    words = text.replace("`", "")
    return words[:1].upper() + words[1:]


def _folder(name: str) -> list[str]:
    """Return the pages of a folder in their order, its list first; templates are none."""
    found = sorted((ROOT / "docs" / name).glob("*.md"))
    names = [f"{name}/{one.name}" for one in found if one.name not in {"README.md", "template.md"}]
    return [f"{name}/README.md", *names]


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the root, with links as from docs/."""
    from mkdocs.structure.files import File

    for page in ROOT_PAGES:
        text = (ROOT / page).read_text("utf-8")
        files.append(File.generated(config, page, content=relinked(text, "")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Mend the links that leave docs/, and the blocks of code in lists."""
    if page.file.src_uri not in ROOT_PAGES:
        markdown = relinked(markdown, posixpath.join("docs", posixpath.dirname(page.file.src_uri)))
    return _INDENTED.sub(lambda block: re.sub(r"^ *(?=\S)", " " * 8, block[2], flags=re.MULTILINE), markdown)


def relinked(text: str, folder: str) -> str:
    """Return Markdown of a page that lies in this folder of the repository, with links as the site has them."""
    parts = _FENCE.split(text)
    return "".join(
        part if index % 2 else _LINK.sub(lambda m: _link(m, folder), part) for index, part in enumerate(parts)
    )


def _link(match: re.Match[str], folder: str) -> str:
    words, target = match[1], match[2]
    path, _, anchor = target.partition("#")
    if re.match(r"[a-z]+:", target) or not path:
        return match[0]
    there = posixpath.normpath(posixpath.join(folder, path))
    if there.startswith("docs/") or there in ROOT_PAGES:
        inside = there.removeprefix("docs/")
        start = folder.removeprefix("docs").removeprefix("/")
        relative = posixpath.relpath(inside, start or ".")
        return f"[{words}]({relative}{f'#{anchor}' if anchor else ''})"
    if not (ROOT / there).exists():
        return match[0]  # which mkdocs then tells
    return words if there in words else f"{words} (`{there}`)"
