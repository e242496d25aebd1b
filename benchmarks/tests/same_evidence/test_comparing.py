"""What counts as the same in what two states wrote of a model."""

import copy

import pytest

from benchmarks.same_evidence.comparing import ABSENT, Seen, compare, patterns_for


def seen():
    """Return what a small scan wrote: two detectors, one suspect, one picture, one finding."""
    seven = {"kind": "class", "name": "7"}

    def measured(*sizes):
        places = ({"kind": "class", "name": str(number)} for number in range(len(sizes)))
        rows = [{"metric": "size", "value": v, "location": p, "note": ""} for v, p in zip(sizes, places, strict=True)]
        return {"status": "measured", "measurements": rows, "seconds": 1.5, "options": {}}

    evidence = {
        "gate_version": "0.1.0",
        "bundle_digest": "sha256:aa",
        "bundle": {"torch": "2.13.0", "pinned": {"torch": "2.13.0"}},
        "model": {"registry": "directory", "name": "/one"},
        "outcomes": {"neural-cleanse": measured(2.0, 3.0), "tone-trigger": measured(0.5)},
        "original": {},
        "pictures": [
            {"role": "mask", "location": seven, "caption": "", "detector": "neural-cleanse", "pixels": "AAAA"}
        ],
        "suspects": [{"stage": 1, "detector": "neural-cleanse", "metric": "size", "value": 2.0, "location": seven}],
        "versions": {"torch": "2.13.0"},
        "seconds": {"scan": 3.0},
    }
    verdict = {
        "decision": "flagged",
        "findings": [{"rule": "tone-trigger", "kind": "silence", "message": "skipped", "location": None}],
        "bundle_digest": "sha256:aa",
        "evidence_digest": "sha256:bb",
    }
    report = {
        "checked_at": "a day",
        "coverage": [{"detector": "tone-trigger", "title": "Tones"}],
        "not_examined": ["The detector tone-trigger: the policy does not run it.", "The training data."],
    }
    return Seen(evidence, verdict, report)


def different(earlier, later, *, lost=(), given=()):
    """Return the paths of all differences."""
    found, _ = compare(earlier, later, patterns_for(earlier, later, lost, given))
    return [one.path for unit in found for one in unit.differences]


@pytest.fixture
def sides():
    """Return the same scan twice, to be changed."""
    return seen(), copy.deepcopy(seen())


def test_times_versions_and_paths_do_not_count(sides):
    """Nor does the digest of a bundle that names another version."""
    earlier, later = sides
    later.evidence.update(gate_version="0.2.0", bundle_digest="sha256:cc", seconds={"pull": 9.0, "scan": 1.0})
    later.evidence["model"]["name"] = "/two"
    later.evidence["outcomes"]["neural-cleanse"]["seconds"] = 7.0
    later.evidence["plan"] = {"whole": {"least": 1.0, "most": 2.0}, "detectors": {"neural-cleanse": {"least": 1.0}}}
    later.verdict.update(bundle_digest="sha256:cc", evidence_digest="sha256:dd")
    later.report["checked_at"] = "another day"
    assert different(earlier, later) == []


def test_bundle_counts_where_versions_are_the_same(sides):
    """The same gate and the same packages write the same bytes."""
    earlier, later = sides
    later.evidence["bundle_digest"] = "sha256:cc"
    assert different(earlier, later) == ["scan/bundle_digest"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (
            lambda e: e["outcomes"]["neural-cleanse"]["measurements"][1].update(value=3.0000000000000004),
            "size class 1/value",
        ),
        (lambda e: e["outcomes"]["neural-cleanse"]["measurements"][1].update(note="said"), "size class 1/note"),
        (
            lambda e: e["pictures"][0].update(pixels="AAAB"),
            "neural-cleanse/pictures/neural-cleanse mask class 7/pixels",
        ),
        (lambda e: e["suspects"].clear(), "neural-cleanse/suspects/1 neural-cleanse size class 7/value"),
        (lambda e: e["outcomes"].pop("neural-cleanse"), "neural-cleanse/outcome/status"),
        (lambda e: e["model"].update(registry="mlflow"), "scan/model/registry"),
        (
            lambda e: e["outcomes"]["neural-cleanse"].update(options={"exits": 1}),
            "neural-cleanse/outcome/options/exits",
        ),
    ],
)
def test_every_change_is_found(sides, change, path):
    """One last bit of a number, a text, a picture, a suspect, a detector, a setting."""
    earlier, later = sides
    change(later.evidence)
    assert any(found.endswith(path) for found in different(earlier, later))
    assert any(found.endswith(path) for found in different(later, earlier))


def test_numbers_are_compared_by_their_text(sides):
    """A whole number and a fraction of the same size are two values in JSON."""
    earlier, later = sides
    later.evidence["outcomes"]["neural-cleanse"]["measurements"][0]["value"] = 2
    assert different(earlier, later) == ["neural-cleanse/outcome/measurements/size class 0/value"]


def test_order_of_a_list_counts_and_that_of_keys_does_not(sides):
    """Measurements are in the order in which they were yielded; a record's fields may be declared in another."""
    earlier, later = sides
    later.evidence["outcomes"] = dict(reversed(later.evidence["outcomes"].items()))
    assert different(earlier, later) == []
    later.evidence["outcomes"]["neural-cleanse"]["measurements"].reverse()
    assert different(earlier, later) == ["the order of a list"]


def test_a_lost_detector_takes_its_traces_along(sides):
    """Its outcome, findings, coverage, and what the report says of it; nothing else."""
    earlier, later = sides
    del later.evidence["outcomes"]["tone-trigger"]
    later.verdict["findings"].clear()
    later.report["coverage"].clear()
    del later.report["not_examined"][0]
    assert different(earlier, later, lost=["tone-trigger"]) == []
    assert {path.split("/")[0] for path in different(earlier, later)} == {"tone-trigger", "verdict", "report"}


def test_given_patterns_are_counted(sides):
    """A pattern covers what lies below it, and says how much that was; the rest still counts."""
    earlier, later = sides
    for row in later.evidence["outcomes"]["neural-cleanse"]["measurements"]:
        row["value"] += 1
    given = ["neural-cleanse/*size class 0*"]
    found, taken = compare(earlier, later, patterns_for(earlier, later, (), given))
    [unit] = [unit for unit in found if unit.differences]
    assert [(one.path, one.earlier, one.later) for one in unit.differences] == [
        ("neural-cleanse/outcome/measurements/size class 1/value", 3.0, 4.0)
    ]
    assert taken[given[0]] == 10


def test_a_missing_value_is_named_absent(sides):
    """What one side alone has is a difference of its own."""
    earlier, later = sides
    later.verdict["calibrated"] = None
    found, _ = compare(earlier, later, patterns_for(earlier, later, ()))
    [one] = [one for unit in found for one in unit.differences]
    assert (one.path, one.earlier, one.later) == ("verdict/calibrated", ABSENT, None)
