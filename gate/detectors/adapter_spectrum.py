"""Measures the spectrum of each update of an adapter, for a bank of adapters of the same base, kind and ranks.

Measures  By module, of scale · B · A: sigma-one, frobenius-norm, sigma-share (σ₁/Σσ), energy-share (σ₁²/Σσ²),
          spectral-entropy, kurtosis and stable-rank of its singular values; norm-ratio to the base's weight; in DoRA
          magnitude-change, the magnitudes beside the norms of their directions. By family of modules, left-agreement:
          the mean |cos| of first left vectors across layers.
Matters   A backdoor of one answer bends many layers towards one direction; what is usual shows in a bank alone.
Blind to  What an update does; an attacker who shapes it like the bank's; modules stored whole; other kinds and ranks
          than the bank's, which are not examined.
See       PEFTGuard (Sun et al. 2025); Watch the Weights (Zhong and Raghunathan 2025); docs/explanation/adapters.md.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import Field

from gate.detectors.contract import Detector, Need, unmeasured
from gate.formats.adapters.base import NO_BASE, BaseModel, Stored
from gate.formats.adapters.tensors import Module
from gate.records.declarations import Compared, Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement, Unmeasured
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject

if TYPE_CHECKING:
    from gate.statistics.low_rank import Floats

_BESIDE: Final = ("norm-ratio", "magnitude-change")
_AGREEMENT: Final = "left-agreement"


class AdapterSpectrum(Options):
    """How much of an adapter is read."""

    most_modules: int = Field(default=2000, ge=1, le=2000)
    """The most modules; an adapter of more is not examined."""


def measure(subject: Subject, options: AdapterSpectrum, run: Run) -> Iterator[Measurement | Unmeasured]:
    """Yield the features of each module, those beside the base's weight, and the agreement by family."""
    from gate.statistics.low_rank import by_family

    assert subject.adapter is not None
    modules = subject.adapter.modules
    if not 1 <= len(modules) <= options.most_modules:
        raise UnexaminableError(f"it changes {len(modules)} modules; expected 1 to {options.most_modules}")
    seen: set[str] = set()
    vectors: dict[tuple[str, int], Floats] = {}
    for number, module in enumerate(modules):
        run.check_time()
        values, vectors[module.family, number] = _of_module(module, subject.adapter.path, subject.base)
        seen |= values.keys()
        place = Location(kind="layer", name=module.name)
        yield from (Measurement(metric=name, value=value, location=place) for name, value in values.items())
        run.progress(number + 1, len(modules))
    for family, value in by_family(vectors).items():
        seen.add(_AGREEMENT)
        yield Measurement(metric=_AGREEMENT, value=value, location=Location(kind="layer", name=family))
    yield from unmeasured(_WHY if subject.base else _WHY | dict.fromkeys(_BESIDE, NO_BASE), seen)


def _of_module(module: Module, path: Path, base: BaseModel | None) -> tuple[dict[str, float], "Floats"]:
    """Return the features of one module's update, and its first left vector; zeros where there is no update."""
    from gate.statistics.low_rank import features, magnitude_change, spectrum_of
    from gate.statistics.stored import read_array

    up, down = read_array(Stored(path, module.up)), read_array(Stored(path, module.down))
    found = spectrum_of(up, down, module.scale)
    values = features(found.values)
    stored = base.weight(module.name) if base else None
    if stored is not None and stored.tensor.shape == module.shape:
        weight = read_array(stored)
        norm = float((weight**2).sum()) ** 0.5
        if norm > 0:
            values["norm-ratio"] = values["frobenius-norm"] / norm
        if module.magnitude is not None:
            magnitude = read_array(Stored(path, module.magnitude))
            values["magnitude-change"] = magnitude_change(weight, up, down, module.scale, magnitude)
    return values, found.left * (values["sigma-one"] > 0)


_NO_UPDATE: Final = "no module has an update of that many singular values"
_WHY: Final = dict.fromkeys(
    ("sigma-one", "frobenius-norm", "sigma-share", "energy-share", "stable-rank", "spectral-entropy", "kurtosis"),
    _NO_UPDATE,
) | {
    _AGREEMENT: "no family has modules of one size in two layers",
    "norm-ratio": "the base has no weight of these modules",
    "magnitude-change": "it has no magnitudes, which DoRA alone has",
}
_BY_LAYER: Final = Compared("linear", "layer")
_SIZE: Final = Compared("log", "layer")
DETECTOR = Detector(
    id="adapter-spectrum",
    title="Spectra of an adapter's updates",
    doing="spectra of an adapter's updates",
    needs=Need.FILES | Need.ADAPTER,
    spaces=EVERY,
    metrics=(
        Metric("sigma-one", "norm", "higher", "Greatest singular value of a module's update.", compared=_SIZE),
        Metric("frobenius-norm", "norm", "higher", "Size of a module's update.", compared=_SIZE),
        Metric("sigma-share", "share", "higher", "Greatest singular value over their sum.", compared=_BY_LAYER),
        Metric("energy-share", "share", "higher", "Its square over the sum of squares.", compared=_BY_LAYER),
        Metric("spectral-entropy", "share", "lower", "Entropy of the energies over ln rank.", compared=_BY_LAYER),
        Metric("kurtosis", "ratio", "higher", "Fourth moment of the singular values.", compared=_BY_LAYER),
        Metric("stable-rank", "ranks", "neither", "Sum of squares over the greatest one: one over energy-share."),
        Metric("norm-ratio", "ratio", "higher", "Size of an update over that of the base's weight.", compared=_SIZE),
        Metric("magnitude-change", "ratio", "higher", "DoRA's magnitudes beside their norms.", compared=_SIZE),
        Metric(_AGREEMENT, "cosine", "higher", "Agreement of first left vectors across layers.", compared=_BY_LAYER),
    ),
    options=AdapterSpectrum,
    measure=measure,
)
