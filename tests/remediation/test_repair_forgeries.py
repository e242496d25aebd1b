"""Whatever a repair worker leaves, the orchestrator ends with a failed attempt in words, and registers nothing."""

import io
import json
import pickle
import zipfile

import pytest

from gate.records.errors import GateError
from gate.records.record import MalformedError
from gate.records.repair import MAX_REPAIR_PICTURES, RepairTask
from gate.remediation.attempting import MAX_RESULT_BYTES, check_result
from tests.remediation.made_up import PLACE, measures, picture, result

TASK = RepairTask(method="unlearning", options={}, suspects=(PLACE,))

CHANGED = {
    "another method": ({"method": "another"}, "unlearning was asked for"),
    "another seed": ({"seed": 7}, "6 was asked for"),
    "other options": ({"options": {"share": 1.0}}, "states other options"),
    "a detector that there is not": ({"used_detectors": ("soothing",)}, "which there is not"),
    "a place that was not asked for": (
        {"after": measures().model_copy(update={"old_success": {"class 3": 0.0}})},
        "'class 3', which was not asked for",
    ),
    "an accuracy outside its interval": (
        {"after": measures().model_copy(update={"accuracy": 0.99, "accuracy_high": 0.96})},
        "outside its own interval",
    ),
    "a repair without measures": ({"after": None}, "measured nothing"),
    "a picture of elsewhere": (
        {"pictures": (picture("old", 1).model_copy(update={"location": PLACE.of_class(3)}),)},
        "picture of a place",
    ),
}


@pytest.mark.parametrize("forgery", CHANGED)
def test_a_result_that_speaks_of_what_was_not_asked_is_refused(forgery):
    """Method, seed, options, detectors, places and pictures are those of the task, or the result is malformed."""
    changes, message = CHANGED[forgery]
    check_result(result(), TASK, 6)
    with pytest.raises(MalformedError, match=message):
        check_result(result().model_copy(update=changes), TASK, 6)


TEXTS = {
    "not a number": "text.replace('0.95', 'NaN')",
    "an infinite number": "text.replace('12.5', '-Infinity')",
    "a number that overflows": "text.replace('12.5', '1e999')",
    "a share above one": "text.replace('0.99', '1.99')",
    "too many pictures": "json.dumps(value | {'pictures': value['pictures'] * 20})",
    "an unknown key": "json.dumps(value | {'decision': 'approved'})",
    "a huge file": "text[:-1] + ' ' * (9 << 20) + '}'",
    "a part": "text[:-30]",
    "lone surrogates": "json.dumps(value | {'reason': chr(0xD800)})",
    "nothing": "''",
}
OTHERS = {
    "no result at all": "repaired.write_bytes(program)",
    "no repaired model": "result.write_text(json.dumps(value))",
    "an empty model": "program = b''\nleave()",
    "a model of a gigabyte": "leave()\nos.truncate(repaired, 1 << 30)",
    "a link as the model": "leave()\nrepaired.unlink()\nrepaired.symlink_to('/etc/passwd')",
    "a result that is not complete": "value['complete'] = False\nleave()",
    "another exit code": "leave()\nsys.exit(1)",
    "a kill": "leave()\nos.kill(os.getpid(), signal.SIGKILL)",
}
ATTACKS = {
    f"{name}": f"text = json.dumps(value)\nleave()\nresult.write_text({change})" for name, change in TEXTS.items()
}


def test_a_forged_result_is_a_failed_attempt(bench):
    """Each forgery ends its own attempt with the reason in words; the next is made, and the registry is untouched."""
    attacks = list((ATTACKS | OTHERS).values())
    (bench.prepared / "attacks.json").write_text(json.dumps(attacks))
    bench.let("exec(json.loads((prepared / 'attacks.json').read_text())[int(job['repair']['method'].split('-')[1])])")
    done, _ = bench.run(bench.request(*(f"attack-{number}" for number in range(len(attacks)))))
    outcomes = {
        name: (one.result.status, one.broken) for name, one in zip(ATTACKS | OTHERS, done.report.attempts, strict=True)
    }
    assert {status for status, _ in outcomes.values()} == {"failed"}, outcomes
    assert all(broken and broken[0] for _, broken in outcomes.values())
    assert done.report.outcome == "none-holds"
    assert bench.shelf.calls == []
    assert bench.versions == [1]
    assert not list((bench.out / "attempts").glob("*")) if (bench.out / "attempts").exists() else True
    assert MAX_REPAIR_PICTURES < 40
    assert MAX_RESULT_BYTES < 9 << 20


class _Touch:
    def __reduce__(self):
        return print, ("the payload ran",)


def code_in_an_archive():
    """Return a .pt2 with a pickle in it that prints when it is loaded."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("model/version", "3")
        archive.writestr("model/data.pkl", pickle.dumps(_Touch()))
    return raw.getvalue()


@pytest.mark.parametrize("program", [code_in_an_archive(), b"import os\n", pickle.dumps(_Touch())])
def test_a_repaired_program_with_code_is_not_registered(bench, program, capfd):
    """The bundle's bytes are inspected before it is stored: code in them breaks the attempt, and nothing runs."""
    (bench.prepared / "repaired.pt2").write_bytes(program)
    done, _ = bench.run()
    assert done.registered is None
    assert "forbids loading them" in done.report.attempts[0].broken[0]
    assert bench.shelf.calls == []
    assert not (bench.out / "bundle").exists()
    assert "the payload ran" not in capfd.readouterr().out
    assert issubclass(MalformedError, GateError)
