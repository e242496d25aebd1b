"""A registry in a folder that versions can be promoted in, with something that happens in the middle of a step."""

import shutil

from gate.records.artifact import ModelRef
from tests.service.standing_registry import FolderRegistry


class PromotingRegistry(FolderRegistry):
    """`meanwhile` holds for a method what another process does before it answers, once."""

    def __init__(self, root):
        super().__init__(root)
        self.meanwhile = {}

    def _happens(self, step):
        self.meanwhile.pop(step, lambda: None)()

    def pull(self, ref, to):
        """Copy a version's files."""
        self._happens("pull")
        super().pull(ref, to)

    def fetch(self, uri, to):
        """Copy a bundle."""
        self._happens("fetch")
        return super().fetch(uri, to)

    def promoted(self, _name, _key):
        """Find nothing of an earlier run."""
        return

    def log_model(self, root, _key):
        """Keep a model's files."""
        to = self.root / "logged"
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(root, to)
        return "models:/m-1"

    def create_version(self, name, _source, tags):
        """Make a version of what was kept."""
        ref = ModelRef(registry="mlflow", name=name, version=str(1 + len(list((self.root / name).glob("[0-9]*")))))
        shutil.copytree(self.root / "logged", self.root / name / ref.version / "model")
        self.mark(ref, tags)
        self._happens("create_version")
        return ref
