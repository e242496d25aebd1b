"""The readers of hostile bytes under random and mutated input: a value or `UnreadableError`, nothing else."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate.formats.compression import compression_of, inflated
from gate.formats.configurations import config_hazards, holds_configuration, schema_hazards
from gate.formats.mlflow_folder import unexpected_files
from gate.formats.mlflow_model import foreign_entries
from gate.formats.mlmodel import read_mlmodel
from gate.formats.onnx import read_onnx
from gate.formats.pickle_search import find_pickles
from gate.formats.pickles import walk_pickle
from gate.formats.pt2 import pt2_hazards
from gate.formats.requirements import odd_in_file
from gate.formats.safetensors import check_safetensors
from gate.formats.source import Bounds, ByteStream, Source, UnreadableError
from gate.formats.zip_members import member_source
from gate.formats.zips import read_zip
from tests.corpus import formats, pickles, zipping
from tests.corpus.case import FRAME

OPCODES = 20_000
MARKER = pickles.Path("/nonexistent/marker")


def bounds():
    """Return bounds of one input; those of an artifact hold for all of its files together."""
    return Bounds(max_opcodes=OPCODES, max_inflated_bytes=1 << 20, max_members=1000)


def _zip(raw):
    source = Source.of(raw)
    archive = read_zip(source, bounds())
    for member in archive.members:
        member_source(source, member, 1 << 20)
    return [*archive.faults, *pt2_hazards(source, archive, bounds())]


def _mlmodel(raw):
    model = read_mlmodel(raw)
    return [*model.code(), *model.paths(), *foreign_entries(model), *unexpected_files(("MLmodel", "data/a"), model)]


def _pickle(raw):
    walk = walk_pickle(ByteStream(iter([raw])), bounds())
    assert walk.opcodes <= OPCODES + 1
    return walk


def _json(raw, read):
    return list(read(json.loads(raw), bounds()))


READERS = {
    "mlmodel": (_mlmodel, FRAME["MLmodel"]),
    "requirements": (lambda raw: list(odd_in_file("requirements.txt", raw)), FRAME["requirements.txt"]),
    "conda": (lambda raw: list(odd_in_file("conda.yaml", raw)), FRAME["conda.yaml"]),
    "pickle": (_pickle, pickles.touch(MARKER)),
    "search": (lambda raw: list(find_pickles(Source.of(raw), "x.pkl", bounds())), pickles.LEGACY_MAGIC + b"\x80\x02}."),
    "zip": (_zip, zipping.torch_zip(pickles.touch(MARKER))),
    "unlisted": (_zip, zipping.unlisted(zipping.torch_zip(b"\x80\x02}."), b"model/x", b"x")),
    "onnx": (lambda raw: read_onnx(raw, bounds()), formats.onnx(b"own", b"../x")),
    "safetensors": (
        lambda raw: check_safetensors(Source.of(raw)),
        formats.safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
    ),
    "hdf5": (holds_configuration, formats.old_keras({"class_name": "Lambda", "config": {}})),
    "inflated": (
        lambda raw: list(inflated(iter([raw]), compression_of(raw) or "zlib", 1 << 20)),
        pickles.gzip.compress(b"x" * 500),
    ),
}


@st.composite
def _mutated(draw, seed):
    """Return the seed with some bytes replaced, cut out or doubled."""
    raw = bytearray(seed)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(raw)))
        match draw(st.integers(0, 3)):
            case 0:
                raw[at : at + 1] = draw(st.binary(min_size=1, max_size=8))
            case 1:
                del raw[at : at + draw(st.integers(1, 40))]
            case 2:
                raw[at:at] = raw[at : at + draw(st.integers(1, 40))]
            case _:
                raw[at : at + 4] = draw(
                    st.sampled_from([b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x00\x00\x00\x80"])
                )
    return bytes(raw)


def _survives(name, data):
    read, seed = READERS[name]
    raw = data.draw(st.one_of(st.binary(max_size=300), _mutated(seed)))
    fault = "read"
    try:
        read(raw)
    except UnreadableError as error:
        fault = str(error)
    assert fault


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_reader_returns_or_calls_the_bytes_unreadable(name, data):
    """No byte string makes a reader raise anything but its own error."""
    _survives(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_reader_withstands_thousands_of_inputs(name, data):
    """The same over 2,000 inputs each, 26,000 in all."""
    _survives(name, data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["class_name", "module", "registered_name", "__class__", "__module__", "fn_name", "config"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(value=_JSON)
def test_configurations_of_any_shape_are_walked(value):
    """Keras and skops configurations whose parts have unexpected types yield texts, not errors."""
    seen = [*config_hazards(value, bounds()), *schema_hazards(value, bounds())]
    assert all(isinstance(what, str) for what in seen)


@pytest.mark.parametrize("loader", [{}, [], ["x"], 3, None])
def test_a_loader_of_any_type_in_a_schema_is_no_error(loader):
    """A hostile schema may say anything; a type outside of scikit-learn is told, and nothing is raised."""
    schema = {"__class__": "Thing", "__module__": "acme", "__loader__": loader}
    assert list(schema_hazards(schema, bounds())) == ["type acme.Thing"]
    assert list(schema_hazards({**schema, "__module__": "sklearn.svm"}, bounds())) == []


_VALUES = st.none() | st.integers() | st.text(max_size=10) | st.lists(st.integers(), max_size=2)


@settings(max_examples=100, deadline=None)
@given(
    program=st.dictionaries(
        st.sampled_from(["guards_code", "graph_module", "target", "name", "expr_str", "fqn"]),
        st.one_of(_VALUES, st.dictionaries(st.sampled_from(["graph", "name", "target", "expr_str"]), _VALUES)),
    ),
    config=_VALUES | st.dictionaries(st.just("config"), _VALUES | st.dictionaries(st.text(max_size=3), _VALUES)),
)
def test_exported_programs_of_any_shape_are_walked(program, config):
    """JSON of an exported program whose parts have unexpected types is reported or unreadable."""
    members = {"m/archive_format": b"pt2", "m/models/model.json": json.dumps(program).encode()}
    members["m/data/weights/m_weights_config.json"] = json.dumps(config).encode()
    source = Source.of(zipping.zipped(members))
    try:
        seen = list(pt2_hazards(source, read_zip(source, bounds()), bounds()))
    except UnreadableError as error:
        seen = [str(error)]
    assert all(isinstance(what, str) for what in seen)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_plain_values_import_nothing_at_any_protocol(value):
    """The walk reads every pickle of plain values to its end and finds no import in it."""
    for protocol in range(6):
        walk = walk_pickle(ByteStream(iter([pickles_dumps(value, protocol)])), bounds())
        assert walk.fault == ""
        assert [name for name in walk.names if name not in _OF_BYTES] == []
        assert walk.unresolved == 0


_OF_BYTES = (("_codecs", "encode"), ("__builtin__", "bytes"))
"""What protocols before 3 need for bytes."""


def pickles_dumps(value, protocol):
    """Return the value as Python itself pickles it."""
    import pickle

    return pickle.dumps(value, protocol=protocol)
