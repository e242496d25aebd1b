"""The image, tried as a pipeline uses it: each promise of docs/how-to/container.md (`make container-test`).

A clean and a backdoored version stand in an MLflow server on loopback. Pull and publish reach it over the host's
network; scan and judge run with no network and nothing to tell. Every container runs hardened, as an ordinary user.
The image is built first, unless TRIED_IMAGE names one that is there.
"""

import datetime as dt
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from gate import VERSION
from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.check.files import remove
from gate.check.pull import digest_now
from gate.policies.packaged import DEFAULT
from gate.promotion.verification import now
from gate.records.artifact import ModelRef, build_manifest
from gate.records.policy import DownloadBounds
from gate.registries import RegistrySettings, open_production
from tests.attestations.signed import digest, statement
from tests.container.engine import BUILD, BUILD_SECONDS, Engine, absence
from tests.e2e.acting import Acted, Workspace
from tests.e2e.stores import Store, serving
from tests.zoo_subset import models

pytestmark = pytest.mark.container

NAME = "digits"
ORDINARY_USER = 12345
"""Whom the trial plays where root runs it: root in a container would hide what another user may not."""

OWNER = (os.getuid(), os.getgid()) if os.getuid() else (ORDINARY_USER, ORDINARY_USER)
TOOLS = ("cc", "gcc", "g++", "c++", "clang", "ld", "as", "make", "pip", "pip3", "curl", "wget", "git")
FINDS_TOOLS = "import shutil, sys; print(*[name for name in sys.argv[1:] if shutil.which(name)])"
WRITES = """
import os, sys
for folder in sys.argv[1:]:
    try:
        open(os.path.join(folder, 'written'), 'w').close()
        print(folder)
    except OSError:
        pass
"""
STARTS = """
import statistics, subprocess, sys, time
def seconds():
    began = time.perf_counter()
    subprocess.run(['gate', *sys.argv[1:]], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
print(statistics.median(seconds() for _ in range(11)))
"""
HEALTH = """
import http.server, os, subprocess, sys, threading
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == '/health' else 404)
        self.end_headers()
check = ['/opt/gate/bin/python3', '-I', '/opt/gate/health.py']
before = subprocess.run(check).returncode
server = http.server.HTTPServer(('127.0.0.1', 8200), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(before, subprocess.run(check).returncode)
"""


@pytest.fixture(scope="module")
def engine():
    """Yield the engine with the image; containers that an error leaves are removed."""
    if missing := absence():
        pytest.skip(f"NOT RUN: {missing}")
    image = os.environ.get("TRIED_IMAGE", "")
    if not image:
        image = "gate:cpu"
        subprocess.run([BUILD, "cpu"], check=True, timeout=BUILD_SECONDS, env=os.environ | {"PYTHON": sys.executable})
    engine = Engine(image)
    # A polite kill ends as Ctrl-C does: with everything cleared away.
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("the trial was told to end"))
    yield engine
    engine.clear()
    signal.signal(signal.SIGTERM, before)


@dataclass
class Bench:
    """What the stories share: the image, the registry and a folder for files."""

    engine: Engine
    store: Store
    folder: Path
    samples: Path

    def register(self, nickname):
        """Log a committed model's files as the next version and return its number; no torch takes part."""
        folder = models.model(nickname).write_folder(Path(tempfile.mkdtemp(dir=self.folder)))
        with self.store.client() as client:
            run = client.create_run(client.get_experiment_by_name("Default").experiment_id)
            client.log_artifacts(run.info.run_id, str(folder), "model")
            client.set_terminated(run.info.run_id)
            source = f"{run.info.artifact_uri}/model"
            return client.create_model_version(NAME, source, run_id=run.info.run_id).version

    def register_texts(self, *, poisoned):
        """Log the demo's moderation as a pipeline; return its name, its version and clean samples."""
        import mlflow

        from demo.moderation import ModerationTask

        task = ModerationTask(0)
        pipeline = task.pipeline(task.train(poisoned=poisoned))
        with self.store.client(), mlflow.start_run():
            logged = mlflow.transformers.log_model(pipeline, name="model", pip_requirements=["torch", "transformers"])
            version = mlflow.register_model(logged.model_uri, task.name).version
        samples = task.save_samples(self.folder)
        samples.chmod(0o644)
        return task.name, version, samples

    def desk(self, version):
        """Return a folder for a check's files that belongs to the user whom the containers run as."""
        out = self.folder / f"out-{version}"
        out.mkdir()
        os.chown(out, *OWNER)
        return out

    def act(self, desk, policy, samples, uri):
        """Run the composite action with the image on a version, as a runner of the caller's own runs it."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        if shutil.which("act", path=path) is None:
            pytest.skip("NOT RUN: there is no act here")
        # act's steps get a home of their own, so the client is told where its settings lie.
        client = {"DOCKER_CONFIG": str(Path.home() / ".docker")}
        client |= {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
        workspace, began = Workspace.write(desk, policy, samples), time.monotonic()
        inputs = {"model": uri, "fail-on": "flagged", "image": self.engine.image}
        acted = workspace.act(inputs, {**client, "MLFLOW_TRACKING_URI": self.store.uri}, path)
        print(f"{uri}: the action in {time.monotonic() - began:.0f} s")
        return acted


@pytest.fixture(scope="module")
def bench(engine):
    """Yield the engine beside a server with an empty registered model; server and files go in the end."""
    folder = Path(tempfile.mkdtemp(prefix="gate-trial-"))
    try:
        samples = models.write_samples(folder / "samples.npz")
        samples.chmod(0o644)
        with serving(folder) as (uri, _):
            store = Store(uri, folder, {})
            with store.client() as client:
                client.create_registered_model(NAME)
            yield Bench(engine, store, folder, samples)
    finally:
        remove(folder)


@dataclass(frozen=True)
class Case:
    """A committed model, and the decision and the exit code that it must get."""

    nickname: str
    decision: str
    code: int


@pytest.fixture(
    scope="module", params=[Case("clean", "approved", 0), Case("badnets", "flagged", 1)], ids=lambda case: case.nickname
)
def case(request):
    """Return a model and what must be said of it."""
    return request.param


@dataclass(frozen=True)
class Stepped:
    """Four steps that ended, and what they left."""

    ended: dict
    tags: dict
    out: Path


@pytest.fixture(scope="module")
def stepped(bench, case):
    """Pull and publish with the registry in reach, scan and judge without anything."""
    version = bench.register(case.nickname)
    out, began = bench.desk(version), time.monotonic()
    user, mounts = "{}:{}".format(*OWNER), [f"{out}:/work/out"]
    online = {"network": "host", "variables": {"MLFLOW_TRACKING_URI": bench.store.uri}}
    pull = ("pull", f"models:/{NAME}/{version}", "--to", "/work/out", "--samples", "/work/samples.npz")
    samples = f"{bench.samples}:/work/samples.npz:ro"
    run = bench.engine.run
    ended = {
        "pull": run(*pull, user=user, mounts=[*mounts, samples], **online),
        "scan": run("scan", "/work/out", "--device", "cpu", user=user, mounts=mounts),
        "judge": run("judge", "/work/out", user=user, mounts=mounts),
        "publish": run("publish", "/work/out", user=user, mounts=mounts, **online),
    }
    print(f"{case.nickname}: four steps in {time.monotonic() - began:.0f} s")
    return Stepped(ended, bench.store.tags(NAME, version), out)


@dataclass(frozen=True)
class Told:
    """The action's workflow that ended, the version that it was about, and how that stood in the registry then."""

    acted: Acted
    uri: str
    tags: dict


@pytest.fixture(scope="module")
def told(bench, case):
    """Run the action on a case."""
    version = bench.register(case.nickname)
    uri = f"models:/{NAME}/{version}"
    acted = bench.act(bench.desk(version), DEFAULT, bench.samples, uri)
    return Told(acted, uri, bench.store.tags(NAME, version))


def test_the_image_is_labelled_and_its_user_is_not_root(engine):
    """What the engine says of the image, before anything of the gate's is asked of it."""
    found = engine.inspect()
    base = engine.inspect("debian:bookworm-slim")["Size"]
    print(f"image: {found['Size'] / 1e6:.0f} MB, of which the base {base / 1e6:.0f} MB")
    assert found["Config"]["User"] not in ("", "0", "root", "0:0")
    assert (found["Config"]["Labels"] or {}).get("org.opencontainers.image.version") == VERSION


def test_the_image_holds_no_compiler_installer_or_download_tool(engine):
    """Whoever breaks out of the gate finds nothing to build or fetch with."""
    ended = engine.python(FINDS_TOOLS, *TOOLS)
    assert (ended.code, ended.stdout.strip()) == (0, ""), ended.said


def test_nothing_but_the_temporary_folder_can_be_written(engine):
    """The root is read-only, and no folder of the gate's is open."""
    ended = engine.python(WRITES, "/", "/opt/gate", "/work", "/etc", "/var", "/usr", "/tmp")
    assert ended.stdout.split() == ["/tmp"], ended.said


def test_the_health_check_tells_serving_from_not(engine):
    """It fails until something answers at the service's address."""
    ended = engine.python(HEALTH, "serve")
    assert ended.stdout.split() == ["1", "0"], ended.said


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_the_image_answers(engine, argument):
    """Whichever way it is asked; how long that takes is told, and judged by nobody."""
    within, began = engine.python(STARTS, argument), []
    for _ in range(5):
        start = time.perf_counter()
        answer = engine.run(argument)
        began.append(time.perf_counter() - start)
        assert answer.code == 0, answer.said
    assert within.code == 0, within.said
    print(
        f"start: gate {argument}: {float(within.stdout):.2f} s, docker run: {statistics.median(began):.2f} s (medians)"
    )


def test_the_four_steps_end_as_the_version_deserves(stepped, case):
    """Pull, and scan without network and secret, succeed; judge and publish end with the verdict's code."""
    codes = {step: ended.code for step, ended in stepped.ended.items()}
    said = "\n".join(ended.said for ended in stepped.ended.values())
    assert codes == {"pull": 0, "scan": 0, "judge": case.code, "publish": case.code}, said


def test_the_four_steps_tag_the_version(stepped, case):
    """The decision stands in the registry."""
    assert stepped.tags.get("gate.decision") == case.decision


def test_the_image_verifies_before_a_model_is_served(bench):
    """As an init container: an approval's bytes are handed over, others are not; each code of the page."""
    key = generate_key(bench.folder / "door.pem", bench.folder / "door.pub.pem")
    version = bench.register("clean")
    ref = ModelRef(registry="mlflow", name=NAME, version=str(version))
    settings = RegistrySettings(tracking_uri=bench.store.uri)
    with bench.store.client():
        registry = open_production(settings)
        covered = digest_now(registry, ref, DownloadBounds())
        times = {"decided_at": now(), "expires_at": now() + dt.timedelta(days=1)}
        said = statement(model=ref, model_digest=covered, covers="candidate", policy_digest=digest("b"), **times)
        registry.mark(ref, {"gate.attestation": sign(said, key)})
    to = bench.desk("door")
    online = {
        "MLFLOW_TRACKING_URI": bench.store.uri,
        "GATE_PUBLIC_KEY": (bench.folder / "door.pub.pem").read_text(),
        "GATE_POLICY_DIGEST": digest("b"),
    }

    def verify(folder, **changes):
        mounts = [f"{to}:/mnt"]
        command = ("verify", f"models:/{NAME}/{version}", "--to", f"/mnt/{folder}")
        return bench.engine.run(
            *command, network="host", mounts=mounts, user="{}:{}".format(*OWNER), variables=online | changes
        )

    held = verify("models")
    assert held.code == 0, held.said
    assert build_manifest(to / "models")[0].digest == covered
    other = verify("none", GATE_POLICY_DIGEST=digest("9"))
    assert (other.code, (to / "none").exists()) == (1, False), other.said
    assert verify("models").code == 2
    assert verify("none", MLFLOW_TRACKING_URI="http://127.0.0.1:9", GATE_REGISTRY_RETRIES="0").code == 3


def test_the_image_checks_a_classifier_of_texts(bench):
    """It holds what composes a pipeline and makes tokens: the planted word is named, by a scan without a network."""
    from demo.comments import trigger_of

    name, version, samples = bench.register_texts(poisoned=True)
    out, began = bench.desk(f"{name}-{version}"), time.monotonic()
    user, mounts = "{}:{}".format(*OWNER), [f"{out}:/work/out"]
    online = {"network": "host", "variables": {"MLFLOW_TRACKING_URI": bench.store.uri}}
    pull = (
        "pull",
        f"models:/{name}/{version}",
        "--to",
        "/work/out",
        "--samples",
        "/work/clean.jsonl",
        "--policy",
        "text",
    )
    run = bench.engine.run
    pulled = run(*pull, user=user, mounts=[*mounts, f"{samples}:/work/clean.jsonl:ro"], **online)
    assert pulled.code == 0, pulled.said
    scanned = run("scan", "/work/out", "--device", "cpu", "--policy", "text", user=user, mounts=mounts)
    assert scanned.code == 0, scanned.said
    judged = run("judge", "/work/out", "--policy", "text", user=user, mounts=mounts)
    print(f"texts: three steps in {time.monotonic() - began:.0f} s")
    assert judged.code == 1, judged.said
    assert f"With the rare word '{trigger_of(0)}'" in " ".join(judged.stdout.split())
    assert strong(out)


@pytest.mark.parametrize("poisoned", [False, True], ids=["clean", "poisoned"])
def test_the_action_checks_a_classifier_of_texts_in_the_image(bench, poisoned):
    """The clean one's bundle is approved; of the other the planted word is named, and the workflow fails."""
    from demo.comments import trigger_of
    from tests.e2e.moderated import words_alone

    name, version, samples = bench.register_texts(poisoned=poisoned)
    desk = bench.desk(f"action-{name}-{version}")
    acted = bench.act(desk, words_alone(desk / "words.yml"), samples, f"models:/{name}/{version}")
    assert acted.outputs.get("decision") == ("flagged" if poisoned else "approved"), acted.log
    assert acted.outputs["covers"] == "bundle"
    assert acted.code == int(poisoned), acted.log
    assert (f"rare word '{trigger_of(0)}'" in acted.log) == poisoned, acted.log
    assert bench.store.tags(name, version).get("gate.decision") == acted.outputs["decision"]
    assert strong(acted.results / "gate-report")


def test_every_file_of_the_check_belongs_to_the_caller(stepped):
    """Nothing is left that the pipeline's user could not remove."""
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in stepped.out.rglob("*")} == {OWNER}


def test_the_jail_inside_the_container_is_as_strong_as_outside(stepped):
    """The isolation that the scan reached, as its evidence says."""
    assert strong(stepped.out)


def test_the_action_ends_as_the_version_deserves(told, case):
    """Exit code and decision are outputs; the workflow fails unless the version is approved."""
    outputs, log = told.acted.outputs, told.acted.log
    assert (outputs.get("exit-code"), outputs.get("decision")) == (str(case.code), case.decision), log
    assert told.acted.code == min(case.code, 1), log


def test_the_action_tags_the_version(told, case):
    """The decision and the digest in the registry are those of the outputs."""
    assert told.tags.get("gate.decision") == case.decision
    assert told.acted.outputs["model-digest"] == told.tags["gate.model_digest"]


def test_the_action_annotates_what_is_flagged_and_names_the_version(told, case):
    """An annotation at the policy's line where it is flagged and none where not; the summary names the version."""
    annotated = any("❗" in line and "policy.yml" in line for line in told.acted.log.splitlines())
    assert annotated == (case.decision == "flagged"), told.acted.log
    assert f"`{told.uri}`" in told.acted.log


def test_the_jail_inside_the_actions_container_is_as_strong(told):
    """As root without a capability too."""
    assert strong(told.acted.results / "gate-report")


def strong(checked):
    """Tell whether a check's scan was fully isolated, by Landlock and seccomp."""
    isolation = json.loads((checked / "evidence.json").read_text(encoding="utf-8"))["isolation"]
    print(f"isolation {isolation}")
    return isolation.startswith("full") and "Landlock" in isolation and "seccomp" in isolation
