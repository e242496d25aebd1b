"""The count of updates that the packaged policy's limits flag."""

from benchmarks.version_change.flagging import flagged


def row(share, probe, success=None):
    """Return a candidate with two ratios; a success makes it a poisoned one."""
    values = {"first-share-ratio": share, "probe-gain-ratio": probe}
    return {"targets": [] if success is None else [3], "attack_success": success, "values": values}


def test_updates_beyond_a_limit_are_counted_by_limit_and_by_either():
    """At its limit an update is not flagged; a backdoor that does not work counts among the poisoned ones alone."""
    rows = [row(1.6, 1.25), row(1.7, 0.9), row(2.0, 1.0, 0.9), row(1.0, 2.0, 0.1), row(1.0, 1.0, 0.8)]
    share, probe, either = flagged(rows)
    assert share.startswith("first-share-ratio above 1.6: clean 1 of 2, 50%")
    assert "; poisoned 1 of 3, 33%" in share
    assert "; of success from 0.6 1 of 2, 50%" in share
    assert probe.startswith("probe-gain-ratio above 1.25: clean 0 of 2, 0%")
    assert "; poisoned 1 of 3" in probe
    assert either.startswith("either: clean 1 of 2")
    assert "; poisoned 2 of 3, 67%" in either
