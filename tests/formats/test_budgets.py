"""Bounds over the whole artifact: many small parts end where one large one would, in words and never in silence."""

import io
import zipfile

import pytest

from gate.detectors import load
from gate.formats.mlmodel import read_yaml
from gate.formats.pickle_search import find_pickles
from gate.formats.source import Bounds, Budget, ExceededError, Source, UnreadableError
from gate.formats.zips import read_zip
from gate.records.artifact import MAX_PATH_DEPTH, Artifact, ModelRef, build_manifest
from gate.records.evidence import Failed
from gate.records.policy import Policy, Rule
from gate.records.run import Run
from gate.spaces.subject import Subject
from gate.worker.loop import Scanned, Scope, scan


def packed(members, method=zipfile.ZIP_STORED):
    """Return a zip of members by name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return stream.getvalue()


def outcome_of(root, detector):
    """Return what a scan files under a detector of the artifact that lies there."""
    artifact = Artifact(ModelRef(registry="directory", name=str(root)), root, build_manifest(root)[0])
    policy = Policy(version=1, detectors={detector: Rule()})
    scope = Scope(runs=lambda _: True, absence="", classes=None)
    assert load(detector)
    return scan(Subject(artifact), policy, Run(seed=0), scope, Scanned()).outcomes[detector]


def test_ten_thousand_nested_archives_end_in_a_finding(tmp_path):
    """Each is small and well formed; all together are more than is looked at, and the detector says so."""
    small = packed({"a": b"x"})
    (tmp_path / "model.zip").write_bytes(packed({f"{number}.zip": small for number in range(10_000)}))
    outcome = outcome_of(tmp_path, "unsafe-pickle")
    assert isinstance(outcome, Failed)
    assert "hold more archives, or more members in them, than are looked at" in outcome.error


def test_archives_of_many_files_share_one_budget(tmp_path):
    """It is the artifact's, not a file's: the same archives in files of their own count alike."""
    budget = Budget(archives=10)
    bounds = Bounds(budget=budget)
    source = Source.of(packed({"a": b"x"}))
    for _ in range(10):
        read_zip(source, bounds)
    with pytest.raises(ExceededError):
        read_zip(source, bounds)


def test_members_are_counted_over_all_archives():
    """Two archives of six members are more than eleven."""
    source = Source.of(packed({str(number): b"" for number in range(6)}))
    bounds = Bounds(budget=Budget(members=11))
    read_zip(source, bounds)
    with pytest.raises(ExceededError):
        read_zip(source, bounds)


@pytest.mark.parametrize("name", ["a.pkl", "data/weights/weight_0"])
def test_what_is_unpacked_is_counted_over_all_members(name):
    """A hundred members that each stay below the bound of a stream; nor do names of raw numbers hide the end."""
    raw = packed({f"{number}/{name}": bytes(1 << 16) for number in range(100)}, zipfile.ZIP_DEFLATED)
    bounds = Bounds(max_inflated_bytes=1 << 20, budget=Budget(unpacked=1 << 20))
    with pytest.raises(ExceededError, match="unpack to more bytes in all"):
        list(find_pickles(Source.of(raw), "model.zip", bounds))


def test_a_plain_archive_spends_nothing_of_what_is_unpacked():
    """Stored members, as torch writes them, are read in place."""
    bounds = Bounds(budget=Budget(unpacked=0))
    list(find_pickles(Source.of(packed({"a.txt": bytes(1 << 16)})), "model.zip", bounds))


def test_detectors_do_not_share_a_budget():
    """What one has spent does not make the next one fail."""
    assert Bounds().budget is not Bounds().budget


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" + "1," * 100_000 + "]", "more than 10000 values"),
        ("{" + ",".join(f"k{number}: 1" for number in range(2_000)) + "}", "a mapping of more than 1000 keys"),
        ("\n".join(f"- {{a: {number}}}" for number in range(20_000)), "more than 10000 values"),
    ],
)
def test_yaml_is_bounded_by_its_values(text, why):
    """10^5 values of two bytes each are far below the bound on bytes."""
    with pytest.raises(UnreadableError, match=why):
        read_yaml(text.encode(), what="MLmodel")


def test_yaml_of_a_hundred_thousand_values_is_a_finding(tmp_path):
    """The folder's MLmodel is reported as one that cannot be read."""
    (tmp_path / "MLmodel").write_text("flavors: [" + "1," * 100_000 + "]\n")
    outcome = outcome_of(tmp_path, "consumer-hazards")
    (found,) = [m for m in outcome.measurements if m.metric == "unreadable-files" and m.value]
    assert "more than 10000 values" in found.note


def test_folders_inside_each_other_are_a_problem(tmp_path):
    """What lies deeper than the bound is not walked, and said."""
    deep = tmp_path.joinpath(*["d"] * (MAX_PATH_DEPTH + 1))
    deep.mkdir(parents=True)
    (deep / "file").touch()
    manifest, (problem,) = build_manifest(tmp_path)
    assert manifest.files == ()
    assert f"lie deeper than {MAX_PATH_DEPTH} inside each other" in problem
    (deep.parent / "file").touch()
    assert len(build_manifest(tmp_path)[0].files) == 1
