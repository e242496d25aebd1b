"""MLflow registries of the tests: embedded in SQLite and a folder, or behind a real server on loopback."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.e2e.command import PATIENCE, ROOT

_lock = threading.RLock()
"""The client of an embedded store is used by one thread at a time."""


@dataclass
class Store:
    """A registry with some logged models, of which every test registers versions of its own."""

    uri: str
    root: Path
    versions: dict
    _numbers: count = field(default_factory=lambda: count(1))

    @contextmanager
    def client(self):
        """Yield MLflow's own client for this registry, without its warnings."""
        with _lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow

            # An embedded registry looks a version's source up in the process's own store, whatever the client's is.
            before = os.environ.get("MLFLOW_TRACKING_URI")
            mlflow.set_tracking_uri(self.uri)
            try:
                yield mlflow.MlflowClient(self.uri, self.uri)
            finally:
                mlflow.set_tracking_uri(before)

    def register(self, nickname, name=None, description="", tags=None):
        """Register one of the logged models under a fresh name and return that name; its version is 1."""
        name = name or f"{nickname}-{next(self._numbers)}"
        with self.client() as client:
            client.create_registered_model(name, tags=tags, description=description)
        self.register_next(name, nickname, description=description, tags=tags or {})
        return name

    def register_next(self, name, nickname, **facts):
        """Register one of the logged models as the next version under a name."""
        with self.client() as client:
            logged = client.get_model_version(*map(str, self.versions[nickname]))
            model_id = logged.source.rsplit("/", maxsplit=1)[-1]
            client.create_model_version(name, logged.source, run_id=logged.run_id, model_id=model_id, **facts)

    def tags(self, name, version=1):
        """Return the tags of a version."""
        return self.version(name, version).tags

    def version(self, name, version=1):
        """Return a version as the registry knows it."""
        with self.client() as client:
            return client.get_model_version(name, str(version))

    def everything_else(self, name, version=1):
        """Return what the gate must never touch: all facts but its own tags, and every file's hash."""
        found = self.version(name, version)
        with self.client() as client:
            model = client.get_registered_model(name)
        others = {key: value for key, value in found.tags.items() if not key.startswith("gate.")}
        return (
            others,
            (found.source, found.status, found.description, found.current_stage, tuple(found.aliases)),
            (model.description, dict(model.tags), dict(model.aliases)),
            self.files(found.source),
        )

    def files(self, source):
        """Return path and sha256 of every file of a logged model, as they lie on the store's disk."""
        (folder,) = self.root.rglob(f"models/{source.rsplit('/', maxsplit=1)[-1]}/artifacts")
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }

    def model_folder(self, nickname):
        """Return where the files of a logged model lie."""
        source = self.version(*self.versions[nickname]).source
        (folder,) = self.root.rglob(f"models/{source.rsplit('/', maxsplit=1)[-1]}/artifacts")
        return folder

    def reports(self):
        """Return the runs of the gate's own experiment, newest first."""
        with self.client() as client:
            experiment = client.get_experiment_by_name("gate")
            return client.search_runs([experiment.experiment_id]) if experiment else []


def fill(uri, folder, *kinds, **variables):
    """Log models in a registry, as a trainer's process would, and return their versions by nickname.

    `variables` come on top of that process's environment, such as the trainer's account.
    """
    return json.loads(trainer("tests.e2e.registering", folder, uri, *kinds, **variables).splitlines()[-1])


def trained(module, folder):
    """Let a module train and log what it does in a new folder, and return the URI of the registry in it."""
    folder.mkdir()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    trainer(module, folder, uri, str(folder))
    return uri


def trainer(module, folder, *arguments, **variables):
    """Run a module as a trainer's process, with what such a process knows; return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *arguments],
        cwd=folder,
        env=trainers_environment(folder) | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def trainers_environment(folder):
    """Return the environment of a process that logs models from a folder."""
    return {
        "PATH": os.environ["PATH"],
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }


@contextmanager
def serving(folder, port=None, artifacts=(), **variables):
    """Yield the address of an `mlflow server` on loopback and its process; it is killed in the end.

    `artifacts` are the arguments that say where it keeps them, `variables` come on top of its environment.
    """
    port = port or free_port()
    uri = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'server.db'}"),
        *(artifacts or ("--serve-artifacts", "--artifacts-destination", str(folder / "artifacts"))),
    ]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=trainers_environment(folder) | variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(f"{uri}/health", process, folder / "server.log")
        yield uri, process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def free_port():
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(address, process, log, seconds=PATIENCE):
    """Return when a server answers, and fail with the end of its log where it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(address, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


class Wire:
    """A line to a server that can be cut: from then on nothing comes back, and nothing is refused either."""

    def __init__(self, port):
        self._port, self._cut, self._open = port, threading.Event(), []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Let every request from now on hang without an answer."""
        self._cut.set()

    def close(self):
        """Close everything."""
        for end in (self._door, *self._open):
            with suppress(OSError):
                end.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                here, _ = self._door.accept()
                self._open.append(here)
                if self._cut.is_set():
                    continue
                there = socket.create_connection(("127.0.0.1", self._port))
                self._open.append(there)
                threading.Thread(target=self._pass_on, args=(here, there), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(there, here), daemon=True).start()

    def _pass_on(self, source, sink):
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if self._cut.is_set():
                    return  # both ends stay open, and silent
                sink.sendall(data)
        if not self._cut.is_set():
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
