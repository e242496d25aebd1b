"""A scan that is broken off goes on from what it had finished: of the same job, and as long as nothing is suspect."""

from pathlib import Path

import pytest

from gate.check.resume import Unfinished, joined
from gate.records.artifact import Manifest, ModelRef
from gate.records.evidence import Failed, Location, Measured, Measurement, Picture
from gate.records.facts import ModelFacts
from gate.records.job import ScanJob, ScanResult
from gate.records.policy import Policy, Rule, Stage, SuspectRule

SEARCH = "neural-cleanse"


def job(**changes):
    """Return a scan job whose policy makes small classes suspects."""
    policy = Policy(
        version=1,
        name="small",
        detectors={SEARCH: Rule(), "confirmation": Rule(), "head-indicators": Rule()},
        stages=(
            Stage(
                detectors=("head-indicators", SEARCH),
                suspects=(SuspectRule(detector=SEARCH, metric="size-ratio", min=0.3),),
            ),
            Stage(detectors=("confirmation",), over="suspects"),
        ),
    )
    asked = {
        "role": "scan",
        "model": ModelRef(registry="directory", name="m"),
        "manifest": Manifest(files=()),
        "root": "/first",
        "policy": policy,
        "seed": 0,
        "device": "cpu",
        "deadline_seconds": 60.0,
    }
    return ScanJob.model_validate(asked | changes)


def result(ratio=0.8, **outcomes):
    """Return what a worker had saved after one search, with a picture."""
    ratios = Measurement(metric="size-ratio", value=ratio, location=Location.of_class(1))
    picture = Picture(role="mask", caption="a mask", height=1, width=1, channels=1, pixels="AA==")
    measured = Measured(measurements=(ratios,), seconds=3.0, sample_passes=7)
    return ScanResult(
        isolation="full",
        facts=ModelFacts(classes=10),
        outcomes={SEARCH: measured, **outcomes},
        pictures=(picture,),
    )


def test_the_same_job_elsewhere_and_later_takes_up_what_was_measured(tmp_path):
    """Another private copy, deadline and memory change nothing; what failed is tried again."""
    Unfinished(tmp_path).keep(job(), result(**{"head-indicators": Failed(error="out of memory")}))
    taken = Unfinished(tmp_path).earlier(job(root="/second", base_folder="/base", deadline_seconds=5.0, memory_bytes=1))
    assert dict(taken.outcomes) == {SEARCH: result().outcomes[SEARCH]}
    assert [path.name for path in tmp_path.iterdir()] == ["unfinished.json"]


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"device": "auto"}, {"samples_sha256": "a" * 64}, {"threads": 1}, {"base_digest": "sha256:other"}],
)
def test_another_job_takes_up_nothing(changes, tmp_path):
    """A number that was measured otherwise is no number of this job's."""
    Unfinished(tmp_path).keep(job(), result())
    assert Unfinished(tmp_path).earlier(job(**changes)) is None


def test_a_suspect_begins_anew(tmp_path):
    """Its trigger ended with the worker, and the stages that examine suspects need it."""
    Unfinished(tmp_path).keep(job(), result(ratio=0.1))
    assert Unfinished(tmp_path).earlier(job()) is None


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"job": 1}'])
def test_a_missing_or_damaged_file_is_as_none(content, tmp_path):
    """The scan begins anew, and no error is raised."""
    if content is not None:
        (tmp_path / "unfinished.json").write_bytes(content)
    assert Unfinished(tmp_path).earlier(job()) is None


def test_a_disk_that_takes_nothing_ends_no_scan():
    """Nothing is kept and nothing is raised."""
    nowhere = Unfinished(Path("/proc/gate"))
    nowhere.keep(job(), result())
    assert nowhere.earlier(job()) is None


def test_pictures_of_both_parts_stand_together():
    """The earlier ones come first; without an earlier part the later is returned as it is."""
    assert len(joined(result(), result()).pictures) == 2
    later = result()
    assert joined(None, later) is later
