"""Counts where a whole language model is not its base's beside its weights: tensors, settings and tokenizer.

Measures  foreign-tensors: tensors that one side has not, or in another shape. config-differences and
          generation-settings: settings of the network, and of what it generates, that the base has otherwise; of the
          latter also what MLmodel sets or puts around prompts.
          tokenizer-differences: tokens, special tokens and settings of the tokenizer that are not the base's.
Matters   The network that is run is what its configuration says; a token of its own can be a trigger that no text
          shows; forced or forbidden tokens say what is answered.
Blind to  What the weights changed, and a base that is itself backdoored. Which number type weights have, who loaded the
          model, cutting and the template of chats are left out here.
See       `difference-from-base` for the weights, `chat-template` for the template; docs/how-to/language-models.md.
"""

from collections.abc import Iterator

from gate.detectors.contract import Detector, Need, unmeasured
from gate.formats.adapters.base import NO_BASE, BaseModel
from gate.formats.adapters.beside_base import tokenizer_differences
from gate.formats.adapters.places import GENERATION, TOKENIZER_FILES
from gate.formats.hazards import Hazard, compared, measurements
from gate.formats.language.beside_base import config_differences, foreign_tensors, generation_changes, serving_changes
from gate.formats.language.places import CONFIG
from gate.formats.language.whole import WholeModel
from gate.records.declarations import Metric, Options
from gate.records.evidence import Measurement, Unmeasured
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject

_TENSORS, _CONFIG, _WORDS, _GENERATION = _COUNTS = (
    "foreign-tensors", "config-differences", "tokenizer-differences", "generation-settings",
)  # fmt: skip


class LanguageFiles(Options):
    """Which settings may differ."""

    ignored_settings: tuple[str, ...] = ()
    """Further keys of configuration, tokenizer and generation that may be others than the base's."""


def measure(subject: Subject, options: LanguageFiles, run: Run) -> Iterator[Measurement | Unmeasured]:
    """Yield the counts by file; without a base each is a gap."""
    run.check_time()
    own, base = subject.language, subject.base
    assert own is not None
    if base is None:
        yield from unmeasured(dict.fromkeys(_COUNTS, NO_BASE))
        return
    yield from measurements(_beside(subject, own, base, frozenset(options.ignored_settings)), _COUNTS)


def _beside(subject: Subject, own: WholeModel, base: BaseModel, ignored: frozenset[str]) -> Iterator[Hazard]:
    root, place = subject.artifact.root, own.place
    for path, why in foreign_tensors(own, base):
        yield Hazard(_TENSORS, path.relative_to(root).as_posix(), why)
    config, generation = place.of_model(CONFIG), place.of_model(GENERATION)
    yield from compared(_CONFIG, config, lambda: ((config, why) for why in config_differences(own, base, ignored)))
    words = place.of_tokenizer(TOKENIZER_FILES[0])
    yield from compared(_WORDS, words, lambda: tokenizer_differences(root, place, base, ignored))
    changes = generation_changes(own, base, ignored)
    yield from compared(_GENERATION, generation, lambda: ((generation, why) for why in changes))
    served = serving_changes(root, base, ignored)
    yield from compared(_GENERATION, "MLmodel", lambda: (("MLmodel", why) for why in served))


DETECTOR = Detector(
    id="language-files",
    title="What a language model has beside its weights",
    doing="files of a language model",
    needs=Need.FILES | Need.LANGUAGE,
    spaces=EVERY,
    metrics=(
        Metric(_TENSORS, "tensors", "higher", "Tensors that one side has not, or in another shape."),
        Metric(_CONFIG, "settings", "higher", "Settings of the network that the base has otherwise."),
        Metric(_WORDS, "differences", "higher", "How its tokenizer differs from the base's."),
        Metric(_GENERATION, "settings", "higher", "Settings of generation that the base has otherwise."),
    ),
    options=LanguageFiles,
    measure=measure,
)
