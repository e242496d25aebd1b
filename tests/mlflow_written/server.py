"""MLflow's own tracking server on loopback, for the entries that a remote registry's client downloads."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import mlflow

_WAIT_SECONDS = 300


@contextmanager
def tracking_server():
    """Serve a fresh store with its artifacts, and have MLflow's client use it meanwhile."""
    here = Path.cwd()
    store = here / f"server-{len([*here.glob('server-*')])}"
    store.mkdir()
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{store}/mlflow.db", "--serve-artifacts"]
    command += ["--artifacts-destination", str(store / "artifacts")]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with (store / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "PATH": path}, start_new_session=True
        )
    before = mlflow.get_tracking_uri()
    try:
        _wait(f"http://127.0.0.1:{port}/health", store / "log.txt")
        mlflow.set_tracking_uri(f"http://127.0.0.1:{port}")
        mlflow.set_experiment("served")
        yield
    finally:
        mlflow.set_tracking_uri(before)
        mlflow.set_experiment("corpus")
        os.killpg(process.pid, 15)
        process.wait(timeout=_WAIT_SECONDS)


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait(url, log):
    for _ in range(_WAIT_SECONDS):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise RuntimeError(f"the tracking server did not answer in {_WAIT_SECONDS} s: {log.read_text()[-2000:]}")
