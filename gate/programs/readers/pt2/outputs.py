"""Names of a program's outputs for its users, by the tuple, list or dict in which a caller gets them.

The archive holds that container as a text that other loaders rebuild, importing what it names. Only tuples, lists and
dicts with plain keys are read, and the classes of transformers, whose text has a field's name for each tensor; these
become plain ones first. The graph's own names of its outputs mean nothing to users of the model.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from gate.formats.pt2_grammar import foreign_container, is_tree_spec, plain_output
from gate.programs import advice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate.programs.readers.pt2.cursor import Cursor

MAX_OUTPUTS: Final = 64
MAX_PATH: Final = 200
"""Most characters of an output's name."""
ALONE: Final = "output"
"""Name of a program's only output."""


def in_plain_containers(document: Any) -> tuple[Any, str]:
    """Return a program's JSON with plain containers, and the class of transformers that it had instead, if any.

    Any other container stays, for `output_paths` to refuse.
    """
    module = document.get("graph_module") if isinstance(document, dict) else None
    calls = module.get("module_call_graph") if isinstance(module, dict) else None
    first = calls[0] if isinstance(calls, list) and calls else None
    signature = first.get("signature") if isinstance(first, dict) else None
    plain = plain_output(signature.get("out_spec", "")) if isinstance(signature, dict) else None
    if not plain or not plain[1] or not signature or not first or not module or not isinstance(calls, list):
        return document, ""
    changed = {**first, "signature": {**signature, "out_spec": plain[0]}}
    return {**document, "graph_module": {**module, "module_call_graph": [changed, *calls[1:]]}}, plain[1]


def output_paths(calls: Cursor | None, count: int) -> tuple[str, ...]:
    """Return a name for each of the outputs, such as `logits`, `[0]` or `aux[1]`; `calls` is the archive's call graph.

    An archive without a call graph, which other loaders refuse, has its outputs numbered.
    """
    spec = _spec(calls) if calls is not None else None
    if spec is None or calls is None:
        return (ALONE,) if count == 1 else tuple(f"[{index}]" for index in range(count))
    paths = tuple(_leaves(spec, "", calls))
    if len(paths) != count:
        raise calls.refuse(f"the caller gets {len(paths)} tensors; the graph yields {count}")
    if len(set(paths)) != count:
        raise calls.refuse("two outputs have the same name; one of them would be lost to users of the model")
    return paths


def _spec(calls: Cursor) -> Any:
    """Return the container that the whole program returns; None where the archive does not say."""
    entries = calls.items()
    if not entries:
        return None
    fields = entries[0].object(("fqn",), ("signature",))
    if fields["fqn"].value != "":
        raise entries[0].refuse("the first entry is not the whole program's")
    if "signature" not in fields or fields["signature"].value is None:
        return None
    signature = fields["signature"].object(("out_spec",), ("inputs", "outputs", "in_spec", "forward_arg_names"))
    text = signature["out_spec"]
    if not isinstance(text.value, str) or not is_tree_spec(text.value):
        raise text.refuse(foreign_container(text.value), what_to_do=advice.CONTAINER)
    return json.loads(text.value)[1]


def _leaves(spec: dict[str, Any], path: str, calls: Cursor) -> Iterator[str]:
    """Yield the paths of the tensors in a container, in the order in which the graph yields them."""
    children = spec["children_spec"]
    if spec["type"] is None:
        if len(path) > MAX_PATH:
            raise calls.refuse(f"an output's name is longer than {MAX_PATH} characters")
        yield path or ALONE
        return
    if spec["type"] != "builtins.dict":
        for index, child in enumerate(children):
            yield from _leaves(child, f"{path}[{index}]", calls)
        return
    keys = json.loads(spec["context"]) or []
    if len(keys) != len(children):
        raise calls.refuse(f"a dict of {len(children)} outputs with {len(keys)} keys")
    for key, child in zip(keys, children, strict=True):
        yield from _leaves(child, f"{path}.{key}" if path else key, calls)
