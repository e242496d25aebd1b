"""A registry at the gate's own seam, of one empty version: it remembers how that was marked."""

from gate.artifact import ModelRef
from gate.registry import VersionFacts


class OneVersion:
    """What a test's own registry is made of; it says what is brought by `pull` or `fetch`."""

    marks = True

    def __init__(self):
        self.tags = {}

    def allowing(self, _stores):
        """Return itself: it has no addresses."""
        return self

    def resolve(self, _uri):
        """Return the one version."""
        return ModelRef(registry="mlflow", name="m", version="1")

    def facts(self, _ref):
        """Return nothing."""
        return VersionFacts()

    def pull(self, _ref, _to):
        """Bring nothing."""

    def mark(self, _ref, tags):
        """Remember the tags."""
        self.tags |= tags
