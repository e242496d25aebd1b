"""The texts themselves: the same program gives the same bytes, which name no candidate and no time."""

import json
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.check.bundle.example import MAX_ELEMENTS
from gate.check.bundle.folder import bundle_texts
from gate.formats.mlflow_folder import unexpected_files
from gate.formats.mlflow_model import foreign_entries
from gate.formats.mlmodel import read_mlmodel
from gate.formats.requirements import odd_in_file
from gate.records.provenance import PROVENANCE, RepairOrigin, read_repair
from gate.records.record import MalformedError
from gate.records.runtime import Runtime
from gate.records.signature import read_signature
from gate.records.written_program import TensorInput, Written

PARENT = "sha256:" + "a" * 64


def written(shape=(None, 5), dtype="float32", inputs=None, signature=None, **said):
    """Return what a writer says of a program of one input."""
    facts = {
        "origin": "pt2",
        "format": "pt2",
        "program_sha256": "b" * 64,
        "parent": PARENT,
        "greatest_difference": 0.0,
        **said,
    }
    taken = inputs or (TensorInput(name="x", shape=shape, dtype=dtype),)
    return Written(inputs=taken, signature=read_signature({"inputs": signature}) if signature else None, **facts)


def tensors(*shapes, dtype="float32", names=()):
    """Return a signature's text of tensors."""
    specs = [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}} for shape in shapes]
    return json.dumps([spec | ({"name": name}) for spec, name in zip(specs, names, strict=True)] if names else specs)


def columns(*types, names=True):
    """Return a signature's text of columns."""
    return json.dumps(
        [
            {"type": kind, "required": True} | ({"name": f"c{number}"} if names else {})
            for number, kind in enumerate(types)
        ]
    )


def told(texts):
    """Return what the gate's own grammar says of a folder of these texts."""
    model = read_mlmodel(texts["MLmodel"])
    environment = [name for name in texts if name.endswith((".yaml", ".txt"))]
    return [
        *map(str, foreign_entries(model)),
        *unexpected_files([*texts, "data/model.pt2"], model),
        *(str(line) for name in environment for line in odd_in_file(name, texts[name])),
    ]


SIZES = st.none() | st.integers(0, 9)


@settings(max_examples=50, deadline=None)
@given(
    shape=st.lists(SIZES, max_size=4).map(tuple),
    dtype=st.sampled_from(["uint8", "int64", "float16", "float32", "bool", "bfloat16"]),
    name=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30),
    origin=st.sampled_from(["pt2", "pickle", "state-dict", "converted"]),
    torch=st.sampled_from(["", "2.1.0+cu118"]),
)
def test_the_same_program_gives_the_same_bytes_that_the_gate_reads(shape, dtype, name, origin, torch):
    """Whatever a writer says; the candidate's torch is told elsewhere, and no line is odd or foreign."""
    signature = json.dumps(
        [
            {
                "name": name,
                "type": "tensor",
                "tensor-spec": {
                    "dtype": "float32" if dtype == "bfloat16" else dtype,
                    "shape": [-1 if size is None else size for size in shape],
                },
            }
        ]
    )
    texts = bundle_texts(written(shape, dtype, signature=signature, origin=origin), Runtime())
    again = bundle_texts(written(shape, dtype, signature=signature, origin=origin, candidate_torch=torch), Runtime())
    assert texts == again
    assert told(texts) == []
    assert yaml.safe_load(texts["MLmodel"])["signature"]["inputs"] == signature
    assert all(raw.isascii() for raw in texts.values())


def test_a_bundle_names_no_candidate_and_no_time():
    """Neither a key that MLflow would fill with them, nor the parent's version in the origin of a repair."""
    repair = RepairOrigin(parent="models:/credit/7", parent_digest="sha256:" + "c" * 64, method="m", attempts=3)
    texts = bundle_texts(written(signature=tensors((-1, 5))), Runtime(), repair)
    keys = set(yaml.safe_load(texts["MLmodel"]))
    assert keys == {
        "flavors",
        "is_signature_from_type_hint",
        "mlflow_version",
        "saved_input_example_info",
        "signature",
        "type_hint_from_example",
    }
    assert not re.search(rb"credit|20\d\d-\d\d|\d\d:\d\d:", b"".join(texts.values()))


def test_the_origin_of_a_repair_is_read_back(tmp_path):
    """As its judging scan needs it; the parent is named by its bytes."""
    repair = RepairOrigin(
        parent="models:/credit/7", parent_digest="sha256:" + "c" * 64, method="m", attempts=3, seeds=(1, 2, 3)
    )
    (tmp_path / PROVENANCE).write_bytes(bundle_texts(written(), Runtime(), repair)[PROVENANCE])
    found, problem = read_repair(tmp_path)
    assert (found, problem) == (repair.model_copy(update={"parent": repair.parent_digest}), "")
    (tmp_path / PROVENANCE).write_bytes(bundle_texts(written(), Runtime())[PROVENANCE])
    assert read_repair(tmp_path) == (None, "")


EXAMPLES = {
    "free sizes are one": ((None, 3, None), "float32", tensors((-1, 3, -1)), [[[0.0], [0.0], [0.0]]]),
    "whole numbers": ((2,), "int64", tensors((2,), dtype="int64"), [0, 0]),
    "truths": ((None,), "bool", tensors((-1,), dtype="bool"), [False]),
    "a name": ((None, 2), "float32", tensors((-1, 2), names=["x"]), {"x": [[0.0, 0.0]]}),
    "columns": (
        (None, 3),
        "float32",
        columns("double", "long", "string"),
        {"columns": ["c0", "c1", "c2"], "data": [[0.0, 0, ""]]},
    ),
    "unnamed columns": ((2, 1), "float32", columns("boolean", names=False), {"data": [[False], [False]]}),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_zeros(name):
    """Of the program's shape, in the form that the signature asks for."""
    shape, dtype, signature, content = EXAMPLES[name]
    texts = bundle_texts(written(shape, dtype, signature=signature), Runtime())
    assert json.loads(texts["input_example.json"]) == content
    serving = "dataframe_split" if "columns" in name else "inputs"
    assert json.loads(texts["serving_input_example.json"]) == {serving: content}
    info = yaml.safe_load(texts["MLmodel"])["saved_input_example_info"]
    assert info["artifact_path"] == "input_example.json"
    assert told(texts) == []


NO_EXAMPLE = {
    "no signature": ((None, 5), "float32", None),
    "another type": ((None, 5), "float32", tensors((-1, 5), dtype="float64")),
    "another rank": ((None, 5), "float32", tensors((-1, 5, 1))),
    "another size": ((None, 5), "float32", tensors((-1, 4))),
    "fewer tensors": ((None, 5), "float32", tensors((-1, 5), (-1, 5), names=["a", "b"])),
    "other columns": ((None, 5), "float32", columns("double")),
    "columns for pictures": ((None, 1, 1), "float32", columns("double")),
    "columns of anything": ((None, 1), "float32", columns("any")),
    "too large": ((None, MAX_ELEMENTS + 1), "float32", tensors((-1, MAX_ELEMENTS + 1))),
}


@pytest.mark.parametrize("name", NO_EXAMPLE)
def test_where_no_example_would_be_right_there_is_none(name):
    """And the MLmodel names none."""
    shape, dtype, signature = NO_EXAMPLE[name]
    texts = bundle_texts(written(shape, dtype, signature=signature), Runtime())
    assert not {"input_example.json", "serving_input_example.json"} & set(texts)
    assert "saved_input_example_info" not in yaml.safe_load(texts["MLmodel"])


def test_the_largest_example_and_the_largest_signature_are_written():
    """At the bounds, in an MLmodel that the gate reads again."""
    assert "input_example.json" in bundle_texts(
        written((None, MAX_ELEMENTS), signature=tensors((-1, MAX_ELEMENTS))), Runtime()
    )
    wide = json.dumps([{"type": "long", "name": f"{n:04}" + "'é " * 30, "required": True} for n in range(900)])
    texts = bundle_texts(written(signature=wide), Runtime())
    assert len(texts["MLmodel"]) > 300_000
    assert told(texts) == []
    assert yaml.safe_load(texts["MLmodel"])["signature"]["inputs"] == wide


def test_pins_of_the_policy_take_the_place_of_the_installed_versions():
    """All of them, so that a pinned MLflow is not held to the gate's pandas."""
    texts = bundle_texts(written(), Runtime(python="3.12", packages={"torch": "2.12.1", "mlflow": "3.13.0"}))
    assert texts["requirements.txt"] == b"mlflow==3.13.0\ntorch==2.12.1\n"
    assert yaml.safe_load(texts["MLmodel"])["mlflow_version"] == "3.13.0"
    assert yaml.safe_load(texts["python_env.yaml"])["python"] == "3.12"
    assert told(texts) == []


FORGED = {
    "origin": "gguf",
    "program_sha256": "b" * 63,
    "parent": "models:/credit/7",
    "inputs": [],
    "candidate_torch": "2.1\n",
    "greatest_difference": -1,
    "signature": {},
    "more": 1,
}


@pytest.mark.parametrize("key", FORGED)
def test_a_forged_word_of_the_writer_is_refused(key):
    """It is a worker's, and so hostile until its schema was checked."""
    value = json.loads(written().canonical_json()) | {key: FORGED[key]}
    with pytest.raises(MalformedError):
        Written.from_json(json.dumps(value).encode())


@pytest.mark.parametrize(
    "change",
    [{"name": "a b"}, {"name": "x;"}, {"shape": [-1]}, {"shape": [2**31]}, {"shape": [1] * 17}, {"dtype": "object"}],
    ids=str,
)
def test_a_forged_input_is_refused(change):
    """Names as the reader accepts them, sizes that are sizes, types that the reader knows."""
    value = json.loads(written().canonical_json())
    value["inputs"][0] |= change
    with pytest.raises(MalformedError):
        Written.from_json(json.dumps(value).encode())


def test_two_inputs_of_one_name_are_refused():
    """They could not be told apart."""
    value = json.loads(written().canonical_json())
    value["inputs"] *= 2
    with pytest.raises(MalformedError, match="one name"):
        Written.from_json(json.dumps(value).encode())


def test_a_missing_package_is_said(monkeypatch):
    """A gate without pandas beside it cannot pin it; the policy can."""
    from importlib.metadata import PackageNotFoundError

    from gate.check.bundle import environment
    from gate.records.errors import CannotFinishError

    def version(name):
        if name == "pandas":
            raise PackageNotFoundError(name)
        return "2.0"

    monkeypatch.setattr(environment, "version", version)
    with pytest.raises(CannotFinishError, match="pandas") as caught:
        environment.environment_texts(Runtime())
    assert "runtime" in caught.value.what_to_do
    assert environment.pins(Runtime(packages={"torch": "2.9", "mlflow": "3.9.0"})) == ("mlflow==3.9.0", "torch==2.9")


@pytest.mark.parametrize("shape", [(0, 2**31 - 1), (2**31 - 1, 0)])
def test_an_input_of_no_elements_costs_no_memory(shape):
    """Zero times anything is nothing, and a list of so many empty lists is not."""
    texts = bundle_texts(
        written(shape=shape, signature=tensors(tuple(-1 if size else size for size in shape))), Runtime()
    )
    assert "input_example.json" not in texts


def test_long_names_of_parameters_are_cut_in_what_is_lost():
    """Names are the candidate's; sentences of them have to fit the records that hold them."""
    params = [{"name": f"{number}{255 * 'p'}", "type": "double", "default": 1.0, "shape": None} for number in range(10)]
    signature = read_signature({"inputs": tensors((-1, 5)), "params": json.dumps(params)})
    one = written().model_copy(update={"signature": signature})
    texts = bundle_texts(one, Runtime())
    assert all(len(loss) <= 1000 for loss in json.loads(texts["provenance.json"])["losses"])
