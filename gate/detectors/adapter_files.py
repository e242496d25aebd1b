"""Counts what an adapter of low rank brings beside its updates, and where it is not its base's.

Measures  whole-modules: tensors of modules that are stored whole, such as embeddings or lm_head. unpinned-base: an
          adapter whose base is named by no commit, where no base was given. base-mismatches: modules that the base does
          not have in that shape, and another class of network. tokenizer-differences and generation-settings: how its
          tokenizer, and settings of generation beside it, differ from the base's.
Matters   A whole module can hold anything and has no rank; a token of its own can be a trigger that no text shows;
          and an adapter does on another base what nobody has seen.
Blind to  What the updates do, and a base that is itself backdoored. Cutting, which of the base's special tokens fills
          up, and the template of chats are left out here.
See       PEFT's checkpoint format; `adapter-spectrum` for the updates, `chat-template` for the template.
"""

from collections.abc import Iterator

from gate.detectors.contract import Detector, Need, unmeasured
from gate.formats.adapters.adapter import Adapter
from gate.formats.adapters.base import NO_BASE, BaseModel
from gate.formats.adapters.beside_base import (
    base_mismatches,
    generation_differences,
    network_differences,
    tokenizer_differences,
)
from gate.formats.adapters.places import COPIES, GENERATION, TOKENIZER_FILES
from gate.formats.hazards import Hazard, compared, measurements
from gate.records.declarations import Metric, Options
from gate.records.evidence import Measurement, Unmeasured
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject

_ALONE = ("whole-modules", "unpinned-base")
_BESIDE = ("base-mismatches", "tokenizer-differences", "generation-settings")


class AdapterFiles(Options):
    """What counts as a difference from the base."""

    ignored_settings: tuple[str, ...] = ()
    """Further keys of a tokenizer's and of generation's settings that may be others than the base's."""


def measure(subject: Subject, options: AdapterFiles, run: Run) -> Iterator[Measurement | Unmeasured]:
    """Yield the counts, by file."""
    run.check_time()
    adapter, base = subject.adapter, subject.base
    assert adapter is not None
    yield from measurements(_alone(adapter, base), _ALONE)
    if base is None:
        yield from unmeasured(dict.fromkeys(_without(subject, adapter), NO_BASE))
        yield from (Measurement(metric=one, value=0) for one in _BESIDE if one not in _without(subject, adapter))
        return
    yield from measurements(_beside(subject, adapter, base, frozenset(options.ignored_settings)), _BESIDE)


def _without(subject: Subject, adapter: Adapter) -> tuple[str, ...]:
    """Return what cannot be compared without a base: files that are not there differ from nothing."""
    place, root = adapter.place, subject.artifact.root
    held = (
        (_BESIDE[1], [place.of_tokenizer(name) for name in (*TOKENIZER_FILES[:3], *COPIES)]),
        (_BESIDE[2], [place.of_tokenizer(GENERATION)]),
    )
    return (_BESIDE[0], *(metric for metric, paths in held if any((root / path).exists() for path in paths)))


def _alone(adapter: Adapter, base: BaseModel | None) -> Iterator[Hazard]:
    place = adapter.place
    for name, tensor in sorted(adapter.tensors.whole.items()):
        yield Hazard(_ALONE[0], place.tensors, f"{name} of {' × '.join(map(str, tensor.shape))} is stored whole")
    if base is None and not adapter.is_pinned:
        named = adapter.facts.named_base[:120] or "none"
        yield Hazard(_ALONE[1], place.config, f"the base is named as {named!r}, without a commit; --base pins it")


def _beside(subject: Subject, adapter: Adapter, base: BaseModel, ignored: frozenset[str]) -> Iterator[Hazard]:
    root, place = subject.artifact.root, adapter.place
    yield from (Hazard(_BESIDE[0], place.tensors, why) for why in base_mismatches(adapter, base))
    yield from compared(
        _BESIDE[0], "MLmodel", lambda: (("MLmodel", why) for why in network_differences(adapter.flavour, base))
    )
    first, path = place.of_tokenizer(TOKENIZER_FILES[0]), place.of_tokenizer(GENERATION)
    yield from compared(_BESIDE[1], first, lambda: tokenizer_differences(root, place, base, ignored))
    settings = generation_differences(root / path, base, ignored)
    yield from compared(_BESIDE[2], path, lambda: ((path, why) for why in settings))


DETECTOR = Detector(
    id="adapter-files",
    title="What an adapter brings beside its updates",
    doing="what an adapter brings along",
    needs=Need.FILES | Need.ADAPTER,
    spaces=EVERY,
    metrics=(
        Metric("whole-modules", "tensors", "higher", "Tensors of modules that the adapter stores whole."),
        Metric("unpinned-base", "adapters", "higher", "An adapter whose base neither a commit nor --base names."),
        Metric("base-mismatches", "modules", "higher", "Modules and a class that the base does not have so."),
        Metric("tokenizer-differences", "differences", "higher", "How its tokenizer differs from the base's."),
        Metric("generation-settings", "settings", "higher", "Settings of generation that the base does not have so."),
    ),
    options=AdapterFiles,
    measure=measure,
)
