"""The policy's keys about labels and least numbers of samples: by model, in errors, in the digest where stated."""

import datetime as dt

import pytest

from gate.policies.read import parse_policy
from gate.records.errors import PolicyError

PLAIN = "version: 1\ndetectors: {neural-cleanse: {}}\n"


def policy(samples=""):
    """Read a policy with these lines under `samples`."""
    return parse_policy(f"{PLAIN}samples: {{{samples}}}\n" if samples else PLAIN, name="p.yml", on=dt.date(2026, 1, 1))


def test_labels_are_required_and_two_of_each_class_where_nothing_is_stated():
    """And the canonical form says nothing of it, so that earlier policies keep their digest."""
    found = policy().samples.of("any")
    assert found.labels != "waived"
    assert found.least_of_each_class == 2
    assert b"least" not in policy().canonical_json().replace(b"least_references", b"").replace(b"least-references", b"")
    assert b"waived" not in policy().canonical_json()


def test_a_model_has_its_own_settings_over_the_common_ones():
    """What a model's entry leaves open, the common settings say."""
    rules = policy(
        "labels: waived, least-per-class: 5, models: {fashion: {labels: required}, digits: {bounds: [0, 9]}}"
    )
    fashion, digits = rules.samples.of("fashion"), rules.samples.of("digits")
    assert (fashion.labels, fashion.least_of_each_class) == ("required", 5)
    assert (digits.labels, digits.least_of_each_class, digits.bounds) == ("waived", 5, (0, 9))


def test_a_stated_setting_is_in_the_digest():
    """Another policy decides otherwise, and is another one."""
    assert len({policy(one).digest for one in ("", "labels: waived", "labels: required", "least-per-class: 3")}) == 4


FAULTS = {
    "labels: optional": "p.yml:3: samples.labels",
    "least-per-class: 0": "p.yml:3: samples.least-per-class",
    "least-per-classes: 3": "unknown key 'least-per-classes'; did you mean 'least-per-class'?",
    "label: waived": "unknown key 'label'; did you mean 'labels'?",
    "models: {a: {labels: no}}": "p.yml:3: samples.models.a.labels",
}


@pytest.mark.parametrize("stated", FAULTS)
def test_a_misspelt_setting_is_an_error_with_its_line(stated):
    """And the likely intention."""
    with pytest.raises(PolicyError) as caught:
        policy(stated)
    assert FAULTS[stated] in str(caught.value)
