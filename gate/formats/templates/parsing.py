"""A chat template's text to a syntax tree, within bounds, by the grammar that transformers renders it with.

transformers 5 renders in a sandboxed environment with loop controls and a block `generation`
(`transformers/utils/chat_template_utils.py`). Here the text is parsed alone, by the parser of Jinja.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from gate.formats.source import UnreadableError

MAX_CHARACTERS: Final = 256 << 10
MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 150
"""Deepest nesting of nodes; the templates of public models stay below 40."""
MAX_WITHIN: Final = 100_000
"""Sum of the depths of all nodes, with which the time grows of looking into every part of every part.

The clean templates of the tests stay below 3,000.
"""


class _Generation(Extension):
    """`{% generation %}` … `{% endgeneration %}`, by which transformers marks what an assistant says."""

    tags = {"generation"}  # noqa: RUF012  # as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


SETTINGS: Final[Mapping[str, Any]] = {
    "trim_blocks": True,
    "lstrip_blocks": True,
    "extensions": [_Generation, "jinja2.ext.loopcontrols"],
}
"""How transformers sets its environment; a block `generation` is what it holds."""


@cache
def _environment() -> Environment:
    # Nothing is rendered: what a page may hold is no question here.
    return Environment(**SETTINGS)  # noqa: S701


def parse(text: str) -> nodes.Template:
    """Return the syntax tree of a template; a text beyond the bounds or the grammar is an `UnreadableError`."""
    if len(text) > MAX_CHARACTERS:
        raise UnreadableError(f"a template of {len(text)} characters; at most {MAX_CHARACTERS} are read")
    try:
        tree = _environment().parse(text)
    except Exception as error:  # noqa: BLE001  # any failure of a parser of hostile text is what was found
        reason = " ".join(str(error).split())[:200]
        raise UnreadableError(f"no template that Jinja parses: {type(error).__name__}: {reason}") from None
    _require_bounded(tree)
    return tree


def _require_bounded(tree: nodes.Template) -> None:
    level: list[nodes.Node] = [tree]
    count = within = 0
    for depth in range(MAX_DEPTH):
        count, within = count + len(level), within + depth * len(level)
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            break
    if level:
        raise UnreadableError(f"a template nested deeper than {MAX_DEPTH}")
    if count > MAX_NODES:
        raise UnreadableError(f"a template of {count} nodes; at most {MAX_NODES} are read")
    if within > MAX_WITHIN:
        raise UnreadableError(f"a template whose nodes stand inside {within} others, all told; at most {MAX_WITHIN}")


def every(tree: nodes.Node, *kinds: type[nodes.Node]) -> Iterator[nodes.Node]:
    """Yield the nodes of these kinds, the tree itself among them, in the order of the text."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, kinds):
            yield node
        waiting.extend(reversed([*node.iter_child_nodes()]))


def form(node: nodes.Node) -> str:
    """Return a node as text without its place, so that equal nodes of two templates are equal texts."""
    return repr(node)
