"""A real MLflow server with basic authentication, and the accounts that meet there: admin, gate, trainer, reviewers.

A "model" is a folder of two small files: what is promoted is bytes, and nothing here needs to be a network.
"""

import os
import socket
import subprocess
import sys
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.e2e.command import ROOT
from tests.e2e.stores import wait_for

PASSWORD = "a-password-of-some-length"
ACCOUNTS = ("gate", "trainer", "ann", "bob")


@dataclass
class Server:
    """A server, its folder, and clients for each account."""

    uri: str
    folder: Path
    numbers: count = field(default_factory=count)

    @contextmanager
    def account(self, name):
        """Yield MLflow's client with an account's credentials in the environment, without its warnings."""
        wanted = {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_REGISTRY_URI": self.uri,  # set_registry_uri sets it, and never takes it away
            "MLFLOW_TRACKING_USERNAME": name,
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        }
        before = {key: os.environ.get(key) for key in wanted}
        os.environ.update(wanted)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow

            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            try:
                yield mlflow.MlflowClient(self.uri, self.uri)
            finally:
                mlflow.set_tracking_uri(None)
                mlflow.set_registry_uri(None)
                for key, value in before.items():
                    os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)

    @contextmanager
    def registry(self, name="gate"):
        """Yield the gate's own adapter with an account's credentials."""
        from gate.registries import RegistrySettings, open_production

        with self.account(name):
            yield open_production(RegistrySettings(self.uri, self.uri, timeout_seconds=20, retries=0))

    def model_folder(self, text):
        """Return a new folder with a model's files."""
        folder = self.folder / f"model-{next(self.numbers)}"
        (folder / "data").mkdir(parents=True)
        (folder / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
        (folder / "data" / "model.pt2").write_text(text)
        return folder

    def log(self, client, text, experiment="training"):
        """Log a model's files with a client; return its source and id."""
        found = client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else client.create_experiment(experiment)
        logged = client.create_logged_model(number, name="model")
        client.log_model_artifacts(logged.model_id, str(self.model_folder(text)))
        client.finalize_logged_model(logged.model_id, "READY")
        return f"models:/{logged.model_id}", logged.model_id

    def candidate(self, *texts, name=None):
        """Register models as versions of a candidate of the trainer's, which the gate may mark; return its name."""
        name = name or f"cand-{next(self.numbers)}"
        with self.account("trainer") as client:
            client.create_registered_model(name)
            for text in texts:
                source, model_id = self.log(client, text)
                client.create_model_version(name, source, model_id=model_id)
        self.grant("gate", "registered_model", name, "EDIT")
        return name

    def grant(self, user, kind, resource, permission):
        """Grant a permission as the administrator."""
        with self.account("admin"):
            self.auth().grant_user_permission(user, kind, resource, permission)

    def auth(self):
        """Return the client of the server's authentication, for the account at hand."""
        from mlflow.server.auth.client import AuthServiceClient

        return AuthServiceClient(self.uri)

    def stored(self, source):
        """Return where the files of a logged model lie on the server's own disk."""
        (found,) = (self.folder / "artifacts").rglob(f"models/{source.rsplit('/', maxsplit=1)[-1]}/artifacts")
        return found

    def variables(self, account="gate"):
        """Return the environment in which a command runs under an account."""
        return {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_REGISTRY_URI": self.uri,  # set_registry_uri sets it, and never takes it away
            "MLFLOW_TRACKING_USERNAME": account,
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
        }


@contextmanager
def serving_with_accounts(folder, **variables):
    """Yield a server on loopback with basic authentication and every account; it is killed in the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", folder)
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\n"
        f"database_uri = sqlite:///{folder / 'auth.db'}\n"
        # Each check of a password hashes it anew, seconds on a busy machine.
        "auth_cache_ttl_seconds = 3600\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--serve-artifacts"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-secret-of-the-tests",
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        **variables,
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(f"{server.uri}/health", process, folder / "server.log", seconds=600)
        with server.account("admin"):
            for name in ACCOUNTS:
                server.auth().create_user(name, PASSWORD)
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
