import json
import random

import pytest
import torch
from consumers_view import lint_archive
from exported_families import export, make, samples
from hostile_archives import members, pack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate.programs import Program, RefusedError, read_program

PAYLOAD = "__import__('pathlib').Path('marker').touch()"
VALUES = [
    None, True, False, 0, 1, -1, 2, 3, 7, 10, 1 << 40, 1 << 62, -(1 << 63), 1 << 64, 0.5, "", "x", PAYLOAD, "conv2d",
    "torch.os.system", "torch.ops.aten.view.default", "torch.ops.aten.lstm.input", "_operator.pow", [], {}, [1],
    {"as_int": 5}, {"as_none": True}, {"as_tensor": {"name": "x"}}, {"as_ints": [1, 1 << 40]},
    {"as_sym_int": {"as_name": "x"}}, {"as_string": PAYLOAD}, {"as_float": "Infinity"}, {"expr_str": PAYLOAD},
]  # fmt: skip
FAMILY_NAMES = ("normalising", "lstm", "vit")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Return the members of small good archives and a batch for each."""
    found = {}
    for family in FAMILY_NAMES:
        model, shape = make(family)
        path = export(model, shape, tmp_path_factory.mktemp(family) / "model.pt2")
        found[family] = (members(path), samples(shape, 2))
    return found


def places(value, found):
    """Collect every container and key of a JSON value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in entries:
        found.append((value, key))
        if isinstance(item, dict | list):
            places(item, found)
    return found


def change_json(content, dice):
    """Replace, remove or double something in one of the JSON members."""
    name = dice.choice([name for name in content if name.endswith(".json")])
    value = json.loads(content[name])
    for _ in range(dice.choice((1, 1, 2, 4))):
        container, key = dice.choice(places(value, []))
        action = dice.randrange(4)
        if action == 0 and isinstance(container, dict):
            del container[key]
        elif action == 1 and isinstance(container, list):
            container.insert(key, copied(container[dice.randrange(len(container))]))
        elif action == 2:
            part, key_of_part = dice.choice(places(value, []))
            container[key] = copied(part[key_of_part])
        else:
            container[key] = copied(dice.choice(VALUES))
        if not value:
            break
    content[name] = json.dumps(value).encode()


def copied(value):
    """Return a copy that shares nothing."""
    return json.loads(json.dumps(value))


def change_bytes(content, dice):
    """Overwrite, cut or lengthen a member."""
    name = dice.choice(list(content))
    raw = bytearray(content[name])
    action = dice.randrange(3)
    if action == 0 and raw:
        for _ in range(dice.choice((1, 8))):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
    elif action == 1:
        del raw[dice.randrange(len(raw) + 1) :]
    else:
        raw += dice.randbytes(dice.choice((1, 4, 64)))
    content[name] = bytes(raw)


def change_members(content, dice):
    """Remove, rename or swap members."""
    first, second = dice.choice(list(content)), dice.choice(list(content))
    action = dice.randrange(3)
    if action == 0:
        del content[first]
    elif action == 1:
        content[dice.choice(("extra/a.py", "../a", "models/other.json", "data/weights/weight_99", "é"))] = content[
            first
        ]
    else:
        content[first], content[second] = content[second], content[first]


def change_file(path, dice):
    """Overwrite bytes of the archive itself, headers included."""
    raw = bytearray(path.read_bytes())
    for _ in range(dice.choice((1, 4, 16))):
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    if dice.randrange(4) == 0:
        del raw[dice.randrange(len(raw)) :]
    path.write_bytes(bytes(raw))


def outcome(path, x):
    """Read and run an archive: `ran` or `refused`; any other exception is the test's failure."""
    try:
        program = read_program(path)
    except RefusedError:
        return "refused"
    assert isinstance(program, Program)
    try:
        inputs = [x.clone().requires_grad_(), *[torch.zeros(1)] * (len(program.inputs) - 1)]
        program(*inputs)
        program.run(*inputs)
    except RefusedError:
        return "failed"
    return "ran"


def check(seed, seeds, directory):
    """Mutate one good archive by a seed, and hold the reader and the lint to their promise."""
    dice = random.Random(seed)
    content, x = seeds[dice.choice(FAMILY_NAMES)]
    content = dict(content)
    path = directory / "fuzzed.pt2"
    kind = dice.choice((change_json, change_json, change_json, change_bytes, change_members, change_file))
    if kind is not change_file:
        kind(content, dice)
    pack(content, path)
    if kind is change_file:
        change_file(path, dice)
    result = outcome(path, x)
    lint_archive(path)
    assert [entry.name for entry in directory.iterdir()] == ["fuzzed.pt2"]
    return result


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(seed=st.integers(0, 2**32))
def test_a_mutated_archive_is_read_or_refused_and_runs_nothing(seed, seeds, tmp_path_factory):
    """However an archive is mutated, the reader yields a program or a RefusedError, and leaves no file behind."""
    directory = tmp_path_factory.getbasetemp() / "fuzz"
    directory.mkdir(exist_ok=True)
    assert check(seed, seeds, directory) in {"ran", "refused", "failed"}


@pytest.mark.slow
def test_twenty_thousand_mutated_archives(seeds, tmp_path):
    """The long version: 20,000 mutations, of which some run, some are refused, and none does anything else."""
    counts = {"ran": 0, "refused": 0, "failed": 0}
    for seed in range(20_000):
        counts[check(seed, seeds, tmp_path)] += 1
    print(counts)  # noqa: T201  # the figures of the long run
    assert counts["ran"] > 1000
    assert counts["refused"] > 5000
