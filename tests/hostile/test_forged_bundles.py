"""A writer in a candidate's hand: whatever it leaves, no bundle is believed that is not what its result says."""

import hashlib
import json

import pytest
from test_forged_results import forger  # noqa: F401  # the fixture

from gate.records.artifact import build_manifest
from gate.records.written_program import TensorInput, Written

PROGRAM = b"a program"
HONEST = Written(
    origin="pt2",
    format="pt2",
    program_sha256=hashlib.sha256(PROGRAM).hexdigest(),
    parent=f"sha256:{64 * 'a'}",
    inputs=(TensorInput(name="x", shape=(None, 1, 8, 8), dtype="float32"),),
    greatest_difference=0.0,
)
LEAVE = f"program.write_bytes({PROGRAM!r})\nvalue = json.loads(report)\nvalue['problems'] = []\n"
SAY = "value['written'] = json.loads(honest)\n{}\nleave(json.dumps(value))"

ATTACKS = {
    "no program": SAY.format("program.unlink()"),
    "another program": SAY.format("program.write_bytes(b'another')"),
    "a link to another file": SAY.format(
        f"elsewhere = prepared / 'elsewhere'\nelsewhere.write_bytes({PROGRAM!r})\n"
        "program.unlink()\nprogram.symlink_to(elsewhere)"
    ),
    "a pipe": SAY.format("program.unlink(); os.mkfifo(program)"),
    "a directory": SAY.format("program.unlink(); program.mkdir()"),
    "a sparse file of a terabyte": SAY.format("os.truncate(program, 1 << 40)"),
    "a text of its own in the bundle": SAY.format("value['written']['MLmodel'] = 'flavors: {}'"),
    "an input's name that is YAML": SAY.format("value['written']['inputs'][0]['name'] = 'x: !!python/name:os'"),
    "a signature with a loader": SAY.format("value['written']['signature'] = {'loader_module': 'os'}"),
    "an origin of its own": SAY.format("value['written']['origin'] = 'trusted'"),
    "a difference that is no number": SAY.format("value['written']['greatest_difference'] = float('nan')"),
    "a torch that is markup": SAY.format("value['written']['candidate_torch'] = '<script>'"),
    "measurements": SAY.format("value['outcomes'] = json.loads((prepared / 'scan.json').read_text())['outcomes']"),
    "a conversion": SAY.format("value['converted'] = True"),
    "a result that is not complete": SAY.format("value['complete'] = False"),
    "another exit code": SAY.format("leave(json.dumps(value))\nsys.exit(1)"),
}


@pytest.fixture
def writer(forger, tmp_path):  # noqa: F811
    """Return the function that runs `gate check` with a forger as its writer and an honest scan."""

    def check(attack):
        lines = ["import json, os, sys", f"honest = {HONEST.canonical_json().decode()!r}", LEAVE, attack]
        (tmp_path / "prepared" / "writer.py").write_text("\n".join(lines))
        return forger("leave(report)")

    return check


def test_the_result_that_the_forgers_spoil_would_be_a_bundle(writer):
    """The control: left as it is, program and result make a bundle of that program, in evidence and verdict."""
    code, reports = writer(SAY.format(""))
    assert code == 0
    bundle, verdict = reports / "bundle", json.loads((reports / "verdict.json").read_text())
    assert (bundle / "data" / "model.pt2").read_bytes() == PROGRAM
    assert build_manifest(bundle)[0].digest == verdict["bundle_digest"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_forged_program_is_no_bundle_and_flags(attack, writer):
    """A writer that breaks or lies is no reason to have no bundle: it is a problem, and nothing can be promoted."""
    code, reports = writer(ATTACKS[attack])
    assert code == 1
    evidence = json.loads((reports / "evidence.json").read_text())
    assert evidence["bundle_digest"] is None
    assert any("No bundle was written" in problem for problem in evidence["problems"])
    assert not (reports / "bundle").exists()
