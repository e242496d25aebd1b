import copy
import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate.records.evidence import Failed, Location, Measured, Measurement, Picture, Point, Projection, Skipped, Suspect
from gate.records.facts import ModelFacts
from gate.records.job import ScanResult
from gate.records.record import MalformedError, parse_json
from gate.records.samples_evidence import SamplesEvidence

CLASS = Location.of_class(3)
VALID = ScanResult(
    isolation="full",
    assurance="A",
    facts=ModelFacts(flavour="pytorch", format="pt2", classes=10, input_shape=(1, 8, 8), parameters=12),
    samples=SamplesEvidence(source="s", sha256="0" * 64, count=20, classes_present=10, accuracy=0.9),
    stages=(1, 2),
    outcomes={
        "neural-cleanse": Measured(
            measurements=(Measurement(metric="size", value=1.5, location=CLASS, note="n"),), seconds=1.0
        ),
        "activation-clustering": Skipped(reason="no suspects", options={"a": [1, {"b": None}]}),
        "model-inversion": Failed(error="it broke", seconds=2.0),
    },
    suspects=(Suspect(stage=1, detector="neural-cleanse", metric="size", value=1.0, location=CLASS),),
    problems=("one",),
    pictures=(Picture(role="mask", location=CLASS, height=1, width=2, channels=1, pixels="AAA="),),
    projections=(Projection(location=CLASS, method="pca", points=(Point(x=0.0, y=1.0, group="clean", cluster=0),)),),
    versions={"torch": "2"},
    seconds={"scan": 1.0},
    complete=True,
)
ODD_TEXTS = ("", "\x00", "\x1b[2J", "é", "\U0001f600", "A" * 3000, "::error::x", "measured", "AAA=", "99", "１２", "→")
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**64), 10**400, 1e308, -0.0, math.nan, math.inf]),
    st.floats(),
    st.sampled_from(ODD_TEXTS),
    st.text(max_size=20),
    st.just("\ud800"),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def places(value, path=()):
    """Return the paths of all values inside a JSON value."""
    found = [path]
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            found += places(inner, (*path, key))
    return found


@st.composite
def mutated(draw):
    """Return the bytes of a valid result after some values were replaced, removed, moved, doubled or nested."""
    value = json.loads(VALID.canonical_json())
    for _ in range(draw(st.integers(1, 4))):
        paths = [path for path in places(value) if path]
        path = draw(st.sampled_from(paths))
        holder = value
        for key in path[:-1]:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "remove", "add", "move", "nest"])):
            case "replace":
                holder[path[-1]] = draw(VALUES)
            case "remove":
                del holder[path[-1]]
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=12))] = draw(VALUES)
            case "move":
                holder[path[-1]] = copy.deepcopy(value)
            case "nest":
                for _ in range(draw(st.integers(1, 50))):
                    holder[path[-1]] = [holder[path[-1]]]
        if not value:
            break
    return json.dumps(value).encode()


@st.composite
def damaged(draw):
    """Return the bytes of a valid result with some bytes changed, cut out or put in."""
    raw = bytearray(VALID.canonical_json())
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(raw)


@st.composite
def nested(draw):
    """Return deeply nested JSON, closed or not, alone or inside a field of a result."""
    depth = draw(st.sampled_from([10, 200, 900, 1100, 5000, 100_000]))
    opening, closing = draw(st.sampled_from([("[", "]"), ('{"a":', "}")]))
    inner = opening * depth + draw(st.sampled_from(["", "1", "null"])) + closing * draw(st.sampled_from([0, depth]))
    field = draw(st.sampled_from(["", "outcomes", "facts", "problems"]))
    if field == "outcomes":
        inner = f'{{"x":{{"status":"skipped","reason":"r","options":{{"o":{inner}}}}}}}'
    return (f'{{"isolation":"full","{field}":{inner}}}' if field else inner).encode()


NUMBERS = st.sampled_from([b"1" * 5000, b"1e999", b"-1e-999", b"NaN", b"Infinity", b'{"a":1,"a":2}', b'"\\ud800"'])
UTF = st.sampled_from(["utf-8-sig", "utf-16", "utf-32", "utf-16-be"]).map(
    lambda name: VALID.canonical_json().decode().encode(name)
)
RAW = st.one_of(mutated(), mutated(), damaged(), nested(), st.binary(max_size=200), NUMBERS, UTF)


def attempt(parse):
    """Return what a parser gives, or None and the message of its refusal; any other exception goes through."""
    try:
        return parse(), ""
    except MalformedError as error:
        return None, str(error)


def hold(raw):
    """Parse as the orchestrator does; a result that is accepted is finite, of the schema, and can be written again."""
    value, refused = attempt(lambda: parse_json(raw, what="result"))
    result, also_refused = attempt(lambda: ScanResult.from_json(raw))
    assert max(len(refused), len(also_refused)) < 1000
    if result is None:
        assert also_refused
        return
    assert value is not None
    assert ScanResult.from_json(result.canonical_json()) == result
    assert b"NaN" not in result.model_dump_json(include={"seconds", "suspects"}).encode()


def fuzz(count):
    """Return a test over so many cases, without hypothesis' clock, since the machine may be busy."""
    skipped = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=skipped)(
        given(raw=RAW)(hold)
    )


def test_a_valid_result_is_accepted_as_it_is():
    """What the fuzzing starts from is itself a result."""
    assert ScanResult.from_json(VALID.canonical_json()) == VALID


def test_hostile_results_are_refused_in_words():
    """Over 300 mutated, damaged, nested and random results, MalformedError is the only exception."""
    run = fuzz(300)
    run()
    assert run.hypothesis.inner_test is hold


@pytest.mark.slow
def test_many_hostile_results_are_refused_in_words():
    """Likewise over 20,000."""
    run = fuzz(20_000)
    run()
    assert run.hypothesis.inner_test is hold
