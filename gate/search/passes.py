"""The passes of an inversion, before it is run: from its settings and the number of its goals and samples."""

from gate.records.passes import Passes, Span
from gate.search.inversion import Settings


def inversion_passes(settings: Settings, goals: int, pools: Span) -> Passes:
    """Return the passes of so many goals, which have labels; `pools` is what those searched to the end move, together.

    At least: every goal leaves the batch at the first step at which it may. At most: none leaves, and every trigger is
    measured a second time.
    """
    leaves, begun, slopes = _first_leaving(settings), 0, Span()
    staying, narrowed = Span.exactly(goals), False
    for rung in settings.rungs:
        if rung.keep is not None:
            most = min(staying.most, rung.keep + rung.references)
            # A class that left at an earlier rung may be among the smallest and is not searched on; references are.
            staying, narrowed = Span(min(most, rung.references) if narrowed else most, most), True
        at_once = staying.times(rung.images(settings.batch))
        sure = min(rung.steps, max(0, leaves - begun))
        slopes += Span(sure * at_once.least, rung.steps * at_once.most)
        begun += rung.steps
    return Passes(Span(pools.least, 2 * pools.most), slopes)


def pools_of_classes(classes: int, samples: int) -> Span:
    """Return how many samples goals for so many different classes move together: all but those of the class itself."""
    return Span(max(0, classes - 1) * samples, classes * samples)


def _first_leaving(settings: Settings) -> int:
    """Return the number of steps after which the first goal may leave the batch."""
    settled = settings.steps if settings.settled_after is None else settings.settled_after + 1
    return min(settings.steps, settled, settings.hopeless_after or settings.steps)
