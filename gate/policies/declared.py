"""What the detectors declare, as plain tables for those who know no detector: the judge, the scan and the banks.

Asked of the folder of detectors once; a declaration imports no torch.
"""

from functools import cache

from gate import detectors
from gate.records.bank import Statistic


@cache
def before_loading() -> frozenset[str]:
    """Return the ids of the detectors whose findings forbid loading a model, and can be waived by nobody."""
    return frozenset(name for name in detectors.names() if detectors.load(name).before_loading)


@cache
def compared_statistics() -> tuple[Statistic, ...]:
    """Return by which metrics a bank compares models, as their detectors declare it."""
    return tuple(
        Statistic(detector=name, metric=metric.id, worse=metric.worse, scale=how.scale, at=how.at)
        for name in detectors.names()
        for metric in detectors.load(name).metrics
        if (how := metric.compared) is not None and metric.worse != "neither"
    )
