"""Which kinds of input a policy's detectors are for: what its clean samples are read as."""

from functools import reduce
from typing import Final

from gate import detectors
from gate.detectors.contract import Need
from gate.records.declarations import Space
from gate.records.policy import Policy
from gate.spaces.contract import EVERY

_SAMPLED: Final = Need.MODEL | Need.SAMPLES


def spaces_of(policy: Policy) -> frozenset[Space]:
    """Return the kinds of input that all detectors with samples are for or, where there is none, that any of them is.

    A policy without such detectors is for every kind.
    """
    declared = [one.spaces for one in map(detectors.load, policy.detectors) if one.needs & _SAMPLED]
    common = reduce(frozenset.__and__, declared, EVERY)
    return common or reduce(frozenset.__or__, declared, frozenset[Space]())
