"""The keys and values that a supported MLflow writes into the `MLmodel` of a flavour that this gate examines.

A positive grammar, key by key: an unknown entry is reported with its place and with what MLflow would have written.
`mlflow.pytorch` loads the folder that its flavour names and `mlflow.pyfunc` the one that its own names, so the grammar
leaves them no choice. A key may be absent, since then it names nothing; one that is present has exactly one shape.
Taken from MLflow 2.9 to 3.17: `mlflow/models/model.py` (Model.to_dict), `mlflow/pytorch/__init__.py` (save_model),
`mlflow/pyfunc/__init__.py` (add_to_model), `mlflow/models/utils.py` (_Example).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from gate.formats.mlmodel import CODE_KEYS, MLmodel
from gate.formats.shapes import Shape, either, exactly, many, plain, text
from gate.records.errors import GateError
from gate.records.facts import EXAMINED_FLAVOURS
from gate.records.record import parse_json

EXAMINED: Final = EXAMINED_FLAVOURS[0]
"""The flavour of this module, which the gate's own bundles have too; `python_function` goes with it."""
UNKNOWN: Final = (
    "this gate cannot examine the flavours that the model declares; it examines 'pytorch', 'onnx', and classifiers of "
    "images and texts of 'transformers'"
)

Kind = Literal["code", "loader", "environment"]
_MAX_SIGNATURE = 1 << 20
VERSION = text(r"[0-9]{1,4}(\.[0-9a-z]{1,16}){1,4}([+.-][0-9A-Za-z.]{1,40})?", "a version")
_NULL = exactly(None)
FALSE = Shape("false", lambda given: given is False)


@dataclass(frozen=True)
class Foreign:
    """An entry that MLflow does not write there."""

    kind: Kind
    key: str
    """Path of the key with dots, the flavour first: `python_function.data`."""
    got: Any
    expected: str
    advice: str = "Log the model again with mlflow.pytorch.log_model."

    def __str__(self) -> str:
        got = "" if self.got is None else f" is {str(self.got)[:80]!r}"
        return f"{self.key}{got}; {self.expected}. {self.advice}".rstrip()


def _signature(part: str) -> Shape:
    def holds(given: Any) -> bool:
        if not isinstance(given, str):
            return False
        try:
            value = parse_json(given.encode("utf-8", "replace"), what=part, limit=_MAX_SIGNATURE)
        except GateError:
            return False
        return isinstance(value, list) and all(isinstance(item, dict) for item in value)

    return either(_NULL, Shape("JSON text, a list of column or tensor descriptions", holds))


_SIGNATURE: Final[Mapping[str, Shape]] = {part: _signature(part) for part in ("inputs", "outputs", "params")}
_EXAMPLE: Final[Mapping[str, Shape]] = {
    "artifact_path": exactly("input_example.json"),
    "serving_input_path": exactly("serving_input_example.json"),
    "type": exactly("ndarray", "dataframe", "json_object", "sparse_matrix_csc", "sparse_matrix_csr"),
    "pandas_orient": exactly("split", "values", "records"),
    "format": exactly("tf-serving"),
    "params": exactly("true"),
}
_TOP: Final[Mapping[str, Shape]] = {
    "artifact_path": text(r"[^\x00-\x1f\x7f]{1,4096}", "the path or URI that it was logged under"),
    "auth_policy": _NULL,
    "databricks_runtime": text(r"[A-Za-z0-9._-]{1,100}", "the runtime's version"),
    "env_vars": either(_NULL, many(text(r"[A-Za-z_][A-Za-z0-9_]{0,255}", "a name"), "names of environment variables")),
    "is_signature_from_type_hint": FALSE,
    "metadata": either(_NULL, plain("what the trainer gave as metadata, in plain values")),
    "mlflow_version": VERSION,
    "model_id": either(_NULL, text(r"m-[0-9a-f]{32}", "m- and 32 hexadecimal digits")),
    "model_size_bytes": either(_NULL, Shape("a number of bytes", lambda given: type(given) is int and given >= 0)),
    "model_uuid": either(_NULL, text(r"(m-)?[0-9a-f]{32}", "32 hexadecimal digits")),
    "prompts": either(_NULL, many(text(r"prompts:/[^\x00-\x1f]{1,1000}", "a prompt's URI"), "URIs of prompts")),
    "resources": _NULL,
    "run_id": either(_NULL, text(r"[0-9a-f]{32}", "32 hexadecimal digits")),
    "type_hint_from_example": FALSE,
    "utc_time_created": text(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?", "a time"),
}
_EXTRA_PATH = text(r"extra_files/[A-Za-z0-9_][A-Za-z0-9_. -]{0,200}", "")
_EXTRA_FILE = Shape(
    "{path: extra_files/NAME}",
    lambda given: isinstance(given, dict) and set(given) == {"path"} and _EXTRA_PATH.holds(given["path"]),
)
PICKLE_MODULES: Final = ("mlflow.pytorch.pickle_module", "cloudpickle", "pickle")
"""Names that `pickle_module_info.txt` may hold as well: the module is imported before any check."""
FLAVOUR: Final[Mapping[str, Shape]] = {
    "code": _NULL,
    "extra_files": many(_EXTRA_FILE, "a list of {path: extra_files/NAME}"),
    "model_data": exactly("data"),
    "pytorch_version": VERSION,
    "requirements_file": Shape("{path: requirements.txt}", lambda given: given == {"path": "requirements.txt"}),
    "serialization_format": exactly("pt2", "pickle"),  # this gate's own bundles; no loader of MLflow reads it
}
FUNCTION: Final[Mapping[str, Shape]] = {
    "code": _NULL,
    "config": Shape("{device: null}", lambda given: given in ({}, {"device": None}, {"device": "cpu"})),
    # cpu in this gate's own bundles: any machine can run them there
    "data": exactly("data"),
    "env": Shape(
        "{conda: conda.yaml, virtualenv: python_env.yaml}",
        lambda given: given == {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
    ),
    "loader_module": exactly("mlflow.pytorch"),
    "model_code_path": _NULL,
    "pickle_module_name": exactly(*PICKLE_MODULES),
    "python_version": VERSION,
    "streamable": FALSE,
}
_ENVIRONMENT_KEYS: Final = frozenset({"env", "env_manager", "requirements_file", "python_version"})
"""Keys whose entries count as of the environment, one of three metrics."""


def foreign_entries(model: MLmodel) -> Iterator[Foreign]:
    """Yield every entry of an `MLmodel` that no supported MLflow writes for the flavour that is examined."""
    yield from _flavours(model)
    yield from top_entries(model)
    if EXAMINED in model.flavors:
        yield from entries(EXAMINED, model.flavors[EXAMINED], FLAVOUR)
        yield from entries("python_function", model.flavors.get("python_function", {}), FUNCTION)
        yield from _together(model)


def top_entries(model: MLmodel) -> Iterator[Foreign]:
    """Yield the entries beside the flavours that MLflow does not write for any flavour."""
    grammar = {**_TOP, "signature": _mapping(_SIGNATURE), "saved_input_example_info": _mapping(_EXAMPLE)}
    yield from entries("", model.top, grammar)


def _flavours(model: MLmodel) -> Iterator[Foreign]:
    if EXAMINED not in model.flavors:
        named = ", ".join(sorted(model.flavors)) or "no flavour"
        yield Foreign("loader", "flavors", named, UNKNOWN, advice="")
        return
    expected = "mlflow.pytorch writes the flavours pytorch and python_function alone"
    for name in sorted(set(model.flavors) - {EXAMINED, "python_function"}):
        yield Foreign("loader", f"flavors.{name}", None, expected)


def _together(model: MLmodel) -> Iterator[Foreign]:
    """Yield each missing key for which a loader would take a default of its own."""
    required = (
        (EXAMINED, "model_data", "data"),
        ("python_function", "loader_module", "mlflow.pytorch"),
        ("python_function", "data", "data"),
    )
    for flavour, key, value in required:
        if flavour in model.flavors and key not in model.flavors[flavour]:
            yield Foreign("loader", f"{flavour}.{key}", None, f"MLflow writes {value!r}")


def entries(head: str, given: Mapping[str, Any], grammar: Mapping[str, Shape]) -> Iterator[Foreign]:
    """Yield each entry of a mapping that its grammar does not know, or knows in another shape; `head` names it."""
    for key, value in given.items():
        place = f"{head}.{key}".lstrip(".")
        shape = grammar.get(key)
        if shape is None:
            yield Foreign(_kind(key), place, value, "MLflow writes no such key for this flavour")
        elif not shape.holds(value):
            yield Foreign(_kind(key), place, value, f"MLflow writes {shape.expected}")


def _mapping(grammar: Mapping[str, Shape]) -> Shape:
    def holds(given: Any) -> bool:
        return isinstance(given, dict) and all(key in grammar and grammar[key].holds(given[key]) for key in given)

    return either(_NULL, Shape(f"a mapping of {', '.join(grammar)}", holds))


def _kind(key: str) -> Kind:
    if key in CODE_KEYS:
        return "code"
    return "environment" if key in _ENVIRONMENT_KEYS else "loader"
