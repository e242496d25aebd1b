"""Archives that two readers read differently, all the way: at level A, and as what a candidate's converter leaves."""

import base64

import pytest

from gate.records.finding import Decision
from gate.records.job import CONVERTED_FILE, RESULT_FILE, ScanResult
from tests.corpus import case as case_named
from tests.corpus import cases, containers
from tests.corpus.code import write_body

NAMES = [case.name for case in cases() if case.name.startswith("container-")]


def notes(evidence_outcomes):
    """Return the notes of everything that the detectors on bytes counted."""
    return "\n".join(
        item.note
        for outcome in evidence_outcomes.values()
        for item in getattr(outcome, "measurements", ())
        if item.value
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_container_is_flagged_by_a_message_that_names_member_and_expectation(name, tmp_path, checked_here):
    """Through pull, inspector and verdict: flagged, not loaded, and said what was expected where."""
    root = tmp_path / "model"
    root.mkdir()
    case_named(name).write(root, tmp_path / "marker")
    report = checked_here(root)
    assert report.decision is Decision.FLAGGED
    assert report.evidence.assurance is None
    assert containers.message_of(name) in notes(report.evidence.outcomes)


@pytest.mark.parametrize(
    "name", ["slack", *(pytest.param(name, marks=pytest.mark.story) for name in ("two-directories", "folder-bit"))]
)
def test_what_a_converter_leaves_is_held_to_the_same_grammar(name, tmp_path, checked):
    """Level B: such a container, left by code in the converter's place, is refused by the writer, and never scanned."""
    hostile, root = tmp_path / "hostile", tmp_path / "model"
    hostile.mkdir()
    root.mkdir()
    case_named(f"container-{name}").write(hostile, tmp_path / "marker")
    raw = base64.b64encode((hostile / "data" / "model.pt2").read_bytes())
    word = ScanResult(isolation="full", converted=True, complete=True).canonical_json().decode()
    write_body(
        root,
        f"""\
import base64
home = pathlib.Path(os.environ['HOME'])
(home / {CONVERTED_FILE!r}).write_bytes(base64.b64decode({raw!r}))
(home / {RESULT_FILE!r}).write_text({word!r})
os._exit(0)
""",
    )
    report = checked(root, allow_code=True)
    assert report.decision is Decision.FLAGGED
    assert (report.evidence.assurance, report.evidence.bundle_digest) == (None, None)
    (refused,) = [problem for problem in report.evidence.problems if "could not be written as a bundle" in problem]
    # The reader meets a record that is too long before the archives' own grammar does.
    assert ("elements; expected" if name == "slack" else containers.message_of(name)) in refused
