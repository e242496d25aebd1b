"""What a chat template does that public ones do not, beyond what the base's own template does."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from jinja2 import nodes

from gate.formats.templates.asking import asked, marked
from gate.formats.templates.bindings import give_names_of_their_own, name_of, plain_name
from gate.formats.templates.flow import Flow
from gate.formats.templates.known import FILTERS, FUNCTIONS, MARKS, METHODS, VARIABLES
from gate.formats.templates.parsing import every, form, parse
from gate.formats.templates.wording import built, literals, marks_of, says, together

Metric = Literal["content-conditions", "hidden-strings", "unknown-variables", "unknown-calls"]
METRICS: Final[tuple[Metric, ...]] = ("content-conditions", "hidden-strings", "unknown-variables", "unknown-calls")
_LOADING: Final = (nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends)
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
_PACKED: Final = re.compile(r"[A-Za-z0-9+/=_-]{64,}")
_MEANT: Final = FUNCTIONS | {"loop"}
_MOST: Final = 1000
"""The most findings of one kind that are listed of one template; any of them flags it."""


@dataclass(frozen=True)
class Found:
    """One thing in one template."""

    metric: Metric
    what: str
    key: str
    """Text of it without its place, by which it is found in the base's template."""
    line: int = 0

    @property
    def sentence(self) -> str:
        """What it is, with its line."""
        return f"line {self.line}: {self.what}" if self.line else self.what


@dataclass(frozen=True)
class Read:
    """A template as far as it is compared."""

    found: tuple[Found, ...]
    form: str
    texts: tuple[str, ...]
    """Its literals, in their order."""


def read_template(text: str, check: Callable[[], None] = lambda: None) -> Read:
    """Return what a template does by itself; one that cannot be parsed is an `UnreadableError`.

    `check` is called now and then, and raises when the time is up.
    """
    written, tree = parse(text), parse(text)
    give_names_of_their_own(tree)
    flow = Flow.of(tree, check)
    ways = (_conditions(tree, flow), _hidden(tree), _behind_marks(tree, flow), _built(tree, flow), _variables(tree))
    found = [one for way in (*ways, _calls(tree)) for one in islice(way, _MOST)]
    return Read(tuple(found), form(written), tuple(one.text for one in literals(tree)))


def beyond(own: Read, base: Read | None) -> Iterator[Found]:
    """Yield what a template does that the base's does not, and what its literals say only here."""
    if base is not None and own.form == base.form:
        return
    known = {(one.metric, one.key) for one in base.found} if base else set()
    yield from (one for one in own.found if (one.metric, one.key) not in known)
    if base is not None:
        told = {one.key for one in own.found if one.metric == "hidden-strings"}
        yield from _new_words(own, base, told)


def _new_words(own: Read, base: Read, told: set[str]) -> Iterator[Found]:
    """Yield each literal that says something and is not the base's, and what all others say together."""
    theirs, known = {_words(text) for text in base.texts}, MARKS | set(marks_of(base.texts))
    new = [text for text in dict.fromkeys(own.texts) if _words(text) not in theirs and text not in told]
    for text in new:
        if says(text, known):
            yield Found("hidden-strings", f"the base's template does not say {_short(text)}", text)
    pieces = together((text for text in new if not says(text, known)), known)
    if pieces:
        yield Found("hidden-strings", f"the base's template does not say, in pieces, {_short(pieces)}", pieces)


def _words(text: str) -> str:
    return " ".join(text.split())


def _conditions(tree: nodes.Template, flow: Flow) -> Iterator[Found]:
    for node, what in asked(tree, flow):
        yield Found("content-conditions", what, f"{form(node)} {what}", node.lineno)


def _built(tree: nodes.Template, flow: Flow) -> Iterator[Found]:
    for node, what in built(tree, flow):
        yield Found("hidden-strings", what, form(node), node.lineno)


def _hidden(tree: nodes.Template) -> Iterator[Found]:
    for one in literals(tree):
        if hidden := _INVISIBLE.search(one.text):
            what = f"a literal holds the invisible character U+{ord(hidden[0]):04X}"
            yield Found("hidden-strings", what, one.text, one.line)
        if packed := _PACKED.search(one.text):
            yield Found("hidden-strings", f"a literal holds {_short(packed[0])}", one.text, one.line)


def _behind_marks(tree: nodes.Template, flow: Flow) -> Iterator[Found]:
    """Yield what a template says where a message holds a mark, by the text of all literals of the branch."""
    switched, every_one = _switched(tree, flow), Counter(marks_of(one.text for one in literals(tree)))
    for branch in every(tree, nodes.If, nodes.CondExpr):
        assert isinstance(branch, nodes.If | nodes.CondExpr)
        flow.check()
        if _by_mark(branch, flow, switched):
            said = [one for part in _parts(branch) for one in literals(part)]
            elsewhere = MARKS | (every_one - Counter(marks_of(one.text for one in said))).keys()
            if text := together((one.text for one in said), elsewhere):
                what = f"where a message holds a mark, it says {_short(text)}"
                yield Found("hidden-strings", what, text, said[0].line)


def _by_mark(branch: nodes.If | nodes.CondExpr, flow: Flow, switched: set[str]) -> bool:
    """Tell whether a branch depends on a mark in a message: by its own test, or by a variable that such a test set."""
    named = {name_of(one) for one in every(branch.test, nodes.Name, nodes.Getattr)}
    return bool(named & switched) or marked(branch.test, flow)


def _switched(tree: nodes.Template, flow: Flow) -> set[str]:
    """Return the variables that are assigned a literal where a message holds a mark."""
    found: set[str] = set()
    for branch in every(tree, nodes.If):
        assert isinstance(branch, nodes.If)
        if marked(branch.test, flow):
            assigned = (one for part in branch.body for one in every(part, nodes.Assign))
            found |= {
                name_of(one.target)
                for one in assigned
                if isinstance(one, nodes.Assign) and isinstance(one.node, nodes.Const)
            }
    return found - {""}


def _parts(branch: nodes.If | nodes.CondExpr) -> tuple[nodes.Node, ...]:
    """Return what a branch does where its test holds; where the test is turned round, what it does otherwise too."""
    first, rest = (
        ((branch.expr1,), (branch.expr2,))
        if isinstance(branch, nodes.CondExpr)
        else (branch.body, (*branch.elif_, *branch.else_))
    )
    signs = every(branch.test, nodes.Not, nodes.Operand)
    turned = any(getattr(one, "op", "notin") in {"notin", "ne"} for one in signs)
    return tuple(part for part in (*first, *(rest if turned else ())) if part is not None)


def _variables(tree: nodes.Template) -> Iterator[Found]:
    # Jinja's own search takes a variable that only one branch sets for one that nothing does.
    names = [one for one in every(tree, nodes.Name) if isinstance(one, nodes.Name)]
    asked_for = {one.name for one in names if one.ctx == "load"}
    set_here = {one.name for one in names if one.ctx in {"store", "param"}}
    macros = {one.name for one in every(tree, nodes.Macro) if isinstance(one, nodes.Macro)}
    for name in sorted(asked_for - set_here - macros - VARIABLES):
        plain = plain_name(name)
        yield Found("unknown-variables", f"it asks for {plain[:80]!r}, which nothing hands to a template", name)


def _calls(tree: nodes.Template) -> Iterator[Found]:
    own = {node.name for node in every(tree, nodes.Macro) if isinstance(node, nodes.Macro)}
    for node in every(tree, nodes.Call, nodes.Filter, nodes.Getattr, nodes.Getitem, nodes.Name, nodes.Macro, *_LOADING):
        if what := _unknown(node, own):
            yield Found("unknown-calls", what, form(node), node.lineno)


def _unknown(node: nodes.Node, own: set[str]) -> str:
    """Return what a node calls that public templates do not; empty where it calls nothing else."""
    name = name_of(getattr(node, "node", None) or node)
    match node:
        case nodes.Call(node=nodes.Getattr(attr=method)):
            return "" if method in METHODS else f"it calls the method {method[:80]!r}"
        case nodes.Call() if name not in FUNCTIONS | own:
            return f"it calls {plain_name(name)[:80] or 'what it computed'!r}"
        case nodes.Macro(name=meant) | nodes.Name(ctx="store" | "param", name=meant) if plain_name(meant) in _MEANT:
            # What Jinja and transformers mean by these names is what the reader of this tree relies on.
            return f"it gives {plain_name(meant)!r} another meaning"
        case nodes.Filter() if node.name not in FILTERS:
            return f"it applies the filter {node.name[:80]!r}"
        case nodes.Getattr(attr=key) | nodes.Getitem(arg=nodes.Const(value=str() as key)) if (
            key[:1] == "_" or name in own
        ):
            return f"it reaches for {key[:80]!r}"
        case _:
            return "it loads another template" if isinstance(node, _LOADING) else ""


def _short(text: str) -> str:
    return ascii(text if len(text) <= 120 else f"{text[:119]}…")
