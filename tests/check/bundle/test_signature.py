"""Signatures: MLflow's own survive unchanged; what MLflow would refuse or read otherwise is refused with its place."""

import datetime as dt
import json

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.records.signature import MAX_BYTES, Signature, SignatureError, read_signature
from tests.mlflow_written import reading

AT = dt.datetime.fromisoformat("2024-01-02T03:04:05.000678")
"""Without a zone, as MLflow's parameters are."""

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own imports


def unchanged(signature):
    """Tell whether one of MLflow's signatures is read, sent as a record, and written as an equal one."""
    from mlflow.models import ModelSignature

    record = read_signature(signature.to_dict())
    assert Signature.from_json(record.canonical_json()) == record
    return ModelSignature.from_dict(record.texts()) == signature


def inferred():
    """Yield what MLflow infers for many kinds of inputs, outputs and parameters."""
    import pandas as pd
    from mlflow.models import infer_signature

    frame = {
        "number": [1.5, 2.5],
        "count": [1, 2],
        "flag": [True, False],
        "text": ["a", "b"],
        "bytes": [b"a", b"b"],
        "day": pd.to_datetime(["2024-01-01", "2024-01-02"]),
        "an 'odd' \"name\": é 日本 {}": [1, 2],
        "maybe": ["a", None],
    }
    params = {"t": 1.5, "k": 3, "b": True, "s": "x", "l": [1, 2], "at": AT}
    yield "frame", infer_signature(pd.DataFrame(frame), pd.Series([1, 2]), params)
    yield "numbered", infer_signature(pd.DataFrame(np.zeros((2, 3))), np.zeros((2, 2), np.float16))
    yield "arrays", infer_signature({"a": np.zeros((2, 3), np.float32), "b": np.zeros(2, np.int64)})
    yield "nested", infer_signature({"a": [1, 2], "b": {"c": "x", "d": [{"e": 1.5}]}}, [["x"], ["y"]])
    yield "unknown", infer_signature([{"a": None, "b": "x"}], {"free": {"form": [1.5]}})
    for dtype in ("bool", "int8", "uint16", "float64", "complex64", "datetime64[ns]"):
        yield dtype, infer_signature(np.zeros((2, 3), dtype))
    yield "texts", infer_signature(np.array(["a", "b"]), np.array([b"a"]))
    yield "params", infer_signature(None, None, params)


def test_what_mlflow_infers_survives():
    """Read and written it is an equal signature, and the very texts."""
    for kind, signature in inferred():
        assert unchanged(signature), kind
        assert read_signature(signature.to_dict()).texts() == signature.to_dict(), kind


def test_what_seven_releases_wrote_survives():
    """Every signature of the corpus, from MLflow 2.9 on."""
    from mlflow.models import ModelSignature

    seen = 0
    for release in reading.releases():
        for name, raw in reading._files(release).items():
            given_ = yaml.safe_load(raw).get("signature") if name.endswith("/MLmodel") else None
            if given_:
                seen += 1
                record = read_signature(given_)
                assert ModelSignature.from_dict(record.texts()) == ModelSignature.from_dict(given_), (release, name)
    assert seen > 100


SCALARS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")
NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)


def types():
    """Return a strategy of MLflow's column types, nested and not."""
    from mlflow.types.schema import AnyType, Array, DataType, Map, Object, Property

    def outer(inner):
        one = st.builds(Property, NAMES, inner, st.booleans())
        several = st.lists(one, min_size=1, max_size=3, unique_by=lambda item: item.name)
        return st.builds(Array, inner) | st.builds(Map, inner) | st.builds(Object, several)

    return st.recursive(st.sampled_from(SCALARS).map(DataType.__getitem__) | st.builds(AnyType), outer, max_leaves=4)


def schemas():
    """Return a strategy of MLflow's schemas: named or unnamed columns, or tensors."""
    from mlflow.types.schema import ColSpec, Schema, TensorSpec

    dtypes = st.sampled_from(["bool", "int32", "uint8", "float16", "float32", "complex128"]).map(np.dtype)
    shapes = st.lists(st.integers(-1, 5), max_size=4).map(tuple)
    by_name = {"unique_by": lambda item: item.name, "min_size": 1, "max_size": 5}
    return (
        st.lists(st.builds(ColSpec, types(), NAMES, st.booleans()), **by_name)
        | st.lists(st.builds(ColSpec, types()), min_size=1, max_size=5)
        | st.lists(st.builds(TensorSpec, dtypes, shapes, NAMES), **by_name)
        | st.builds(TensorSpec, dtypes, shapes).map(lambda one: [one])
    ).map(Schema)


def defaults():
    """Return a strategy of MLflow's parameters with defaults of their types."""
    from mlflow.types.schema import ParamSchema, ParamSpec

    numbers = st.integers(-(2**31), 2**31 - 1)
    floats = st.floats(allow_nan=False, allow_infinity=False)
    values = {"boolean": st.booleans(), "long": numbers, "double": floats, "float": numbers, "string": NAMES}
    values["datetime"] = st.datetimes()
    one = st.sampled_from(sorted(values)).flatmap(
        lambda kind: (
            st.builds(ParamSpec, NAMES, st.just(kind), values[kind])
            | st.builds(ParamSpec, NAMES, st.just(kind), st.lists(values[kind], max_size=3), st.just((-1,)))
        )
    )
    return st.lists(one, min_size=1, max_size=4, unique_by=lambda param: param.name).map(ParamSchema)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_signature_of_mlflow_survives(data):
    """Whatever MLflow's own classes can say, nested types and defaults of every type among it."""
    from mlflow.models import ModelSignature

    parts = {
        "inputs": data.draw(st.none() | schemas()),
        "outputs": data.draw(st.none() | schemas()),
        "params": data.draw(st.none() | defaults()),
    }
    if any(parts.values()):
        assert unchanged(ModelSignature(**parts))


@pytest.mark.parametrize("optional", [True, False])
def test_an_optional_column_of_mlflow_2_9_is_one_today(optional):
    """2.9 wrote `optional: true`, which MLflow 3.17 cannot read; the bundle says it in today's words."""
    from mlflow.models import ModelSignature

    text = json.dumps([{"type": "long", "name": "a", "optional": optional}])
    (column,) = ModelSignature.from_dict(read_signature({"inputs": text}).texts()).inputs
    assert column.required is not optional


TENSOR = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}
COLUMN = {"type": "long", "name": "a", "required": True}
PARAM = {"name": "k", "type": "long", "default": 1, "shape": None}
REFUSED = {
    "empty list": ([], "inputs"),
    "no list": ({}, "signature.inputs"),
    "unknown key": ([COLUMN | {"code": "x"}], "inputs.0.column.code"),
    "unknown type": ([COLUMN | {"type": "pickle"}], "inputs.0.column.type"),
    "type missing": ([{"name": "a"}], "inputs.0.column.type"),
    "a text for a yes": ([COLUMN | {"required": "yes"}], "inputs.0.column.required"),
    "contradiction": ([COLUMN | {"optional": True}], "inputs.0.column.optional"),
    "items of a scalar": ([COLUMN | {"items": {"type": "long"}}], "inputs.0.column"),
    "array without items": ([COLUMN | {"type": "array"}], "inputs.0.column"),
    "empty object": ([COLUMN | {"type": "object", "properties": {}}], "properties"),
    "foreign dtype": ([{"type": "tensor", "tensor-spec": {"dtype": "i4,O", "shape": []}}], "tensor-spec.dtype"),
    "negative size": ([{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [-2]}}], "tensor-spec.shape.0"),
    "size of a truth": ([{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [True]}}], "tensor-spec.shape.0"),
    "a control character": ([COLUMN | {"name": "a\x1b[2J"}], "inputs.0.column.name"),
    "a long name": ([COLUMN | {"name": "a" * 257}], "inputs.0.column.name"),
    "tensors and columns": ([TENSOR | {"name": "t"}, COLUMN], "tensors and columns stand together"),
    "two unnamed tensors": ([TENSOR, TENSOR], "several tensors have no names"),
    "named and unnamed": ([COLUMN, {"type": "long", "required": True}], "some have names and some have none"),
    "unnamed optional": ([{"type": "long", "required": False}], "optional"),
    "one name twice": ([COLUMN, COLUMN], "two have one name"),
    "one name twice, as number and text": ([COLUMN | {"name": 0}, COLUMN | {"name": "0"}], "two have one name"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_mlflow_does_not_write_is_refused_with_its_place(name):
    """The error names where, and says what to do."""
    value, where = REFUSED[name]
    with pytest.raises(SignatureError) as caught:
        read_signature({"inputs": json.dumps(value), "outputs": None, "params": None})
    assert where in str(caught.value)
    assert "infer_signature" in caught.value.sentence


@pytest.mark.parametrize(
    "change",
    [
        {"default": "1"},
        {"default": 1.5},
        {"default": True},
        {"default": [1]},
        {"shape": [-1]},
        {"shape": [3], "default": [1, 2, 3]},
        {"type": "binary", "default": None},
        {"type": "object", "default": {}},
        {"type": "datetime", "default": "tomorrow"},
        {"type": "datetime", "default": "2024-01-02T03:04:05+01:00"},
        {"type": "boolean", "default": 1},
        {"type": "string", "default": "x" * 10_001},
        {"default": 2**63},
        {"name": ""},
    ],
    ids=str,
)
def test_a_default_is_of_its_type(change):
    """MLflow would refuse the whole MLmodel when a consumer opens it."""
    with pytest.raises(SignatureError, match=r"params\.0"):
        read_signature({"params": json.dumps([PARAM | change])})


@pytest.mark.parametrize(
    "value",
    [None, [], "x", {}, {"inputs": None}, {"inputs": 3}, {"inputs": "["}, {"inputs": "[NaN]"}, {"more": "[]"}],
    ids=str,
)
def test_what_is_no_signature_is_refused(value):
    """Whatever YAML may hold there, in one sentence."""
    with pytest.raises(SignatureError):
        read_signature(value)


def nested(depth):
    """Return a column of arrays in arrays."""
    inner = '{"type": "array", "items":' * (depth - 1) + '{"type": "long"}' + "}" * (depth - 1)
    return f'[{{"name": "a", "required": true, "type": "array", "items": {inner}}}]'


def test_size_and_nesting_are_bounded():
    """Also where quotes double in YAML, so that the gate and MLflow read the MLmodel that it writes."""
    read_signature({"inputs": nested(7)})
    for text in (nested(8), nested(90), nested(3000)):
        with pytest.raises(SignatureError, match=r"nested|JSON"):
            read_signature({"inputs": text})
    columns = [COLUMN | {"name": f"{number:05}" + "'" * 100} for number in range(1800)]
    with pytest.raises(SignatureError, match="larger than"):
        read_signature({"inputs": json.dumps(columns)})
    with pytest.raises(SignatureError, match="larger than"):
        read_signature({"inputs": json.dumps([COLUMN | {"name": "a" * MAX_BYTES}])})


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("tensor"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "name", "tensor-spec", "dtype", "shape", "items", "default"]) | st.text(),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_any_json_is_read_or_refused(value):
    """No other error than the one that the caller expects."""
    for part in ("inputs", "params"):
        try:
            read_signature({part: json.dumps(value)})
        except SignatureError as error:
            assert str(error)  # noqa: PT017  # what is refused is the point
