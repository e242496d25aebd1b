"""Hostile files of formats that are taken for harmless, each assembled byte by byte."""

import json
import struct
import unicodedata
from pathlib import Path

from tests.corpus.case import UNSAFE, Case, folder, hostile
from tests.corpus.consumers import module_code
from tests.corpus.pickles import MISMATCHED, UNEXPECTED
from tests.corpus.zipping import zipped

CONSTRUCT = ("unsafe-format", "code-constructs")
REFERENCE = ("unsafe-format", "external-references")
UNREADABLE_FORMAT = ("unsafe-format", "unreadable-files")
ODD = ("artifact-integrity", "odd-names")
MISSING = ("artifact-integrity", "missing-files")
HDF5 = b"\x89HDF\r\n\x1a\n"


def field(number: int, content: bytes | int) -> bytes:
    """Return one protobuf field: a varint or length-delimited bytes."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Return a protobuf varint."""
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def onnx(domain: bytes = b"", location: bytes | None = None) -> bytes:
    """Return an ONNX model of one node and one tensor."""
    node = field(1, b"x") + field(2, b"y") + field(4, b"Relu" if not domain else b"PyOp") + field(7, domain)
    tensor = field(1, 2) + field(2, 1) + field(8, b"w")
    if location is None:
        tensor += field(9, struct.pack("<2f", 1, 2))
    else:
        tensor += field(13, field(1, b"location") + field(2, location)) + field(14, 1)
    graph = field(1, node) + field(2, b"graph") + field(5, tensor)
    return field(1, 8) + field(2, b"tests") + field(7, graph) + field(8, field(1, domain) + field(2, 17))


def gguf(template: str) -> bytes:
    """Return a GGUF file without tensors and with a chat template."""

    def string(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    pairs = string("general.architecture") + struct.pack("<I", 8) + string("llama")
    pairs += string("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + string("a") + string("b")
    pairs += string("tokenizer.chat_template") + struct.pack("<I", 8) + string(template)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 3) + pairs


def safetensors(header: dict[str, object], data: bytes) -> bytes:
    """Return a safetensors file with this header."""
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def keras_config(layer: dict[str, object]) -> dict[str, object]:
    """Return a Keras configuration with one dense layer and this one."""
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}, "registered_name": None}
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "m", "layers": [dense, layer]},
        "registered_name": None,
    }


def keras_zip(layer: dict[str, object]) -> bytes:
    """Return a `.keras` archive."""
    return zipped({"metadata.json": b"{}", "config.json": json.dumps(keras_config(layer)).encode()})


def old_keras(layer: dict[str, object]) -> bytes:
    """Return what of an HDF5 file matters here: the signature and a configuration as attribute text."""
    dense = {"class_name": "Dense", "config": {"units": 2}}
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": [dense, layer]}}
    return HDF5 + bytes(88) + b"model_config\x00\x00\x00\x00" + json.dumps(config).encode() + bytes(64)


RELU = {"module": "keras.layers", "class_name": "ReLU", "config": {}, "registered_name": None}
PLAIN_TEMPLATE = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] | trim }}{% endfor %}{{ eos_token }}"
_LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": {"class_name": "__lambda__"}}}
_IMPORTED = {"module": "subprocess", "class_name": "function", "config": "Popen", "registered_name": "function"}
_ESCAPING_TEMPLATE = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
_SKOPS = {"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode", "content": {}}
_CONFIG = {"architectures": ["M"], "auto_map": {"AutoModel": "modeling_m.M"}}
_SAVED_MODEL = field(1, 1) + field(2, field(2, field(1, field(1, b"w") + field(2, b"WriteFile"))))
_INDEX = {"metadata": {}, "weight_map": {"w": "model-00001-of-00002.safetensors"}}
_OVERLAP = {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in "ab"}

_FILES = (
    ("keras-lambda", "a Keras layer stored as code", {"data/model.keras": keras_zip(_LAMBDA)}, (CONSTRUCT,)),
    ("keras-import", "a Keras configuration that imports", {"data/model.keras": keras_zip(_IMPORTED)}, (CONSTRUCT,)),
    (
        "keras-no-config",
        "a Keras archive without one",
        {"data/model.keras": zipped({"a.json": b"{}"})},
        (UNREADABLE_FORMAT,),
    ),
    (
        "keras-old-lambda",
        "the same in HDF5",
        {"data/model.h5": old_keras({"class_name": "Lambda", "config": {}})},
        (UNREADABLE_FORMAT,),
    ),
    (
        "keras-old-custom",
        "a custom layer in HDF5",
        {"data/model.h5": old_keras({"class_name": "Charger", "config": {}})},
        (UNREADABLE_FORMAT,),
    ),
    (
        "keras-old-hidden",
        "a configuration out of sight",
        {"data/model.h5": HDF5 + b"model_config" + bytes(99)},
        (UNREADABLE_FORMAT,),
    ),
    (
        "onnx-operator",
        "an operator of a foreign domain",
        {"data/model.onnx": onnx(domain=b"ai.onnx.contrib")},
        (CONSTRUCT,),
    ),
    (
        "onnx-traversal",
        "tensor data outside the artifact",
        {"data/model.onnx": onnx(location=b"../../../etc/passwd")},
        (REFERENCE,),
    ),
    (
        "onnx-absolute",
        "tensor data at an absolute path",
        {"data/model.onnx": onnx(location=b"/etc/passwd")},
        (REFERENCE,),
    ),
    ("onnx-damaged", "an ONNX model that is cut off", {"data/model.onnx": onnx()[:-9]}, (UNREADABLE_FORMAT,)),
    (
        "saved-model",
        "a TensorFlow graph that writes a file",
        {"data/saved_model.pb": _SAVED_MODEL},
        (UNREADABLE_FORMAT,),
    ),
    (
        "gguf-template",
        "a chat template that reaches Python's objects",
        {"data/model.gguf": gguf(_ESCAPING_TEMPLATE)},
        (UNREADABLE_FORMAT,),
    ),
    ("gguf-damaged", "a GGUF file that is cut off", {"data/model.gguf": gguf("x")[:-9]}, (UNREADABLE_FORMAT,)),
    (
        "tokenizer-template",
        "the same in a tokenizer's configuration",
        {"data/tokenizer_config.json": json.dumps({"chat_template": _ESCAPING_TEMPLATE}).encode()},
        (CONSTRUCT,),
    ),
    (
        "escaped-key",
        "remote code under an escaped key",
        {"data/config.json": json.dumps(_CONFIG).replace("auto_map", "auto\\u005fmap").encode()},
        (CONSTRUCT,),
    ),
    (
        "skops-function",
        "a skops archive of a foreign function",
        {"data/m.skops": zipped({"schema.json": json.dumps(_SKOPS).encode()})},
        (CONSTRUCT,),
    ),
    (
        "safetensors-overlap",
        "tensors that overlap",
        {"data/model.safetensors": safetensors(_OVERLAP, bytes(4))},
        (UNREADABLE_FORMAT,),
    ),
    (
        "safetensors-tail",
        "bytes behind the tensors",
        {"data/model.safetensors": safetensors({}, b"#!/bin/sh\n")},
        (UNREADABLE_FORMAT,),
    ),
    (
        "missing-shard",
        "an index of weights that are absent",
        {"data/m.safetensors.index.json": json.dumps(_INDEX).encode()},
        (MISSING,),
    ),
    ("library", "a compiled library", {"data/charger.so": b"\x7fELF\x02\x01\x01"}, (UNEXPECTED, MISMATCHED)),
    ("bytecode", "compiled Python", {"data/charger.pyc": b"\xa7\x0d\x0d\x0a" + bytes(12)}, (UNEXPECTED,)),
    ("startup", "a path file that an interpreter runs", {"charger.pth": b"import charger\n"}, (UNEXPECTED, MISMATCHED)),
    ("disguised-program", "a program named like weights", {"data/model.bin": b"\x7fELF\x02\x01\x01"}, (MISMATCHED,)),
    ("script", "a script named like a text", {"data/readme.txt": b"#!/bin/sh\ntrue\n"}, (MISMATCHED,)),
    ("archive", "an archive beside the model", {"data/extra.zip": zipped({"a.txt": b"a"})}, (UNEXPECTED,)),
    ("zip-behind-text", "a zip behind a text", {"data/notes.txt": b"notes\n" + zipped({"a.txt": b"a"})}, (MISMATCHED,)),
    ("control-name", "a name with an escape sequence", {"data/a\x1b[2Jb.txt": b"a"}, (ODD,)),
    ("composed-name", "a name that is not composed", {f"data/{unicodedata.normalize('NFD', 'é')}.txt": b"a"}, (ODD,)),
    ("dotted-name", "a name that ends in a dot", {"data/a.txt.": b"a"}, (ODD, UNEXPECTED)),
    ("colliding-names", "two names that differ in case", {"data/a.txt": b"a", "data/A.txt": b"b"}, (ODD,)),
    ("member-traversal", "a zip member that walks out", {"data/model.npz": zipped({"../../a.npy": b"a"})}, (ODD,)),
)


def format_cases() -> tuple[Case, ...]:
    """Return the cases on other formats and on the artifact's files."""
    files = (
        hostile(f"format-{name}", summary, lambda _, files=files: files, *expected)
        for name, summary, files, expected in _FILES
    )
    remote = hostile(
        "format-remote-code",
        "a Hugging Face model with its own code",
        lambda m: {"data/config.json": json.dumps(_CONFIG).encode(), "data/modeling_m.py": module_code(m)},
        CONSTRUCT,
        UNEXPECTED,
    )
    return (*files, remote, *_torch_cases())


def _torch_cases() -> tuple[Case, ...]:
    return (
        Case("format-torchscript", "a TorchScript archive", _write_torchscript, (CONSTRUCT, UNSAFE)),
        Case("pickle-own-class", "a pickled network with its class by value", _write_own_class, (UNSAFE,)),
    )


def _write_torchscript(root: Path, _: Path) -> None:
    """Write an archive as TorchScript's writer lays it out; building one needs its deprecated compiler."""
    data = b"\x80\x02c__torch__\nNet\n)\x81}b."
    code = b"class Net(Module):\n  def forward(self, x: Tensor) -> Tensor:\n    return x\n"
    members = {"m/data.pkl": data, "m/code/__torch__.py": code, "m/constants.pkl": b"\x80\x02).", "m/version": b"3\n"}
    folder(root, {"data/model.pth": zipped(members)})


def _write_own_class(root: Path, marker: Path) -> None:
    """Write a network whose forward touches the marker, pickled with its code by cloudpickle."""
    import cloudpickle
    import torch

    space: dict[str, object] = {"__name__": "__main__"}
    source = (
        "import pathlib\nfrom torch import nn\nclass Net(nn.Module):\n"
        f" def forward(self, x):\n  pathlib.Path({str(marker)!r}).touch()\n  return x\n"
    )
    exec(source, space)  # defines, calls nothing
    path = root / "data" / "model.pth"
    folder(root, {})
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(space["Net"](), path, pickle_module=cloudpickle)  # type: ignore[operator]
