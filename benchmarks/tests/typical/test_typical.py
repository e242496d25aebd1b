"""The packaged ranges of the zoo are what the committed measurements give, by the command that made them."""

import pytest

from benchmarks.typical import OWN_SCALES, subjects, typical_of
from gate import detectors
from gate.policies.declared import rules_sha256
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.renderers.typical import typical


def test_the_count_of_false_alarms_is_of_these_very_limits():
    """After a change of the recommended policy: `python -m benchmarks.typical`."""
    assert typical().false_alarms.rules == rules_sha256(read_policy(DEFAULT, on=today()))


def test_no_range_depends_on_the_size_of_an_image_or_on_a_models_own_scores():
    """Of another model such a range would say nothing."""
    for name, metrics in typical().metrics.items():
        for metric in metrics:
            declared = detectors.load(name).metric(metric)
            assert declared is not None
            assert declared.unit not in OWN_SCALES


@pytest.mark.slow
def test_the_packaged_data_are_what_the_command_makes():
    """Byte for byte the same record, from the summaries and the zoo's index alone."""
    known = typical()
    assert typical_of(known.split, subjects(known.split), read_policy(DEFAULT, on=today())) == known
