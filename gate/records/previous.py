"""The versions beside a candidate: the one that serves now, and earlier approved ones."""

from typing import Literal

from pydantic import Field

from gate.records.artifact import ArtifactFile, Manifest, ModelRef
from gate.records.fields import Digest, Text
from gate.records.record import Record

MAX_EARLIER = 20
SERVES = "champion"
"""The alias that `gate promote` sets by default."""
NONE = "none"
"""Value of `--against` for no comparison."""

Approved = Literal["signature", "tag", "no"]
"""Ground for calling a version approved: a trusted key's signature over its bytes, or a tag, which proves nothing."""


class PulledVersion(Record):
    """One version that was pulled beside the candidate."""

    model: ModelRef
    files: tuple[ArtifactFile, ...] = ()
    serves: bool = False
    """Whether it is the one that serves now, or that `--against` names."""
    approved: Approved = "no"
    key: Text = ""
    """Id of the key that signed its approval."""
    why: Text = ""
    """Reason why its bytes cannot be used."""

    @property
    def manifest(self) -> Manifest:
        """The files as a manifest."""
        return Manifest(files=self.files)


class PulledPrevious(Record):
    """The versions that were pulled beside the candidate, the oldest first; each in a folder of its number."""

    asked: Text = ""
    """URI that was looked up."""
    why: Text = ""
    """Reason why there is nothing to compare with."""
    versions: tuple[PulledVersion, ...] = Field(default=(), max_length=MAX_EARLIER + 1)


class VersionClaim(Record):
    """A worker's claim about one of these versions."""

    digest: Digest
    why: Text = ""
    """Reason why it was not compared; empty where it was."""


class VersionEvidence(Record):
    """One version beside the candidate, and whether it was compared."""

    uri: Text
    digest: Digest
    serves: bool
    approved: Approved
    key: Text = ""
    why: Text = ""
    """Reason why it was not compared; empty where it was."""


class PreviousEvidence(Record):
    """The versions beside the candidate."""

    asked: Text = ""
    why: Text = ""
    """Reason why there was nothing to compare with."""
    versions: tuple[VersionEvidence, ...] = Field(default=(), max_length=MAX_EARLIER + 1)

    @property
    def serving(self) -> VersionEvidence | None:
        """The version that serves now."""
        return next((version for version in self.versions if version.serves), None)
