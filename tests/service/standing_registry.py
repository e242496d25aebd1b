"""A registry in a folder that a service can be killed beside, and that can be made unreachable, slow or erroneous.

Run as a module it is `gate serve` over that registry: no MLflow is imported, so that a storm takes minutes.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError, UnknownVersionError
from gate.registries.contract import VersionFacts


class FolderRegistry:
    """Versions as folders, tags as JSON beside them, written in one move."""

    marks = True

    def __init__(self, root):
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)

    def _answer(self):
        """Behave as the file `weather` says: down, erroneous, slow."""
        weather = self.root / "weather"
        said = weather.read_text() if weather.exists() else ""
        if said == "slow":
            time.sleep(1.0)
        elif said:
            raise RegistryError(f"the registry is {said}")

    def _folder(self, ref):
        folder = self.root / ref.name / ref.version
        if not folder.is_dir():
            raise UnknownVersionError(f"the registry does not know {ref}")
        return folder

    def add(self, name, version, text):
        """Make a version."""
        folder = self.root / name / str(version)
        (folder / "model" / "data").mkdir(parents=True)
        (folder / "model" / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
        (folder / "model" / "data" / "weights.bin").write_bytes(text if isinstance(text, bytes) else text.encode())
        return ModelRef(registry="mlflow", name=name, version=str(version))

    def allowing(self, stores):
        """Return this: its files lie in no store."""
        return self

    def resolve(self, uri):
        """Return the version a URI names."""
        self._answer()
        _, name, version = uri.split("/")
        ref = ModelRef(registry="mlflow", name=name, version=version)
        self._folder(ref)
        return ref

    def facts(self, ref):
        """Return a version's tags."""
        self._answer()
        path = self._folder(ref) / "tags.json"
        return VersionFacts("", json.loads(path.read_text()) if path.exists() else {}, {})

    def pull(self, ref, to):
        """Copy a version's files."""
        self._answer()
        shutil.copytree(self._folder(ref) / "model", to, symlinks=True, dirs_exist_ok=True)

    def fetch(self, uri, to):
        """Copy one file of a run's report, or a bundle; a path on disk is returned as it is."""
        self._answer()
        if ":/" not in uri:
            return Path(uri)
        _, run, *inside = uri.split("/")
        if inside == ["bundle"]:
            return shutil.copytree(self.root / "bundles" / run, to / "bundle", dirs_exist_ok=True)
        return shutil.copyfile(self.root / "runs" / run / inside[-1], to / inside[-1])

    def training_set(self, ref, to):
        """Nothing was logged."""
        return

    def log_reports(self, ref, folder, key):
        """Keep a report's files."""
        self._answer()
        to = self.root / "runs" / key[:32]
        shutil.copytree(folder, to, dirs_exist_ok=True)
        return f"runs:/{key[:32]}/report"

    def keep_bundle(self, folder, digest, _days=None):
        """Keep a bundle's files."""
        self._answer()
        shutil.copytree(folder, self.root / "bundles" / digest[7:39], dirs_exist_ok=True)
        return f"runs:/{digest[7:39]}/bundle"

    def bundle_places(self, digest):
        """Return where a bundle lies."""
        self._answer()
        if not (self.root / "bundles" / digest[7:39]).is_dir():
            raise RegistryError(f"no bundle {digest} was kept")
        return (f"runs:/{digest[7:39]}/bundle",)

    def drop_bundles(self, before):
        """Drop nothing."""
        self._answer()
        return 0

    def require_marking(self, _ref):
        """Let everybody mark."""
        self._answer()

    def mark(self, ref, tags):
        """Set tags in one move."""
        self._answer()
        path = self._folder(ref) / "tags.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(before | dict(tags)))
        partial.replace(path)

    def exists(self, name):
        """Tell whether there is such a model."""
        self._answer()
        return (self.root / name).is_dir()

    def find_versions(self, name, tags, most=None):
        """Return versions of one model or of all, newest first."""
        self._answer()
        models = {name} if name is not None else {one.parent.parent.name for one in self.root.glob("*/[0-9]*/model")}
        refs = [
            ModelRef(registry="mlflow", name=model, version=one.name)
            for model in models
            for one in (self.root / model).glob("[0-9]*")
        ]
        found = [(ref, self.facts(ref)) for ref in sorted(refs, key=lambda ref: -int(ref.version))]
        return [(ref, facts) for ref, facts in found if set(tags.items()) <= set(facts.tags.items())][:most]

    def versions(self, name):
        """Return versions with their tags, oldest first."""
        return tuple((ref, facts.tags) for ref, facts in reversed(self.find_versions(name, {})))

    def _aliases(self, name):
        path = self.root / name / "aliases.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def alias(self, name, alias):
        """Return what an alias names."""
        self._answer()
        version = self._aliases(name).get(alias)
        return ModelRef(registry="mlflow", name=name, version=version) if version else None

    def aliases(self, name):
        """Return every alias."""
        self._answer()
        return {a: ModelRef(registry="mlflow", name=name, version=v) for a, v in self._aliases(name).items()}

    def set_alias(self, ref, alias):
        """Point an alias."""
        path = self.root / ref.name / "aliases.json"
        path.write_text(json.dumps(self._aliases(ref.name) | {alias: ref.version}))

    def staged(self, name, stages):
        """Return versions in a stage."""
        path = self.root / name / "stages.json"
        found = json.loads(path.read_text()) if path.exists() else {}
        return [(ModelRef(registry="mlflow", name=name, version=v), s) for v, s in found.items() if s in stages]

    def archive(self, ref):
        """Take a version out of its stage."""
        (self.root / ref.name / "stages.json").write_text(json.dumps({ref.version: "Archived"}))

    def user(self, credentials=None):
        """There is no authentication."""
        return


def stand_in_worker():
    """Let every scan end at once with nothing measured, where the workflow is what a test is about."""
    from gate.check import workers
    from gate.records.job import ScanResult

    nothing = ScanResult(isolation="full", complete=True)
    seconds = float(os.environ["GATE_TEST_NO_WORKER"])

    def run(job, progress, keep=None, program_to=None, tokenizer_to=None):
        said = (Path(job.root) / "data" / "weights.bin").read_bytes()
        if said == b"takes the process down":
            os.kill(os.getpid(), signal.SIGKILL)
        if said == b"makes the scan fail":
            raise MemoryError("a stand-in for what no worker's jail holds back")
        time.sleep(seconds)
        return workers.Seen(nothing)

    workers.run_job = run


def main():
    """Run the service over the folder that the first argument names."""
    from gate.attestations.keys import read_signing_key
    from gate.service.logs import set_up_logs
    from gate.service.run import Service
    from gate.service.settings import read_settings

    if "GATE_TEST_NO_WORKER" in os.environ:
        stand_in_worker()
    set_up_logs()
    key = read_signing_key(os.environ["GATE_SIGNING_KEY"])
    Service(read_settings(Path(sys.argv[2])), key, FolderRegistry(sys.argv[1])).run()


if __name__ == "__main__":
    main()
