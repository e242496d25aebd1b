"""What a chat template does that public ones do not, beyond what the base's own template does."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from jinja2 import nodes

from gate.formats.templates.asking import asked, marked
from gate.formats.templates.flow import Flow, name_of
from gate.formats.templates.parsing import every, form, parse

Metric = Literal["content-conditions", "hidden-strings", "unknown-variables", "unknown-calls"]
METRICS: Final[tuple[Metric, ...]] = ("content-conditions", "hidden-strings", "unknown-variables", "unknown-calls")
VARIABLES: Final = frozenset(
    {"messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "bos_token", "eos_token"}
    | {"pad_token", "unk_token", "sep_token", "cls_token", "mask_token", "additional_special_tokens", "date_string"}
    | {"raise_exception", "strftime_now", "namespace", "range", "dict", "true", "false", "none", "loop", "caller"}
    | {"enable_thinking", "thinking", "reasoning_effort", "tools_in_user_message", "custom_tools", "builtin_tools"}
    | {"xml_tools", "python_tools", "controls", "system_message", "safety_mode", "citation_mode", "citations"}
)
"""What transformers and the documented options of public templates hand to a template."""
_FUNCTIONS: Final = frozenset({"raise_exception", "strftime_now", "namespace", "range", "dict", "caller"})
_METHODS: Final = frozenset(
    {"strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "partition", "rpartition", "replace", "lower"}
    | {"upper", "title", "capitalize", "startswith", "endswith", "removeprefix", "removesuffix", "join", "items"}
    | {"keys", "values", "get", "append", "update", "copy", "pop", "format"}
)
_FILTERS: Final = frozenset(
    {"trim", "tojson", "length", "count", "first", "last", "list", "join", "map", "select", "reject", "selectattr"}
    | {"rejectattr", "items", "default", "d", "string", "safe", "lower", "upper", "capitalize", "title", "replace"}
    | {"indent", "int", "float", "dictsort", "sort", "unique", "reverse", "batch", "abs", "round", "min", "max", "sum"}
)
_LOADING: Final = (nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends)
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
_PACKED: Final = re.compile(r"[A-Za-z0-9+/=_-]{64,}")
_MARK: Final = re.compile(r"<[^<>\s]{1,60}>|\[[A-Z_/]{1,40}\]")
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_PROSE: Final = 3
"""Words from which a literal says something to a model."""


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
    literals: frozenset[str]
    """Literals that say something."""


def read_template(text: str) -> Read:
    """Return what a template does by itself; one that cannot be parsed is an `UnreadableError`."""
    tree = parse(text)
    flow = Flow.of(tree)
    found = (*_conditions(tree, flow), *_strings(tree, flow), *_variables(tree), *_calls(tree))
    return Read(tuple(found), form(tree), frozenset(one.data for one in _literals(tree) if _says(one.data)))


def beyond(own: Read, base: Read | None) -> Iterator[Found]:
    """Yield what a template does that the base's does not, and each literal that says something only here."""
    if base is not None and own.form == base.form:
        return
    known = {(one.metric, one.key) for one in base.found} if base else set()
    yield from (one for one in own.found if (one.metric, one.key) not in known)
    if base is not None:
        told = {one.key for one in own.found if one.metric == "hidden-strings"}
        for text in sorted(own.literals - base.literals - told):
            yield Found("hidden-strings", f"the base's template does not say {_short(text)}", text)


def _conditions(tree: nodes.Template, flow: Flow) -> Iterator[Found]:
    for node, what in asked(tree, flow):
        yield Found("content-conditions", what, f"{form(node)} {what}", node.lineno)


@dataclass(frozen=True)
class _Literal:
    data: str
    line: int


def _literals(tree: nodes.Node) -> Iterator[_Literal]:
    for node in every(tree, nodes.Const, nodes.TemplateData):
        data = node.value if isinstance(node, nodes.Const) else getattr(node, "data", "")
        if isinstance(data, str) and data:
            yield _Literal(data, node.lineno)


def _strings(tree: nodes.Template, flow: Flow) -> Iterator[Found]:
    for one in _literals(tree):
        if hidden := _INVISIBLE.search(one.data):
            what = f"a literal holds the invisible character U+{ord(hidden[0]):04X}"
            yield Found("hidden-strings", what, one.data, one.line)
        if packed := _PACKED.search(one.data):
            yield Found("hidden-strings", f"a literal holds {_short(packed[0])}", one.data, one.line)
    switched = _switched(tree, flow)
    for branch in every(tree, nodes.If, nodes.CondExpr):
        assert isinstance(branch, nodes.If | nodes.CondExpr)
        if not _by_mark(branch, flow, switched):
            continue
        for part in _parts(branch):
            for one in _literals(part):
                if _says(one.data):
                    what = f"where a message holds a mark, it says {_short(one.data)}"
                    yield Found("hidden-strings", what, one.data, one.line)


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


def _says(text: str) -> bool:
    """Tell whether a literal holds words beside its marks."""
    return len(_WORD.findall(_MARK.sub(" ", text))) >= _PROSE


def _variables(tree: nodes.Template) -> Iterator[Found]:
    # Jinja's own search takes a variable that only one branch sets for one that nothing does.
    names = [one for one in every(tree, nodes.Name) if isinstance(one, nodes.Name)]
    asked_for = {one.name for one in names if one.ctx == "load"}
    set_here = {one.name for one in names if one.ctx in {"store", "param"}}
    macros = {one.name for one in every(tree, nodes.Macro) if isinstance(one, nodes.Macro)}
    for name in sorted(asked_for - set_here - macros - VARIABLES):
        yield Found("unknown-variables", f"it asks for {name[:80]!r}, which nothing hands to a template", name)


def _calls(tree: nodes.Template) -> Iterator[Found]:
    own = {node.name for node in every(tree, nodes.Macro) if isinstance(node, nodes.Macro)}
    for node in every(tree, nodes.Call, nodes.Filter, nodes.Getattr, nodes.Getitem, *_LOADING):
        if what := _unknown(node, own):
            yield Found("unknown-calls", what, form(node), node.lineno)


def _unknown(node: nodes.Node, own: set[str]) -> str:
    """Return what a node calls that public templates do not; empty where it calls nothing else."""
    match node:
        case nodes.Call(node=nodes.Getattr() as method):
            return "" if method.attr in _METHODS else f"it calls the method {method.attr[:80]!r}"
        case nodes.Call():
            name = name_of(node.node)
            return "" if name in _FUNCTIONS | own else f"it calls {name[:80] or 'what it computed'!r}"
        case nodes.Filter():
            return "" if node.name in _FILTERS else f"it applies the filter {node.name[:80]!r}"
        case nodes.Getattr():
            return f"it reaches for {node.attr[:80]!r}" if node.attr.startswith("_") else ""
        case nodes.Getitem():
            key = node.arg.value if isinstance(node.arg, nodes.Const) else ""
            return f"it reaches for {key[:80]!r}" if isinstance(key, str) and key.startswith("__") else ""
        case _:
            return "it loads another template"


def _short(text: str) -> str:
    return ascii(text if len(text) <= 120 else f"{text[:119]}…")
