"""What outputs are called, and which containers of them are refused."""

import json

import pytest

from gate.formats.pt2_document import lint_document
from gate.programs.readers.pt2.cursor import Cursor
from gate.programs.readers.pt2.outputs import in_plain_containers, output_paths
from gate.programs.refused import RefusedError

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


SCORES = "transformers.modeling_outputs.ImageClassifierOutput"
LIBRARY = {
    "output": spec(SCORES, LEAF, keys=["logits"]),
    "logits aux": spec("transformers.models.vit.modeling_vit.ViTOutputWithPast", LEAF, LEAF, keys=["logits", "aux"]),
    "logits hidden_states[0] hidden_states[1]": spec(SCORES, LEAF, PAIR, keys=["logits", "hidden_states"]),
}
NOT_OF_THE_LIBRARY = {
    "another module": spec("transformers.utils.ModelOutput", LEAF, LEAF, keys=["logits", "aux"]),
    "another library": spec("hub.modeling_outputs.ImageClassifierOutput", LEAF, LEAF, keys=["logits", "aux"]),
    "another class": spec("transformers.modeling_outputs.Pipeline", LEAF, LEAF, keys=["logits", "aux"]),
    "an object that is imported": {**LIBRARY["logits aux"], "context": '{"__enum__": true, "fqn": "os:system"}'},
    "fewer fields": spec(SCORES, LEAF, LEAF, keys=["logits"]),
    "inside a tuple": spec("builtins.tuple", spec(SCORES, LEAF, LEAF, keys=["logits", "aux"])),
}


@pytest.mark.parametrize("names", LIBRARY)
def test_a_class_of_transformers_is_read_by_its_fields(names):
    """One tensor alone is returned as that; several keep the names of the class's fields, in a dict."""
    document = {"graph_module": {"module_call_graph": calls(LIBRARY[names])}}
    plain, returned = in_plain_containers(document)
    assert returned in {"ImageClassifierOutput", "ViTOutputWithPast"}
    found = Cursor(plain["graph_module"]["module_call_graph"], "calls")
    assert output_paths(found, len(names.split())) == tuple(names.split())
    document["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps([1, PAIR])
    assert list(lint_document(document)) == []


@pytest.mark.parametrize("case", NOT_OF_THE_LIBRARY)
def test_what_only_looks_like_such_a_class_is_refused(case):
    """Its module, its name, and what stands beside its fields are held to a grammar."""
    document = {"graph_module": {"module_call_graph": calls(NOT_OF_THE_LIBRARY[case])}}
    assert in_plain_containers(document) == (document, "")
    with pytest.raises(RefusedError, match="returns") as caught:
        output_paths(Cursor(document["graph_module"]["module_call_graph"], "calls"), 2)
    assert "def forward(self, x): return self.model(x).logits" in caught.value.sentence
    assert any(found.where.endswith("out_spec") for found in lint_document(document))


def test_the_finding_on_a_foreign_container_says_what_to_do():
    """Its class, the reason, and the module to log; a hostile name stays printable and short."""
    for named, shown in (("hub.ModelOutput", "hub.ModelOutput"), ("\x1b[31m" + "x" * 500, "\\x1b[31m" + "x" * 115)):
        document = {"graph_module": {"module_call_graph": calls(spec(named, LEAF))}}
        document["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps([1, PAIR])
        (finding,) = (f for f in lint_document(document) if f.where == "module_call_graph[0].out_spec")
        assert f"the model returns a {shown}, which other loaders import to rebuild" in finding.what
        assert "returns its class scores as one tensor, such as model(x).logits" in finding.what
