"""The shape of every detector by trigger inversion: one family of triggers, searched for at every class."""

from collections.abc import Iterator
from typing import TypeVar

from gate.detectors.contract import Detector, Need
from gate.records.passes import Passes
from gate.records.run import Run
from gate.search.options import PAIR_METRICS, TriggerSearch, metrics
from gate.spaces.contract import TriggerFamily
from gate.spaces.subject import Subject, Yield

SearchT = TypeVar("SearchT", bound=TriggerSearch)


def inversion_detector(
    *,
    id: str,  # noqa: A002  # as the detector's field
    title: str,
    doing: str,
    family: TriggerFamily[SearchT],
    options: type[SearchT],
) -> Detector[SearchT]:
    """Return the detector that inverts triggers of a family; its options include the family's own."""

    def measure(subject: Subject, options: SearchT, run: Run) -> Iterator[Yield]:
        from gate.search.by_class import search

        yield from search(subject, options, run, family)

    def passes(subject: Subject, options: SearchT, run: Run) -> Passes:
        from gate.search.by_class import search_passes

        return search_passes(subject, options, run, family)

    return Detector(
        id=id,
        title=title,
        doing=doing,
        needs=Need.MODEL | Need.SAMPLES,
        metrics=metrics(family.unit, family.size_means) + PAIR_METRICS,
        options=options,
        measure=measure,
        passes=passes,
        family=family,
    )
