"""Clean and backdoored versions on real registries: verdict, files, tags, and what is left alone."""

import json
import re
from dataclasses import dataclass

import pytest

from gate.policies.packaged import DEFAULT
from tests.e2e.digits import TARGET
from tests.e2e.stories import short_story, story

TAGS = [
    "gate.attestation",
    "gate.bundle_digest",
    "gate.checked_at",
    "gate.covers",
    "gate.decision",
    "gate.evidence_digest",
    "gate.model_digest",
    "gate.policy",
    "gate.report",
    "gate.version",
]
FILES = {"evidence.json", "verdict.json", "report.json", "report.md", "report.html", "report.cdx.json"}


@dataclass
class Checked:
    """A check, and the registry before and after."""

    ended: object
    desk: object
    tags: dict
    before: object
    after: object
    again: object = None


def checked(world, kind, nickname):
    """Check a fresh version of a model by its number."""
    store = getattr(world, kind)
    return _checked(store, nickname, world.desk(MLFLOW_TRACKING_URI=store.uri))


def checked_here(world, nickname):
    """Check a version in the embedded registry, in this process."""
    return _checked(world.embedded, nickname, world.desk_here(MLFLOW_TRACKING_URI=world.embedded.uri))


def _checked(store, nickname, desk):
    name = store.register(nickname)
    before = store.everything_else(name)
    ended = desk.gate("check", f"models:/{name}/1")
    return Checked(ended, desk, store.tags(name), before, store.everything_else(name))


def checked_twice(world):
    """Check one version twice at the same moment of a clock that stands still."""
    name, desk = world.embedded.register("clean"), world.desk_here(MLFLOW_TRACKING_URI=world.embedded.uri)
    desk.gate("check", f"models:/{name}/1", SOURCE_DATE_EPOCH="1700000000")
    evidence = (desk.out / "evidence.json").read_text()
    first, runs = world.embedded.tags(name), _runs_of(world.embedded, name)
    ended = desk.gate("publish", desk.out, MLFLOW_TRACKING_URI=world.embedded.uri)
    again = world.embedded.tags(name), _runs_of(world.embedded, name)
    assert evidence == (desk.out / "evidence.json").read_text()
    return Checked(ended, desk, first, runs, None, again)


def _runs_of(store, name):
    return [run.info.run_id for run in store.reports() if run.data.tags.get("gate.model") == f"models:/{name}/1"]


def on_both(nickname):
    """Return the mark of tests of a check on an embedded registry, in the quick suite too, and on a server."""
    embedded = pytest.param("embedded", marks=short_story(checked, "embedded", nickname))
    return pytest.mark.parametrize("kind", [embedded, pytest.param("server", marks=story(checked, "server", nickname))])


BOTH = on_both("clean")
BOTH_BACKDOORED = on_both("backdoored")


@BOTH
def test_a_clean_version_is_approved(kind, told):
    """Exit 0, APPROVED first on standard output, every report written, and the decision on the version."""
    assert told.ended.code == 0, told.ended
    assert told.ended.stdout.startswith("APPROVED  models:/")
    assert {path.name for path in told.desk.out.iterdir()} >= FILES
    assert told.tags["gate.decision"] == "approved"


@BOTH
def test_an_approved_version_carries_every_tag(kind, told):
    """The tags name model, policy and evidence by the digests in the files, and where the reports lie."""
    assert sorted(told.tags) == TAGS
    verdict = json.loads((told.desk.out / "verdict.json").read_text())
    assert told.tags["gate.model_digest"] == verdict["model_digest"]
    assert told.tags["gate.evidence_digest"] == verdict["evidence_digest"]
    assert told.tags["gate.policy"] == f"quick@{verdict['policy_digest']}"
    assert re.fullmatch(r"runs:/[0-9a-f]{32}/report", told.tags["gate.report"])
    assert f"logged   {told.tags['gate.report']}" in told.ended.stdout


@BOTH
def test_nothing_but_the_gates_tags_changes(kind, told):
    """Source, description, aliases, foreign tags and every file of the model are as they were."""
    assert told.after == told.before


@BOTH
def test_reports_lie_in_the_gates_own_experiment(kind, told, world):
    """The run that the tag names holds the report files and belongs to the experiment named gate."""
    store = getattr(world, kind)
    run_id = told.tags["gate.report"].split("/")[1]
    with store.client() as client:
        run = client.get_run(run_id)
        files = {item.path for item in client.list_artifacts(run_id, "report")}
        experiment = client.get_experiment(run.info.experiment_id)
    assert experiment.name == "gate"
    assert run.info.status == "FINISHED"
    assert files == {f"report/{name}" for name in FILES | {"manifest.json"}}


@BOTH
def test_standard_error_is_the_gates_own_progress_and_nothing_else(kind, told):
    """No warning, no stack trace and no line of MLflow's or torch's reaches the user."""
    assert [line for line in told.ended.stderr.splitlines() if not line.startswith("gate: ")] == []
    assert told.ended.errors == []


@BOTH_BACKDOORED
def test_a_backdoored_version_is_flagged_with_its_target(kind, told):
    """Exit 1, the target class of the planted patch and no other is named, and the version is flagged."""
    assert told.ended.code == 1, told.ended
    assert f"target class: {TARGET}\n" in told.ended.stdout
    assert told.tags["gate.decision"] == "flagged"
    assert sorted(told.tags) == TAGS
    assert told.after == told.before


@BOTH_BACKDOORED
def test_the_report_shows_the_trigger_of_the_target(kind, told):
    """The evidence has pictures of the target's trigger, its clusters, and all stages as run."""
    evidence = json.loads((told.desk.out / "evidence.json").read_text())
    assert evidence["stages"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert evidence["isolation"].startswith("full")
    assert {"mask", "trigger", "sample", "triggered"} <= {picture["role"] for picture in evidence["pictures"]}
    assert str(TARGET) in {suspect["location"]["name"] for suspect in evidence["suspects"]}
    assert evidence["projections"]
    assert "data:image/png;base64," in (told.desk.out / "report.html").read_text()


@BOTH_BACKDOORED
def test_a_training_set_that_was_not_logged_is_no_finding_and_is_said(kind, told):
    """Its detectors are skipped with the reason, which stands under what was not examined, and judge nothing."""
    report = json.loads((told.desk.out / "report.json").read_text())
    skipped = report["evidence"]["outcomes"]["spectral-signature"]
    assert (skipped["status"], skipped["reason"]) == ("skipped", "needs the training set; the run logged none")
    assert "The training data: needs the training set; the run logged none." in report["not_examined"]
    assert not {finding["rule"] for finding in report["verdict"]["findings"]} & {"spectral-signature"}


@story(checked_here, "audited")
def test_a_logged_training_set_is_audited_and_its_poisoned_label_named(told):
    """From the run's own artifacts it reaches both detectors; the finding names the class and rows to look at."""
    assert told.ended.code == 1, told.ended
    outcomes = json.loads((told.desk.out / "evidence.json").read_text())["outcomes"]
    assert outcomes["training-set-clustering"]["status"] == "measured"
    findings = json.loads((told.desk.out / "verdict.json").read_text())["findings"]
    named = [finding for finding in findings if finding["rule"] == "spectral-signature"]
    assert [finding["location"]["name"] for finding in named] == [str(TARGET)]
    assert "furthest, by row of the training set from 0:" in named[0]["message"]
    assert told.after == told.before


@short_story(checked, "embedded", "backdoored")
def test_evidence_is_judged_again_without_a_scan(told):
    """`gate judge` on the evidence and on the directory gives the same verdict, and exit 1."""
    before = json.loads((told.desk.out / "verdict.json").read_text())
    of_file = told.desk.gate("judge", told.desk.out / "evidence.json")
    of_folder = told.desk.gate("judge", told.desk.out)
    assert (of_file.code, of_folder.code) == (1, 1)
    assert json.loads((told.desk.out / "verdict.json").read_text()) == before
    assert f"target class: {TARGET}\n" in of_file.stdout
    assert of_file.stdout.split("reports")[0] == of_folder.stdout.split("reports")[0]


@story(checked_here, "layers")
def test_a_pickle_of_library_layers_is_read_without_running_code(told):
    """MLflow's pickle format with torch.nn layers alone reaches assurance level A and can be approved."""
    assert told.ended.code == 0, told.ended
    assert json.loads((told.desk.out / "evidence.json").read_text())["assurance"] == "A"


@story(checked_twice)
def test_publishing_twice_changes_nothing(told):
    """The second time finds the first one's run again and sets the same tags."""
    assert told.ended.code == 0, told.ended
    assert len(told.before) == 1
    assert told.again == (told.tags, told.before)


def checked_by_moving_alias(world):
    """Check by an alias that moves to the backdoored version while the scan runs."""
    store = world.server
    name, desk = store.register("clean"), world.desk(MLFLOW_TRACKING_URI=store.uri)
    with store.client() as client:
        client.set_registered_model_alias(name, "candidate", "1")
    store.register_next(name, "backdoored")
    running = desk.start("check", f"models:/{name}@candidate").until("maximum-margin")
    with store.client() as client:
        client.set_registered_model_alias(name, "candidate", "2")
    ended = running.end()
    by_latest = desk.gate("check", f"models:/{name}/latest")
    return Checked(ended, desk, store.tags(name), None, store.tags(name, 2), by_latest)


@story(checked_by_moving_alias)
def test_an_alias_is_looked_up_once(told):
    """An alias that moves during the scan does not matter: version 1 is checked and marked."""
    assert told.ended.code == 0, told.ended
    assert re.match(r"APPROVED  models:/clean-\d+/1\n", told.ended.stdout)
    assert told.tags["gate.decision"] == "approved"


@story(checked_by_moving_alias)
def test_latest_is_the_highest_version(told):
    """`models:/NAME/latest` checks and marks version 2."""
    assert told.again.code == 1, told.again
    assert re.match(r"FLAGGED  models:/clean-\d+/2\n", told.again.stdout)
    assert told.after["gate.decision"] == "flagged"


def checked_folder(world):
    """Check a model folder on disk, with every setting in the environment and no registry known."""
    folder = world.embedded.model_folder("backdoored")
    desk = world.desk_here(GATE_MARK="0", GATE_SEED="5", GATE_EXPERIMENT="other", GATE_MEMORY="8")
    return Checked(desk.gate("check", folder), desk, {}, None, None)


@story(checked_folder)
def test_a_model_folder_is_checked_without_a_registry(told):
    """`--no-mark`, set by GATE_MARK=0, looks only: exit 1, reports written, and the other variables heeded."""
    assert told.ended.code == 1, told.ended
    assert f"target class: {TARGET}\n" in told.ended.stdout
    assert "logged" not in told.ended.stdout
    assert {path.name for path in told.desk.out.iterdir()} >= FILES
    evidence = json.loads((told.desk.out / "evidence.json").read_text())
    assert (evidence["seed"], evidence["model"]["registry"]) == (5, "directory")


@pytest.mark.story
@pytest.mark.parametrize(
    ("nickname", "within", "code"), [("clean", "judge", 0), ("clean", "show", 0), ("backdoored", "show", 1)]
)
def test_the_recommended_policy_tells_them_apart(nickname, within, code, world, tmp_path):
    """The packaged default.yml approves the clean model, and by its limits flags the backdoored one.

    Its p-value within the model, at a known rate, sees less than they do: this patch among others
    (docs/decisions/0056).
    """
    policy = tmp_path / "policy.yml"
    policy.write_text(DEFAULT.read_text().replace("within: judge", f"within: {within}"))
    name = world.embedded.register(nickname)
    desk = world.desk(MLFLOW_TRACKING_URI=world.embedded.uri, GATE_POLICY=policy)
    ended = desk.gate("check", f"models:/{name}/1")
    assert ended.code == code, ended
    assert (f"target class: {TARGET}\n" in ended.stdout) == (code == 1)
