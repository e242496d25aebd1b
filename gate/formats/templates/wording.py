"""What the literals of a template say: each, those beside each other, and what is put together of them."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from jinja2 import nodes

from gate.formats.templates.bindings import name_of
from gate.formats.templates.flow import Flow
from gate.formats.templates.known import MARKS, VARIABLES, WORDS, Kind
from gate.formats.templates.parsing import every

_MARK: Final = re.compile(r"<[^<>\s]{1,60}>|\[[A-Z_/]{1,40}\]")
_SIGNS: Final = re.compile(r"[\W_]+")
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_PROSE: Final = 3
"""Words from which a text says something to a model."""
_RUN: Final = 24
"""Letters without a space from which a text says something: the longest key of a public template has 20."""
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
"""Characters of scripts that write words without spaces: Thai, Lao, Tibetan, Burmese, Khmer, kana and Han."""
_CHARACTERS: Final = 4
"""Characters of such a script from which a text says something."""
_LETTERS: Final = 8
"""Letters that stand alone from which a text spells something."""
_LETTER: Final = re.compile(r"(?<![^\W\d_])[^\W\d_](?![^\W\d_])")
_BUILDING: Final = frozenset({"format", "replace", "join", "reverse", "batch", "sort"})


class Said(NamedTuple):
    """A literal of a template."""

    text: str
    line: int


def literals(node: nodes.Node) -> Iterator[Said]:
    """Yield the texts of a template, in their order, except for those of errors, which end it."""
    match node:
        case nodes.Const(value=str() as text) | nodes.TemplateData(data=text) if text:
            yield Said(text, node.lineno)
        case nodes.Call(node=nodes.Name(name="raise_exception")):
            return
        case nodes.Call(node=nodes.Name(name="dict")):
            yield from (Said(one.key, node.lineno) for one in node.kwargs)
        case _:
            pass
    for child in node.iter_child_nodes():
        yield from literals(child)


def marks_of(texts: Iterable[str]) -> Iterator[str]:
    """Yield each mark in texts: what stands in angle brackets without a space, or in capitals in square ones."""
    return (mark for text in texts for mark in _MARK.findall(text))


def says(text: str, known: Collection[str] | None = None) -> bool:
    """Tell whether a text says something to a model beside its marks; of marks beyond the known ones, each word counts.

    Without any, all are: which ones a family writes is not known.
    """
    plain = _beside_marks(text, known)
    words = _WORD.findall(plain)
    return (
        len(words) >= _PROSE
        or any(len(word) >= _RUN for word in words)
        or len(_UNSPACED.findall(plain)) >= _CHARACTERS
        or len(_LETTER.findall(plain)) >= _LETTERS
    )


def together(texts: Iterable[str], known: Collection[str] | None = None) -> str:
    """Return what texts say that stand after each other, as parts of words or as words; empty where that is nothing."""
    saying = [_beside_marks(text, known) for text in texts if text.strip() not in MARKS | WORDS]
    return next((joined for joined in ("".join(saying), " ".join(saying)) if says(joined)), "")


def _beside_marks(text: str, known: Collection[str] | None) -> str:
    """Return a text without its marks, or with the words of those that are not known in their place."""
    if known is None:
        return _MARK.sub(" ", text)
    return _MARK.sub(lambda mark: " " if mark[0] in known else f" {_SIGNS.sub(' ', mark[0])} ", text)


def built(tree: nodes.Template, flow: Flow) -> Iterator[tuple[nodes.Node, str]]:
    """Yield where a template makes another text of its own literals alone, which so say what none of them does."""
    for node in every(tree, nodes.Mod, nodes.Call, nodes.Filter, nodes.Getitem):
        match node:
            case nodes.Mod(left=source):
                how = "%"
            case nodes.Call(node=nodes.Getattr(node=source, attr=how)) if how in _BUILDING:
                pass
            case nodes.Filter(node=nodes.Node() as source, name=how) if how in _BUILDING:
                pass
            case nodes.Getitem(node=source, arg=nodes.Slice()):
                how = "[:]"
            case _:
                continue
        if _is_of_literals(source, flow) and flow.kind(node) is Kind.PLAIN:
            yield node, f"it puts a text together from literals by {how!r}"


def _is_of_literals(node: nodes.Node, flow: Flow) -> bool:
    """Tell whether a text, or a list of texts, is of nothing but literals."""
    if isinstance(node, nodes.Const):
        return isinstance(node.value, str) and bool(node.value.strip())
    if name := name_of(node):
        return name not in VARIABLES and any(
            isinstance(one.value, str) and one.value.strip() for one in flow.reaching(node)
        )
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Getattr) and _is_of_literals(node.node.node, flow)
    if isinstance(node, nodes.List | nodes.Tuple | nodes.Concat | nodes.Add | nodes.Filter | nodes.Getitem):
        texts = [one for one in node.iter_child_nodes() if not isinstance(one, nodes.Slice)]
        return bool(texts) and _is_of_literals(texts[0], flow)
    return False
