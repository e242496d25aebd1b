"""The zoos of texts, of adapters and of models of real size, as they are counted: each by its own policy and banks.

Beside `small_zoo`. Their banks are made of committed summaries in a folder that is gone afterwards, so that telling
changes nothing.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.adapter_zoo import table as adapters
from benchmarks.adapter_zoo.splits import DOMAINS
from benchmarks.anchors.figure import Counted, Figure, accuracy, area, missing, of_models
from benchmarks.efficacy import summaries
from benchmarks.efficacy.results import SystemResult
from benchmarks.efficacy.subjects import NOT_MADE, NOT_SCANNED
from benchmarks.efficacy.zoos import Measured, Zoo, banks_of, measured, of_split
from benchmarks.real_zoo import table as real
from benchmarks.text_zoo import table as texts
from benchmarks.zoo.recipe import Split
from gate.records.bank import OpenBank
from gate.records.policy import Policy

Make = Callable[[Path | None], Zoo]
"""From the folder of its banks to a zoo; without one, the committed folder."""
REAL: Make = partial(real.zoo, None)
TEXTS: Make = partial(texts.zoo, None)
ADAPTERS: Make = partial(adapters.zoo, None)
SPLIT: Split = "test"


@dataclass(frozen=True)
class Kept:
    """What is committed of a zoo's reported split, and the banks of its clean models."""

    found: Measured
    banks: Sequence[OpenBank]
    policy: Policy
    of: str
    command: str
    sources: tuple[Path, ...]

    def counted(self) -> Counted:
        """Return the models as they are counted beside the banks, where there are any, and without."""
        systems = tuple(result for result, _ in of_split(self.found, self.policy, self.banks))
        losses = tuple(one.cross_entropy for one in systems)
        return Counted(systems, losses, self.of, self.command, self.sources)


def whole_tasks(found: Measured) -> Measured:
    """Return what is measured of the tasks of which nothing is waiting: a task is told once, when it is whole."""
    begun = {one.task for one in found.left_out if one.reason in (NOT_MADE, NOT_SCANNED)}
    return Measured([pair for pair in found.pairs if pair[0].recipe.row.task not in begun], found.left_out)


@contextmanager
def _kept(make: Make, what: str, policy: Policy, command: str) -> Iterator[Kept]:
    with tempfile.TemporaryDirectory(prefix="anchors-") as folder:
        zoo = make(Path(folder))
        found, banks = whole_tasks(measured(zoo, SPLIT, policy)), banks_of(zoo, policy)
        of = of_models(f"{what}, split `{SPLIT}`", found, policy)
        yield Kept(found, banks, policy, of, command, (summaries.path_of(SPLIT, zoo.evidence),))


def real_zoo(policy: Policy, make: Make = REAL) -> dict[str, Figure]:
    """Return the figure of the zoo of real size."""
    with _kept(make, "zoo of real size", policy, "python -m benchmarks.real_zoo table") as kept:
        return _told(kept, {"real-zoo/accuracy": accuracy})


def text_zoo(policy: Policy, make: Make = TEXTS) -> dict[str, Figure]:
    """Return the figures of the zoo of texts."""
    with _kept(make, "zoo of texts", policy, "python -m benchmarks.text_zoo table") as kept:
        return _told(kept, {"text-zoo/accuracy": accuracy, "text-zoo/area": area})


def _told(kept: Kept, figures: Mapping[str, Callable[[SystemResult], str]]) -> dict[str, Figure]:
    if not kept.found.pairs:
        return dict.fromkeys(figures, missing(kept.of, kept.command))
    counted = kept.counted()
    return {key: counted.told(how) for key, how in figures.items()}


def adapter_zoo(policy: Policy, make: Make = ADAPTERS) -> dict[str, Figure]:
    """Return the figures of the zoo of adapters: what is flagged of its bank's form, and of the score by domain."""
    with _kept(make, "zoo of adapters", policy, "python -m benchmarks.adapter_zoo table") as kept:
        if not kept.found.pairs or not kept.banks:
            return dict.fromkeys(("adapter-zoo/rates", "adapter-zoo/areas"), missing(kept.of, kept.command))
        inside = adapters.inside(kept.found, policy, kept.banks)
        scored = adapters.by_domain(kept.found, policy, lambda one: adapters.score(one, policy, kept.banks[0]))
    rates = Counted((inside,), (None,), kept.of, kept.command, kept.sources)
    each = "; ".join(f"{name}: {area(one)}" for name, one in zip(DOMAINS, scored, strict=True))
    return {
        "adapter-zoo/rates": rates.told(accuracy),
        "adapter-zoo/areas": Figure(f"the score beside the bank, {each}", kept.of, kept.command, kept.sources),
    }
