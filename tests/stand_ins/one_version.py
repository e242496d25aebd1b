"""A registry at the gate's own seam, of one empty version: it remembers how that was marked."""

from gate.records.artifact import ModelRef
from gate.registries.contract import VersionFacts


class OneVersion:
    """What a test's own registry is made of; it says what is brought by `pull` or `fetch`."""

    marks = True

    def __init__(self):
        self.tags = {}
        self.kept = ()
        """The digests of the bundles that it was given."""

    def allowing(self, _stores):
        """Return itself: it has no addresses."""
        return self

    def resolve(self, _uri):
        """Return the one version."""
        return ModelRef(registry="mlflow", name="m", version="1")

    def facts(self, _ref):
        """Return its tags."""
        return VersionFacts(tags=dict(self.tags))

    def versions(self, _name):
        """Return the one version with its tags."""
        return ((self.resolve(""), dict(self.tags)),)

    def require_marking(self, _ref):
        """Let everybody mark it."""

    def pull(self, _ref, _to):
        """Bring nothing."""

    def keep_bundle(self, _folder, digest, _days=None):
        """Remember the digest."""
        self.kept = (*self.kept, digest)
        return f"runs:/{digest[7:39]}/bundle"

    def bundle_places(self, digest):
        """Return where that was."""
        return (f"runs:/{digest[7:39]}/bundle",) if digest in self.kept else ()

    def drop_bundles(self, _before):
        """Drop nothing."""
        return 0

    def mark(self, _ref, tags):
        """Remember the tags."""
        self.tags |= tags
