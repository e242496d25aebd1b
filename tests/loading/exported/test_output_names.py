"""What outputs are called, and which containers of them are refused."""

import json

import pytest

from gate.formats.pt2_document import lint_document
from gate.loading.exported.cursor import Cursor
from gate.loading.exported.outputs import output_paths
from gate.loading.exported.refused import RefusedError

LEAF = {"type": None, "context": None, "children_spec": []}


def spec(kind, *children, keys=None):
    """Return a container as torch writes it."""
    return {"type": kind, "context": json.dumps(keys), "children_spec": list(children)}


def calls(tree, fqn=""):
    """Return a call graph whose program returns a container."""
    signature = {"inputs": [], "outputs": [], "in_spec": "", "out_spec": json.dumps([1, tree]), "forward_arg_names": []}
    return [{"fqn": fqn, "signature": signature}, {"fqn": "layer", "signature": None}]


PAIR = spec("builtins.tuple", LEAF, LEAF)
NAMES = {
    "output": LEAF,
    "[0] [1]": PAIR,
    "[0]": spec("builtins.list", LEAF),
    "aux logits": spec("builtins.dict", LEAF, LEAF, keys=["aux", "logits"]),
    "logits aux[0] aux[1]": spec("builtins.dict", LEAF, PAIR, keys=["logits", "aux"]),
    "[0].a [1]": spec("builtins.tuple", spec("builtins.dict", LEAF, keys=["a"]), LEAF),
    "a.b": spec("builtins.dict", spec("builtins.dict", LEAF, keys=["b"]), keys=["a"]),
}
REFUSED = {
    "more than the graph yields": (
        calls(spec("builtins.tuple", LEAF, LEAF, LEAF)),
        "gets 3 tensors; the graph yields 2",
    ),
    "fewer": (calls(LEAF), "gets 1 tensors"),
    "one name for two": (calls(spec("builtins.dict", LEAF, LEAF, keys=["a", "a"])), "the same name"),
    "fewer keys": (calls(spec("builtins.dict", LEAF, LEAF, keys=["a"])), "2 outputs with 1 keys"),
    "another module's first": (calls(PAIR, fqn="layer"), "not the whole program's"),
    "a foreign class": (calls(spec("hub.ModelOutput", LEAF, LEAF)), "returns a hub.ModelOutput"),
    "keys that are no names": (calls(spec("builtins.dict", LEAF, LEAF, keys=["a-b", "c"])), "names as keys"),
}


@pytest.mark.parametrize("names", NAMES)
def test_outputs_are_named_as_their_caller_gets_them(names):
    """By key and place, from the outside to the inside."""
    assert output_paths(Cursor(calls(NAMES[names]), "calls"), len(names.split())) == tuple(names.split())


@pytest.mark.parametrize(("found", "names"), [(None, "output"), (None, "[0] [1]"), ([], "[0] [1] [2]")])
def test_an_archive_without_a_call_graph_has_its_outputs_numbered(found, names):
    """Torch's own loader refuses such an archive."""
    cursor = None if found is None else Cursor(found, "calls")
    assert output_paths(cursor, len(names.split())) == tuple(names.split())


@pytest.mark.parametrize("case", REFUSED)
def test_a_container_that_does_not_name_each_output_once_is_refused(case):
    """Whoever uses the model would get something else than was judged."""
    found, said = REFUSED[case]
    with pytest.raises(RefusedError, match=said):
        output_paths(Cursor(found, "calls"), 2)


def test_the_finding_on_a_foreign_container_says_what_to_do():
    """Its class, the reason, and the module to log; a hostile name stays printable and short."""
    for named, shown in (("hub.ModelOutput", "hub.ModelOutput"), ("\x1b[31m" + "x" * 500, "\\x1b[31m" + "x" * 115)):
        document = {"graph_module": {"module_call_graph": calls(spec(named, LEAF))}}
        document["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps([1, PAIR])
        (finding,) = (f for f in lint_document(document) if f.where == "module_call_graph[0].out_spec")
        assert f"the model returns a {shown}, which other loaders import to rebuild" in finding.what
        assert "returns its class scores as one tensor, such as model(x).logits" in finding.what
