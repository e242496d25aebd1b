"""Archives rebuilt from a good one with something hostile in it; every payload only touches a marker file."""

import json
import pickle
import struct
import zipfile

DOCUMENT = "models/model.json"


class Toucher:
    """Unpickling this touches a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (type(self.marker).touch, (self.marker,))


def members(path):
    """Return the members of an archive below its root folder."""
    with zipfile.ZipFile(path) as container:
        return {name.partition("/")[2]: container.read(name) for name in container.namelist()}


def pack(content, path, *, root="model", compression=zipfile.ZIP_STORED):
    """Write members, a dict or a list of pairs, as an archive."""
    pairs = content.items() if isinstance(content, dict) else content
    with zipfile.ZipFile(path, "w", compression) as container:
        for name, data in pairs:
            container.writestr(zipfile.ZipInfo(f"{root}/{name}"), data, compress_type=compression)
    return path


def edited(source, target, edit, member=DOCUMENT):
    """Write a copy of an archive whose JSON member was edited in place."""
    content = members(source)
    value = json.loads(content[member])
    edit(value)
    content[member] = json.dumps(value).encode()
    return pack(content, target)


def code(marker):
    """Return an expression that touches the marker when it is evaluated."""
    return f"__import__('pathlib').Path({str(marker)!r}).touch()"


def graph(document):
    """Return the graph of a program's JSON."""
    return document["graph_module"]["graph"]


def pickled_weight(source, target, marker):
    """A weight that is a pickle."""
    name = "data/weights/model_weights_config.json"
    content = members(source)
    config = json.loads(content[name])
    entry = next(iter(config["config"].values()))
    entry["use_pickle"] = True
    content[name] = json.dumps(config).encode()
    content[f"data/weights/{entry['path_name']}"] = pickle.dumps(Toucher(marker))
    return pack(content, target)


def pickled_constant(source, target, marker):
    """A constant that is a pickled object."""
    name = "data/constants/model_constants_config.json"
    content = members(source)
    config = json.loads(content[name])
    config["config"]["object"] = {
        "path_name": "opaque_obj_0",
        "is_param": False,
        "use_pickle": True,
        "tensor_meta": None,
    }
    content[name] = json.dumps(config).encode()
    content["data/constants/opaque_obj_0"] = pickle.dumps(Toucher(marker))
    return pack(content, target)


def pickled_sample_inputs(source, target, marker):
    """Sample inputs that are a pickle."""
    return pack(members(source) | {"data/sample_inputs/model.pt": pickle.dumps(Toucher(marker))}, target)


def size_expression(source, target, marker):
    """Code in the place of a symbolic size."""

    def edit(document):
        values = graph(document)["tensor_values"]
        for meta in values.values():
            meta["sizes"] = [
                {"as_expr": {"expr_str": code(marker), "hint": {"as_int": 4}}} if "as_expr" in size else size
                for size in meta["sizes"]
            ]

    return edited(source, target, edit)


def guard(source, target, marker):
    """Code in the place of a guard."""
    return edited(source, target, lambda document: document.update(guards_code=[code(marker)]))


def _renamed(document, old, new):
    text = json.dumps(document).replace(json.dumps(old), json.dumps(new))
    document.clear()
    document.update(json.loads(text))


def input_name(source, target, marker):
    """Code in the name of an input."""
    return edited(source, target, lambda document: _renamed(document, "x", f"x):\n    {code(marker)}\n#"))


def node_name(source, target, marker):
    """Code in the name of a node's result."""

    def edit(document):
        name = graph(document)["nodes"][0]["outputs"][0]["as_tensor"]["name"]
        _renamed(document, name, f"{name} = {code(marker)}")

    return edited(source, target, edit)


def own_node_name(source, target, marker):
    """Code in a node's own name, which the reader does not use."""
    return edited(source, target, lambda document: graph(document)["nodes"][0].update(name=f"a = {code(marker)}"))


def attribute_target(source, target, marker):
    """A function of the operating system as the target of a node."""

    def edit(document):
        node = graph(document)["nodes"][0]
        node["target"] = "torch.os.system"
        node["inputs"] = [{"name": "command", "arg": {"as_string": f"touch {marker}"}, "kind": 1}]

    return edited(source, target, edit)


def shared_library(source, target, marker):
    """A compiled library beside the graph."""
    return pack(members(source) | {"data/aotinductor/model/model.so": b"\x7fELF"}, target)


def imported_container(source, target, marker):
    """A module to import in the description of the arguments."""

    def edit(document):
        context = json.dumps([{"__enum__": True, "fqn": "antigravity:a", "name": "b"}])
        spec = [1, {"type": "builtins.dict", "context": context, "children_spec": []}]
        document["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps(spec)

    return edited(source, target, edit)


REFUSED = {
    "pickled weight": pickled_weight,
    "pickled constant": pickled_constant,
    "input name": input_name,
    "node name": node_name,
    "attribute target": attribute_target,
    "shared library": shared_library,
}
LINTED = {
    "pickled sample inputs": pickled_sample_inputs,
    "size expression": size_expression,
    "guard": guard,
    "own node name": own_node_name,
    "imported container": imported_container,
}


def flip(path, target, signature, offset, value):
    """Copy an archive and set a field in every header with a signature."""
    raw = bytearray(path.read_bytes())
    place = raw.find(signature)
    while place >= 0:
        struct.pack_into("<H", raw, place + offset, value)
        place = raw.find(signature, place + 4)
    target.write_bytes(raw)
    return target
