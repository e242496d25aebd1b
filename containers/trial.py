"""The trial of the image: what docs/container.md promises, each promise tried with `docker run`.

A clean and a backdoored version stand in an MLflow server on loopback. Pull and publish reach it over the host's
network; scan and judge run with no network and nothing to tell. Every container runs hardened, as an ordinary user.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from containers.acting import Workspace
from containers.engine import Ended, Engine
from containers.registry import MODEL_NAME, Registry, serving, write_samples
from gate import VERSION
from gate.check.files import remove
from gate.policies.packaged import DEFAULT

APPROVED, FLAGGED = 0, 1
STORIES = (("clean", "approved", APPROVED), ("badnets", "flagged", FLAGGED))
"""A committed model, the decision and the exit code that it must get."""

ORDINARY_USER = 12345
"""Who the trial plays where root runs it: root in a container would hide what another user may not."""

REPEATS = 5
TOOLS = ("cc", "gcc", "g++", "c++", "clang", "ld", "as", "make", "pip", "pip3", "curl", "wget", "git")
_FINDS_TOOLS = "import shutil, sys; print(*[name for name in sys.argv[1:] if shutil.which(name)])"
_WRITES = """
import os, sys
for folder in sys.argv[1:]:
    try:
        open(os.path.join(folder, 'written'), 'w').close()
        print(folder)
    except OSError:
        pass
"""
_STARTS = """
import statistics, subprocess, sys, time
def seconds():
    began = time.perf_counter()
    subprocess.run(['gate', *sys.argv[1:]], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
print(statistics.median(seconds() for _ in range(11)))
"""
_HEALTH = """
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


class Trial:
    """One run of every check; `run` returns 0 if all of them held."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._failed = 0
        caller = (os.getuid(), os.getgid())
        self._uid, self._gid = caller if caller[0] != 0 else (ORDINARY_USER, ORDINARY_USER)

    def run(self) -> int:
        """Try everything, print a line for each promise, and leave nothing running behind."""
        try:
            self._image()
            self._start_up()
            with _temporary() as folder, serving(folder) as registry:
                samples = write_samples(folder / "samples.npz")
                for nickname, decision, code in STORIES:
                    for surface in (self._steps, self._action):
                        version = registry.register(nickname, folder / f"{nickname}-{surface.__name__}")
                        out = self._desk(folder, version)
                        surface(registry, _Case(nickname, version, decision, code, samples, out))
        finally:
            self._engine.clear()
        print(f"container-test: {'FAILED' if self._failed else 'passed'}, image {self._engine.image}")
        return 1 if self._failed else 0

    def _image(self) -> None:
        """What the image is, before anything of the gate's is asked of it."""
        found = self._engine.inspect()
        base = self._engine.inspect("debian:bookworm-slim")["Size"]
        settings = found["Config"]
        labels = settings.get("Labels") or {}
        print(f"image: {found['Size'] / 1e6:.0f} MB, of which the base {base / 1e6:.0f} MB")
        self._holds("the image's user is not root", settings["User"] not in ("", "0", "root", "0:0"), settings["User"])
        self._holds(
            "its label has the gate's version", labels.get("org.opencontainers.image.version") == VERSION, labels
        )
        ended = self._python(_FINDS_TOOLS, *TOOLS)
        self._holds("no compiler, installer or download tool", ended.code == 0 and not ended.stdout.strip(), ended)
        ended = self._python(_WRITES, "/", "/opt/gate", "/work", "/etc", "/var", "/usr", "/tmp")
        self._holds("nothing but /tmp can be written", ended.stdout.split() == ["/tmp"], ended)
        ended = self._python(_HEALTH, "serve")
        self._holds("the health check tells serving from not", ended.stdout.split() == ["1", "0"], ended)

    def _start_up(self) -> None:
        """How long the image takes to answer."""
        for argument in ("--version", "--help"):
            ended = self._python(_STARTS, argument)
            began = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                answer = self._engine.run(argument)
                began.append(time.perf_counter() - start)
            self._holds(f"gate {argument} answers", answer.code == 0 and ended.code == 0, answer)
            within = float(ended.stdout or "nan")
            print(f"start: gate {argument}: {within:.2f} s, docker run: {statistics.median(began):.2f} s (medians)")

    def _steps(self, registry: Registry, case: "_Case") -> None:
        """Pull and publish with the registry in reach, scan and judge without anything."""
        server = {"MLFLOW_TRACKING_URI": registry.uri}
        samples = f"{case.samples}:/work/samples.npz:ro"
        uri = f"models:/{MODEL_NAME}/{case.version}"
        began = time.monotonic()

        ended = self._gate(
            case,
            "pull",
            uri,
            "--to",
            "/work/out",
            "--samples",
            "/work/samples.npz",
            network="host",
            variables=server,
            mounts=[samples],
        )
        self._ends(case, "pull", ended, 0)
        ended = self._gate(case, "scan", "/work/out", "--device", "cpu")
        self._ends(case, "scan, without network and secret", ended, 0)
        ended = self._gate(case, "judge", "/work/out")
        self._ends(case, "judge", ended, case.code)
        ended = self._gate(case, "publish", "/work/out", network="host", variables=server)
        self._ends(case, "publish", ended, case.code)
        print(f"      {case.nickname}: four steps in {time.monotonic() - began:.0f} s")

        tags = registry.tags(case.version)
        self._holds(f"{case.nickname}: tagged {case.decision}", tags.get("gate.decision") == case.decision, tags)
        owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in case.out.rglob("*")}
        self._holds(f"{case.nickname}: every file belongs to the caller", owners == {(self._uid, self._gid)}, owners)
        self._isolation(case.nickname, case.out)

    def _action(self, registry: Registry, case: "_Case") -> None:
        """The composite action with the image, as a runner of the caller's own runs it."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        if shutil.which("act", path=path) is None:
            print(f"      {case.nickname}: the action: NOT RUN: there is no act here")
            return
        # act's steps get a home of their own, so the client is told where its settings lie.
        engine = {"DOCKER_CONFIG": str(Path.home() / ".docker")}
        engine |= {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
        workspace = Workspace.write(case.out, DEFAULT, case.samples)
        uri = f"models:/{MODEL_NAME}/{case.version}"
        inputs = {"model": uri, "fail-on": "flagged", "image": self._engine.image}
        began = time.monotonic()
        acted = workspace.act(inputs, {**engine, "MLFLOW_TRACKING_URI": registry.uri}, path)
        print(f"      {case.nickname}: the action in {time.monotonic() - began:.0f} s")

        name, found = case.nickname, acted.outputs
        self._holds(
            f"{name}: the action's step ends with {case.code}", found.get("exit-code") == str(case.code), acted.log
        )
        self._holds(f"{name}: the workflow fails unless approved", acted.code == min(case.code, 1), acted.log)
        self._holds(f"{name}: its output says {case.decision}", found.get("decision") == case.decision, found)
        tags = registry.tags(case.version)
        self._holds(f"{name}: the action tagged it {case.decision}", tags.get("gate.decision") == case.decision, tags)
        self._holds(f"{name}: digest as tagged", found.get("model-digest") == tags.get("gate.model_digest"), found)
        annotated = any("❗" in line and "policy.yml" in line for line in acted.log.splitlines())
        self._holds(f"{name}: annotations where it is flagged", annotated == (case.code == FLAGGED), acted.log)
        self._holds(f"{name}: the summary names the version", f"`{uri}`" in acted.log, acted.log)
        self._isolation(name, acted.results / "gate-report")

    def _isolation(self, nickname: str, checked: Path) -> None:
        """The jail inside the container is as strong as outside."""
        try:
            isolation = str(json.loads((checked / "evidence.json").read_text(encoding="utf-8"))["isolation"])
        except (OSError, ValueError, KeyError) as error:
            isolation = f"unknown: {error}"
        strong = isolation.startswith("full") and "Landlock" in isolation and "seccomp" in isolation
        self._holds(f"{nickname}: isolation {isolation}", strong, isolation)

    def _gate(
        self,
        case: "_Case",
        *arguments: str,
        network: str = "none",
        variables: dict[str, str] | None = None,
        mounts: list[str] | None = None,
    ) -> Ended:
        own = [f"{case.out}:/work/out", *(mounts or [])]
        user = f"{self._uid}:{self._gid}"
        return self._engine.run(*arguments, network=network, user=user, mounts=own, variables=variables)

    def _python(self, code: str, *arguments: str) -> Ended:
        return self._engine.run("-c", code, *arguments, entrypoint="/opt/gate/bin/python3")

    def _desk(self, folder: Path, version: str) -> Path:
        """Return a folder for a check's files that belongs to the user whom the containers run as."""
        out = folder / f"out-{version}"
        out.mkdir()
        os.chown(out, self._uid, self._gid)
        return out

    def _ends(self, case: "_Case", step: str, ended: Ended, expected: int) -> None:
        self._holds(f"{case.nickname}: {step}: exit {ended.code}", ended.code == expected, ended)

    def _holds(self, promise: str, kept: bool, found: object) -> None:
        """Print whether a promise was kept, and what was found where it was not."""
        print(f"{'ok  ' if kept else 'FAIL'}  {promise}", flush=True)
        if not kept:
            self._failed += 1
            text = f"{found.stdout}{found.stderr}" if isinstance(found, Ended) else str(found)
            print(text[-4000:], file=sys.stderr, flush=True)


@dataclass(frozen=True)
class _Case:
    """One version under trial, and where its files go."""

    nickname: str
    version: str
    decision: str
    code: int
    samples: Path
    out: Path


@contextmanager
def _temporary() -> Iterator[Path]:
    """Yield a folder that is removed in the end, the pulled model's read-only files included."""
    folder = Path(tempfile.mkdtemp(prefix="gate-trial-"))
    try:
        yield folder
    finally:
        remove(folder)
