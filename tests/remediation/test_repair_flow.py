"""The flow of `gate remediate`, with a stand-in for the worker: what is registered, what never is, what is taken up."""

import json
import signal
from dataclasses import replace

import pytest

from gate.programs import read_program
from gate.programs.writer.identity import difference
from gate.records.artifact import build_manifest
from gate.records.bank import Bank, OpenBank
from gate.records.errors import StoppedError, UsageError
from gate.records.facts import ModelFacts
from gate.records.provenance import Provenance
from gate.records.remediation import RemediationReport
from gate.registries.directory import DirectoryRegistry
from tests.remediation.made_up import measures, result
from tests.stand_ins.workers_here import workers_here


@pytest.fixture(autouse=True)
def honest_workers_here():
    """Run the honest inspector, sampler and writer in this process; the repairer is a process of its own."""
    with workers_here(but={"repairer"}):
        yield


def test_what_holds_becomes_a_new_version_without_a_decision(bench):
    """Version 2 carries the links to its parent and no decision, and version 1 is what it was, tags and bytes."""
    before = build_manifest(bench.shelf.root / "cand" / "1")[0].digest
    done, said = bench.run()
    assert str(done.registered) == "models:/cand/2"
    tags = json.loads((bench.shelf.root / "cand" / "2" / "tags.json").read_text())
    assert set(tags) == {"gate.parent", "gate.parent_digest", "gate.remediation", "gate.remediation_key"}
    assert tags["gate.parent"] == "models:/cand/1"
    assert tags["gate.parent_digest"] == done.report.parent_digest
    told = json.loads(tags["gate.remediation"])
    assert (told["method"], told["attempts"]) == ("unlearning", 1)
    assert told["report_digest"] == done.report.digest
    assert build_manifest(bench.shelf.root / "cand" / "1")[0].digest == before
    assert any("without a decision" in line for line in said)


def test_the_bundle_says_by_how_many_attempts_it_was_made(bench):
    """provenance.json of the registered version has parent, method, options, all planned seeds and detectors used."""
    done, _ = bench.run(bench.request("channel-lipschitz", "unlearning", "i-bau"))
    folder = bench.shelf.root / "cand" / "2" / "model"
    origin = Provenance.from_file(folder / "provenance.json").repair
    assert (origin.method, origin.attempts, origin.seeds) == ("channel-lipschitz", 3, (6, 7, 8))
    assert origin.detectors == ("neural-cleanse",)
    assert origin.options == {"share": 0.1}
    assert origin.parent == origin.parent_digest == done.report.parent_digest, "a bundle names bytes, and no version"
    program = read_program(folder / "data" / "model.pt2")
    assert difference(program, read_program(bench.prepared / "repaired.pt2")) == ""


def test_methods_are_tried_until_one_holds(bench):
    """An attempt that destroys accuracy and one that does not fit are in the report; the third ends it."""
    bench.let(
        "if job['repair']['method'] == 'first': value['after'] |= {'accuracy': .5, 'accuracy_low': .4, "
        "'accuracy_high': .6}\n"
        "if job['repair']['method'] == 'second': value |= {'status': 'does-not-fit', 'reason': 'It has no BatchNorm.', "
        "'before': None, 'after': None}\n"
        "leave()"
    )
    done, said = bench.run(bench.request("first", "second", "third", "fourth"))
    assert bench.asked == ["first 6", "second 7", "third 8"]
    broken = [attempt.broken for attempt in done.report.attempts]
    assert "Clean accuracy fell from 96.0% to 50.0%" in broken[0][0]
    assert broken[1:] == [("It has no BatchNorm.",), ()]
    assert done.report.held.result.method == "third"
    assert any("It has no BatchNorm." in line for line in said)


def test_where_none_holds_nothing_is_registered(bench):
    """The report says to retrain from scratch and names the class; the registry has one version still."""
    bench.let(honest=result(after=measures(old=0.9)))
    done, _ = bench.run(bench.request("one", "two"))
    assert done.registered is None
    assert done.report.outcome == "none-holds"
    assert bench.versions == [1]
    assert bench.shelf.calls == []
    text = (bench.out / "remediation.md").read_text()
    assert "Retrain from scratch" in text
    assert "class 7" in text


def test_a_repair_that_only_hides_the_trigger_is_called_that(bench):
    """A dead old trigger beside a new small one does not hold, and the page says so in its head."""
    bench.let(honest=result(after=measures(old=0.0, fresh=0.98, ratio=0.12)))
    done, _ = bench.run()
    assert done.registered is None
    assert done.report.hidden == (("unlearning", "class 7"),)
    for name in ("remediation.md", "remediation.html"):
        assert "only hid the trigger at class 7" in (bench.out / name).read_text()


def test_where_no_method_fits_the_reasons_are_the_answer(bench):
    """Too few samples for every method is its own outcome, with the worker's reason."""
    few = "There are 20 labelled samples; expected at least 50."
    bench.let(honest=result(status="does-not-fit", reason=few, before=None, after=None))
    done, _ = bench.run()
    assert done.report.outcome == "does-not-fit"
    assert few in (bench.out / "remediation.html").read_text()
    assert bench.versions == [1]


def test_the_same_repair_is_not_registered_twice(bench):
    """A second run finds the version by its tag, starts no worker, and makes none; other settings do."""
    first, _ = bench.run()
    bench.out.rename(bench.root / "elsewhere")
    second, _ = bench.run()
    assert (second.registered, second.report) == (first.registered, None)
    assert len(bench.asked) == 1
    assert bench.versions == [1, 2]
    other = replace(bench.request(), bounds=bench.request().bounds.model_copy(update={"max_loss": 0.03}))
    assert str(bench.run(other)[0].registered) == "models:/cand/3"


@pytest.fixture
def interruptible():
    """Let SIGINT interrupt, as the command does; a run of the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_remediation_that_was_broken_off_takes_up_finished_attempts(bench):
    """What was finished before a kill is not done again; a changed attempt, or other samples, are."""
    bench.let("if job['repair']['method'] == 'second': os.kill(os.getppid(), signal.SIGINT); time.sleep(5)\nleave()",
              honest=result(after=measures(old=0.9)))  # fmt: skip
    request = bench.request("first", "second")
    with pytest.raises(StoppedError, match="interrupted") as caught:
        bench.run(request)
    assert caught.value.exit_code == 130
    assert "are reused" in caught.value.what_to_do
    bench.let(honest=result(after=measures(old=0.9)))
    _, said = bench.run(request)
    assert bench.asked == ["first 6", "second 7", "second 7"]
    assert any("first was finished before" in line for line in said)
    (bench.out / "attempts" / "first.json").write_text("{}")
    bench.run(request)
    assert bench.asked[3:] == ["first 6"]


def test_a_kept_model_that_was_changed_is_made_again(bench):
    """A repaired program on disk that is not the one of the record is not registered."""
    request = replace(bench.request(), register=False)
    bench.run(request)
    (bench.out / "attempts" / "unlearning.pt2").write_bytes(b"other")
    bench.run(request)
    assert len(bench.asked) == 2


def test_without_registering_the_bundle_lies_in_the_directory(bench):
    """--no-register writes bundle and report, touches no registry, and names the command that decides."""
    done, _ = bench.run(replace(bench.request(), register=False), shelf=False)
    assert done.registered is None
    assert done.report.outcome == "repaired"
    assert build_manifest(bench.out / "bundle")[0].digest == done.report.bundle_digest
    assert done.report.commands[0].endswith("--no-mark")
    assert RemediationReport.from_file(bench.out / "remediation.json") == done.report
    assert bench.versions == [1]


def test_the_command_that_decides_names_the_bank_of_the_remediation(bench):
    """A verdict beside a bank is asked for beside the same bank; one that the policy names needs no option."""
    request = replace(bench.request(), register=False)
    given = OpenBank(Bank.model_construct(name="b"), bench.root, "0" * 64, "my bank.json", True)
    for bank, expected in ((given, True), (replace(given, by_option=False), False)):
        done, _ = bench.run(
            replace(request, parent=replace(request.parent, rules=replace(request.parent.rules, bank=bank))),
            shelf=False,
        )
        assert ("--bank 'my bank.json'" in done.report.commands[0]) is expected


def test_a_folder_on_disk_cannot_be_registered(bench):
    """A directory as parent with --register is a usage error that names --no-register, before anything is read."""
    request = bench.request()
    with pytest.raises(UsageError, match="folder on disk") as caught:
        bench.run(request, shelf=False)
    assert "--no-register" in caught.value.what_to_do
    registry = DirectoryRegistry()
    assert not registry.marks


def test_what_has_nothing_against_it_is_not_repaired(bench):
    """An approved parent is a usage error; with --even-if-approved it still needs a suspect."""
    bench.write_check(ratio=0.9)
    with pytest.raises(UsageError, match="nothing to repair"):
        bench.run()
    parent = replace(bench.request().parent, even_if_approved=True)
    with pytest.raises(UsageError, match="names no class or pair"):
        bench.run(replace(bench.request(), parent=parent))


@pytest.mark.parametrize(
    "changes",
    [
        {"facts": ModelFacts(flavour="pytorch", format="state-dict (mlp)", classes=10)},
        {"assurance": "C"},
        {"assurance": None},
    ],
)
def test_only_a_code_free_program_is_repaired(bench, changes):
    """State dicts, live modules and what was never loaded end in a usage error that says what can be repaired."""
    bench.write_check(**changes)
    with pytest.raises(UsageError, match=r"only an exported program \(model\.pt2\)"):
        bench.run()
    assert bench.asked == []


def test_a_bundle_that_is_not_the_checked_one_is_refused(bench):
    """Level B evidence without its bundle beside it names what is missing."""
    bench.write_check(assurance="B", bundle_digest="sha256:" + "1" * 64)
    with pytest.raises(UsageError, match="not the one that was checked"):
        bench.run()


def test_an_earlier_check_of_other_bytes_is_refused(bench):
    """--from a check of another version is a usage error with both digests."""
    path = bench.checked / "evidence.json"
    digest = json.loads(path.read_text())["manifest_digest"]
    path.write_text(path.read_text().replace(digest, "sha256:" + "2" * 64))
    with pytest.raises(UsageError, match="a check of other bytes"):
        bench.run()


def test_without_samples_nothing_is_tried(bench):
    """No samples is said before any worker starts."""
    request = bench.request()
    rules = replace(request.parent.rules, samples=None)
    with pytest.raises(UsageError, match="no clean samples"):
        bench.run(replace(request, parent=replace(request.parent, rules=rules)))
