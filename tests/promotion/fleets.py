"""A registry of small versions in SQLite and a folder, for fleets: real MLflow, and files that are no network."""

import pickle
import shutil
from pathlib import Path

from gate.attestations.auditing import audit
from gate.attestations.log import ReviewLog
from tests.e2e.command import Desk
from tests.promotion.embedded import Embedded

POLICY = """\
version: 1
name: bytes
isolation: none
detectors:
  unsafe-pickle:
    limits:
      unsafe-globals: {max: 0, source: "one importable call is enough to run code"}
      unreadable-streams: {max: 0, source: "what cannot be read cannot be approved"}
"""
HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\n##[error]x\u202e{{7*7}}"
"""A registered model's name that is markup, a terminal's command, a runner's command and a turn of direction."""


class Calls:
    """What a pickle must not call."""

    def __reduce__(self):
        return print, ("never",)


class FleetStore:
    """An embedded store, and how versions get into it; `texts` are what the versions' files hold."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.server = folder, Embedded(folder)

    def register(self, *versions):
        """Register versions by (name, a folder or the content of a file, alias), and return their URIs."""
        with self.server.account("trainer") as client:
            return [self._one(client, *version) for version in versions]

    def _one(self, client, name, content, alias=None):
        found = client.get_experiment_by_name("training")
        experiment = found.experiment_id if found else client.create_experiment("training")
        folder = self.server.model_folder("")
        if isinstance(content, Path):
            shutil.rmtree(folder)
            shutil.copytree(content, folder)
        else:
            (folder / "data" / "model.pt2").write_bytes(
                content if isinstance(content, bytes) else pickle.dumps(content)
            )
        logged = client.create_logged_model(experiment, name="model")
        client.log_model_artifacts(logged.model_id, str(folder))
        client.finalize_logged_model(logged.model_id, "READY")
        shutil.rmtree(folder)
        if not any(one.name == name for one in client.search_registered_models(max_results=500)):
            client.create_registered_model(name)
        made = client.create_model_version(name, f"models:/{logged.model_id}", model_id=logged.model_id)
        if alias:
            client.set_registered_model_alias(name, alias, made.version)
        return f"models:/{name}/{made.version}"

    def files(self, uri):
        """Return the folder of a version's files, where they lie."""
        name, version = uri.removeprefix("models:/").rsplit("/", 1)
        with self.server.account("trainer") as client:
            source = client.get_model_version(name, version).source
        (found,) = self.folder.rglob(f"models/{source.rsplit('/', maxsplit=1)[-1]}/artifacts")
        return Path(found)

    def tags(self, uri):
        """Return a version's tags."""
        name, version = uri.removeprefix("models:/").rsplit("/", 1)
        with self.server.account("trainer") as client:
            return dict(client.get_model_version(name, version).tags)


def desk_of(folder, store, policy=POLICY, **variables):
    """Return a desk whose registry and policy are set."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yml").write_text(policy)
    settings = {"GATE_TRACKING_URI": store.server.uri, "GATE_POLICY": folder / "policy.yml"}
    return Desk(folder, settings | variables)


def scans(log, key):
    """Return how many scans of each version the review log holds; its chain and signatures hold."""
    found = audit(ReviewLog(log), (key.public,))
    assert not found.faults, found.faults
    named = [str(entry.model) for entry in found.entries if entry.event == "scan"]
    return {name: named.count(name) for name in named}
