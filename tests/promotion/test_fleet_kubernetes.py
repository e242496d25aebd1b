"""A fleet as an Indexed Job: its arguments are the command's, and the cluster understands its exit codes."""

import pickle
import signal

import pytest
import yaml
from click.testing import CliRunner

from gate.cli.fleet import fleet
from gate.cli.fleet_run import shard_given
from gate.promotion.fleet.folder import FleetFolder
from gate.promotion.fleet.kubernetes import MOUNT, Deployment, job_text
from gate.promotion.fleet.local import shard_of
from gate.promotion.fleet.status import exit_code, status_of
from gate.records.errors import UsageError
from tests.promotion.fleet_here import FleetHere
from tests.promotion.fleets import FleetStore, desk_of

IMAGE = f"registry.example/gate@sha256:{64 * '0'}"
WANTED = Deployment("gate-fleet", IMAGE, "fleet", indexes=3, parallel=8, memory_gib=4)


@pytest.fixture
def here(tmp_path):
    """Return a fleet of three tasks under a packaged policy's name, planned but not done."""
    here = FleetHere(tmp_path)
    for version in range(1, 4):
        here.registry.add("a", version, pickle.dumps(version))
    here.plan()
    return here


def packaged(plan):
    """Return a plan whose policy every image has."""
    return plan.model_copy(update={"rules": plan.rules.model_copy(update={"policy": "default"})})


def manifest(plan, **changes):
    """Return the manifest as the API server reads it."""
    wanted = Deployment(**{**vars(WANTED), **changes})
    return yaml.safe_load(job_text(packaged(plan), wanted))


def arguments(job, index):
    """Return a container's arguments as the kubelet expands them for an index."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (variable,) = container["env"]
    field = variable["valueFrom"]["fieldRef"]["fieldPath"]
    assert field == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    return [one.replace(f"$({variable['name']})", str(index)) for one in container["args"]]


def parsed(words):
    """Return the parameters that click reads; a wrong one is an error."""
    assert words[:2] == ["fleet", "run"]
    return fleet.commands["run"].make_context("run", list(words[2:])).params


def action(job, code):
    """Return what the job controller does about a container that ended with a code, by its documented rules."""
    for rule in job["spec"]["podFailurePolicy"]["rules"]:
        wanted = rule.get("onExitCodes")
        if wanted is not None and wanted["operator"] == "In" and code in wanted["values"]:
            assert wanted["containerName"] == job["spec"]["template"]["spec"]["containers"][0]["name"]
            return rule["action"]
    return "Count"


def test_the_indexes_do_the_whole_plan_each_task_once(here):
    """The arguments are those of the command, and the parts that they name together are the plan."""
    plan = here.folder.plan()
    job = manifest(plan)
    assert job["spec"]["completions"] == 3
    done = []
    for index in range(job["spec"]["completions"]):
        read = parsed(arguments(job, index))
        assert (str(read["directory"]), read["workers"], read["memory"], read["mark"]) == (MOUNT, 1, 4.0, False)
        done += shard_of(plan.tasks, shard_given(read["shard"]))
    assert sorted(task.key for task in done) == sorted(task.key for task in plan.tasks)


def test_exit_codes_become_what_they_mean(here):
    """A flag is no reason to try again, a mistake ends the job, what could not finish is tried again."""
    job = manifest(here.folder.plan())
    assert action(job, 1) == "FailIndex"
    assert action(job, 2) == "FailJob"
    assert {action(job, code) for code in (3, 128 + signal.SIGTERM, 128 + signal.SIGKILL, 130, 70)} == {"Count"}
    evicted = job["spec"]["podFailurePolicy"]["rules"][0]
    assert evicted == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert job["spec"]["backoffLimitPerIndex"] == 3
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"  # which the policy and the limit ask for
    for rule in job["spec"]["podFailurePolicy"]["rules"]:
        values = rule.get("onExitCodes", {}).get("values", [1])
        assert values == sorted(set(values))
        assert 0 not in values


def test_a_pod_has_what_the_jail_and_the_run_need_and_nothing_more(here):
    """A read-only image, room in /tmp, the shared claim, no account of the cluster."""
    pod = manifest(here.folder.plan(), secret="mlflow", marks=True)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {"fleet": MOUNT, "tmp": "/tmp"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["envFrom"] == [{"secretRef": {"name": "mlflow"}}]
    assert container["args"][-1] == "--mark"


def test_kueue_starts_the_job(here):
    """By its label, on a job that is suspended until there is room."""
    job = manifest(here.folder.plan(), queue="gpus")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert job["spec"]["suspend"] is True
    assert "suspend" not in manifest(here.folder.plan())["spec"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": "registry.example/gate:latest"}, "--image is"),
        ({"image": f"x\n---\nkind: Pod@sha256:{64 * '0'}"}, "--image is"),
        ({"name": "Fleet"}, "--name is"),
        ({"claim": "a: b"}, "--claim is"),
        ({"secret": "../x"}, "--secret is"),
        ({"queue": "-x"}, "--kueue is"),
    ],
)
def test_what_is_no_name_is_refused(here, changes, said):
    """Nothing of it gets into a manifest."""
    with pytest.raises(UsageError, match=said):
        manifest(here.folder.plan(), **changes)


def test_a_plan_with_files_of_another_machine_is_refused(here):
    """Pods have the claim and the image; a plan that was made beside the claim names both."""
    plan = here.folder.plan()
    with pytest.raises(UsageError, match="the plan's policy is"):
        job_text(plan, WANTED)
    rules = plan.rules.model_copy(update={"policy": f"{MOUNT}/policy.yml", "samples": "runs:/1/samples.npz"})
    assert "kind: Job" in job_text(plan.model_copy(update={"rules": rules}), WANTED)


@pytest.mark.parametrize("what", ["samples", "base"])
@pytest.mark.parametrize(
    ("where", "reached"),
    [
        ("/home/me/clean.npz", False),
        ("file:///home/me/clean.npz", False),
        ("FILE:/home/me/clean.npz", False),
        ("file://other/fleet/clean.npz", False),
        ("/fleet/../home/me/clean.npz", False),
        ("file:///fleet/../home/me/clean.npz", False),
        ("/home/me/a:/clean.npz", False),
        ("/fleetwide/clean.npz", False),
        ("/fleet/clean.npz", True),
        ("file:///fleet/clean.npz", True),
        ("models:/base/2", True),
        ("s3://bucket/clean.npz", True),
        ("mlflow-artifacts:/1/clean.npz", True),
    ],
)
def test_a_file_of_this_machine_is_refused_however_it_is_named(here, what, where, reached):
    """As a path or as an address of a file: no pod has it, unless the claim does."""
    plan = packaged(here.folder.plan())
    plan = plan.model_copy(update={"rules": plan.rules.model_copy(update={what: where})})
    if reached:
        assert "kind: Job" in job_text(plan, WANTED)
        return
    with pytest.raises(UsageError) as caught:
        job_text(plan, WANTED)
    assert str(caught.value) == f"the plan's {what} is {where!r}, which no pod has; expected a file below {MOUNT}"


def test_an_index_ends_by_its_own_part(here):
    """As processes that do one part each and leave the others alone."""
    plan = here.folder.plan()
    for index in range(3):
        tasks = shard_of(plan.tasks, (index, 3))
        keys = {task.key for task in tasks}
        assert exit_code(status_of(here.folder, plan), keys) == 3
        here.work(plan.model_copy(update={"tasks": tasks}))
        status = status_of(here.folder, plan)
        assert exit_code(status, keys) == 1
        assert status.counts.get("waiting", 0) == 2 - index


def test_the_command_prints_the_manifest(here):
    """One index for each task, where nothing else is asked for."""
    here.folder.write("plan.json", packaged(here.folder.plan()))
    words = ["kubernetes", str(here.folder.root), "--image", IMAGE, "--claim", "fleet"]
    ended = CliRunner().invoke(fleet, words, standalone_mode=False)
    job = yaml.safe_load(ended.stdout)
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (3, 3)


@pytest.mark.parametrize("version", ["1.29", "1.33"])
def test_the_manifest_is_valid_by_kubernetes_own_schema(here, version):
    """Where the package with its schemas is installed: kubernetes-validate, which no lock of the gate holds."""
    schemas = pytest.importorskip("kubernetes_validate")
    for changes in ({}, {"queue": "gpus", "secret": "mlflow", "marks": True}):
        assert schemas.validate(manifest(here.folder.plan(), **changes), version, strict=True) == version


@pytest.mark.story
def test_the_index_protocol_with_real_processes(tmp_path):
    """Each index is a process with the manifest's arguments; one is killed and tried again, and all is done once."""
    store = FleetStore(tmp_path / "store")
    store.register(("a", 1), ("a", 2))
    desk = desk_of(tmp_path / "desk", store)
    assert desk.gate("fleet", "plan", "out").code == 0
    words = ["fleet", "kubernetes", "out", "--image", IMAGE, "--claim", "fleet"]
    assert "which no pod has" in desk.gate(*words).stderr
    plan = FleetFolder(desk.folder / "out").plan()
    job = manifest(plan, indexes=2)
    codes = []
    for index in range(2):
        command = [word.replace(MOUNT, "out") for word in arguments(job, index)]
        codes.append(desk.gate(*command).code)
    assert [action(job, code) for code in codes] == ["FailIndex", "FailIndex"]  # small files are no network: flagged
    assert desk.gate("fleet", "report", "out").code == 1
