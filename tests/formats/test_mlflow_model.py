"""The grammar of `MLmodel`: what MLflow writes passes, and whatever is changed in it, anywhere, is told once."""

import copy

import pytest
import yaml

from gate.formats.mlflow_model import foreign_entries
from gate.formats.mlmodel import read_mlmodel

HEX = "0123456789abcdef0123456789abcdef"
WHOLE = {
    "artifact_path": "mlflow-artifacts:/1/models/m-0/artifacts",
    "auth_policy": None,
    "env_vars": ["OPENAI_API_KEY"],
    "flavors": {
        "python_function": {
            "config": {"device": None},
            "data": "data",
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "loader_module": "mlflow.pytorch",
            "pickle_module_name": "mlflow.pytorch.pickle_module",
            "python_version": "3.11.7",
        },
        "pytorch": {
            "code": None,
            "extra_files": [{"path": "extra_files/labels.txt"}],
            "model_data": "data",
            "pytorch_version": "2.13.0+cpu",
        },
    },
    "is_signature_from_type_hint": False,
    "metadata": {"team": "credit", "tags": [1, 2.5, None, True]},
    "mlflow_version": "3.17.2",
    "model_id": f"m-{HEX}",
    "model_size_bytes": 1234,
    "model_uuid": f"m-{HEX}",
    "prompts": None,
    "resources": None,
    "run_id": HEX,
    "saved_input_example_info": {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "ndarray",
    },
    "signature": {
        "inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 8, 8]}}]',
        "outputs": None,
        "params": None,
    },
    "type_hint_from_example": False,
    "utc_time_created": "2026-01-02 03:04:05.678901",
}
"""Every entry that MLflow 3.17 may write for the flavour."""
FREE = {("artifact_path",), ("metadata",)}
"""What the trainer names; nothing that a loader of this flavour acts on."""


def told(value):
    """Return the places of the foreign entries of a model file that holds this value."""
    return [entry.key for entry in foreign_entries(read_mlmodel(yaml.safe_dump(value).encode()))]


def entries(value, place=()):
    """Yield the place of every entry below a mapping."""
    for key, inner in value.items():
        yield (*place, key)
        if isinstance(inner, dict) and (*place, key) not in FREE:
            yield from entries(inner, (*place, key))


def changed(place, change):
    """Return the whole file with one change at a place."""
    value = copy.deepcopy(WHOLE)
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    change(inner, place[-1])
    return value


def key_of(place):
    """Return how an entry's place is told: the flavours' own head is left out, a mapping is told as one."""
    names = place[1:] if place[0] == "flavors" and len(place) > 2 else place
    return ".".join(names[:2]) if place[0] == "flavors" else names[0]


PLACES = [place for place in entries(WHOLE) if (place not in FREE and place[0] != "flavors") or len(place) > 2]


def test_what_mlflow_writes_passes():
    """All entries together, and each left out where nothing else hangs on it."""
    assert told(WHOLE) == []


@pytest.mark.parametrize("place", PLACES, ids=".".join)
@pytest.mark.parametrize(
    "other", ["charger", -7, 7.5, True, ["char ger"], {"charger": "charger"}, "data/model.pt2"], ids=str
)
def test_any_other_value_is_told_once_at_its_place(place, other):
    """Whatever else stands under a key, of any type, is told there and nowhere else."""
    value = changed(place, lambda inner, key: inner.update({key: other}))
    assert told(value) == [key_of(place)]


@pytest.mark.parametrize(
    "place", [(), ("flavors",), ("flavors", "pytorch"), ("flavors", "python_function"), ("signature",)]
)
@pytest.mark.parametrize("key", ["charger", "Data", "data ", "loader_module_", "trust_remote_code", "python_model"])
def test_any_other_key_is_told_once(place, key):
    """A key that MLflow does not write there is told, whatever it is called."""
    value = changed(
        (*place, key), lambda inner, name: inner.update({name: "charger"} if place != ("flavors",) else {name: {}})
    )
    assert len(told(value)) == 1


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_what_is_left_out_names_nothing(place):
    """An absent key passes, but for those without which a loader or an installer takes a default of its own."""
    value = changed(place, lambda inner, key: inner.pop(key))
    owed = {"model_data", "loader_module", "data", "conda", "virtualenv"}
    assert told(value) == ([key_of(place)] if place[-1] in owed else [])


@pytest.mark.parametrize(
    "flavours", [{}, {"sklearn": {"pickled_model": "model.pkl"}}, {"python_function": {"data": "x"}}]
)
def test_a_model_of_no_examined_flavour_is_told_as_that_alone(flavours):
    """One sentence says that the flavour is not examined; its keys are not held against another's grammar."""
    assert told({**WHOLE, "flavors": flavours}) == ["flavors"]


def test_a_finding_says_key_value_and_what_mlflow_writes():
    """One sentence a person can act on."""
    value = changed(("flavors", "python_function", "data"), lambda inner, key: inner.update({key: "served"}))
    (entry,) = foreign_entries(read_mlmodel(yaml.safe_dump(value).encode()))
    assert str(entry) == (
        "python_function.data is 'served'; MLflow writes 'data'. Log the model again with mlflow.pytorch.log_model."
    )
    assert entry.kind == "loader"


@pytest.mark.parametrize(("config", "passes"), [({"device": "cpu"}, True), ({"device": "cuda"}, False), ({}, True)])
def test_a_bundle_of_the_gate_says_where_its_tensors_lie(config, passes):
    """The CPU, which every machine has; MLflow itself writes null."""
    value = copy.deepcopy(WHOLE)
    value["flavors"]["python_function"]["config"] = config
    assert (told(value) == []) is passes
