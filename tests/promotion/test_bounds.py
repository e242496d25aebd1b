"""What the tag gate.report names is the candidate side's: it is fetched within bounds wherever it is followed."""

from types import SimpleNamespace

import pytest

from gate.check.files import EVIDENCE
from gate.promotion import promote, rescan
from gate.promotion.reading import kept_record
from gate.records.artifact import ModelRef
from gate.records.errors import CannotFinishError
from gate.records.evidence import Evidence
from gate.records.policy import DownloadBounds, Policy, Rule
from gate.registries import downloading
from gate.registries.contract import VersionFacts
from gate.registries.downloading import OWN_FILES
from gate.service import reviews
from gate.service.reviews import Reviews

REPORTS = f"runs:/{32 * 'a'}/report"
FEW = DownloadBounds(max_files=10)


class Endless:
    """A registry at the gate's own seam: the run that a tag names holds files without end."""

    def allowing(self, _stores):
        """Return this."""
        return self

    def bundle_places(self, _digest):
        """Return a run of somebody else's."""
        return (REPORTS,)

    def fetch(self, _uri, to):
        """Write files, more than anybody allows."""
        for number in range(10**9):
            (to / str(number)).touch()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Count often."""
    monkeypatch.setattr(downloading, "_POLL_SECONDS", 0.01)


def test_a_bundle_without_end_is_not_promoted(tmp_path):
    """The promotion ends at the policy's bounds, and says what was too much."""
    said = SimpleNamespace(
        bundle_digest="sha256:0", covers="candidate", model=ModelRef(registry="mlflow", name="m", version="1")
    )
    asked = SimpleNamespace(bundle=None, trust=SimpleNamespace(download=FEW))
    statement = SimpleNamespace(predicate=said)
    with pytest.raises(CannotFinishError, match="more than the 10 files"):
        promote._fetch(Endless(), asked, statement, tmp_path)


def test_evidence_without_end_is_no_earlier_evidence():
    """The rescan goes on, and says that it does not know why."""
    policy = Policy(version=1, detectors={"unsafe-pickle": Rule()})
    earlier = SimpleNamespace(predicate=SimpleNamespace(evidence_digest="sha256:0"))
    facts = VersionFacts("", {"gate.report": REPORTS}, {})
    assert rescan._cause(Endless(), policy, facts, earlier) == "unknown"


def test_a_report_without_end_is_not_shown(monkeypatch):
    """The review page does without it."""
    rules = SimpleNamespace(policy=Policy(version=1, detectors={"unsafe-pickle": Rule()}))
    monkeypatch.setattr(reviews, "read_rules", lambda _section: rules)
    pages = Reviews(SimpleNamespace(section=lambda _name: object()), Endless(), None, ())
    seen = SimpleNamespace(
        tags={"gate.report": REPORTS},
        found=SimpleNamespace(statement=object()),
        ref=ModelRef(registry="mlflow", name="m", version="1"),
    )
    assert pages.report(seen) is None


@pytest.mark.parametrize("size", [65 << 20, 63 << 30], ids=["more than is read", "more than the disk has"])
def test_a_report_is_fetched_as_far_as_one_is_read(monkeypatch, size):
    """A file beyond 64 MiB is no record, whether the download or the kernel ends it."""
    read, written = [], []

    class Sparse(Endless):
        """A registry whose run holds one large file."""

        def fetch(self, _uri, to):
            """Write a hole, which takes no room on the disk."""
            with (to / EVIDENCE).open("wb") as file:
                file.truncate(size)
            written.append(size)
            return to / EVIDENCE

    monkeypatch.setattr(Evidence, "from_file", read.append)
    assert kept_record(Sparse(), REPORTS, EVIDENCE, Evidence) is None
    assert (read, written) == ([], [size] if size < OWN_FILES else [])
