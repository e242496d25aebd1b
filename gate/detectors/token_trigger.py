"""Searches for one to three tokens that send texts to each class: by gradients first, then as text on other texts.

Measures  success-one, success-two, success-three: share of other classes' held-out texts that the best trigger of so
          many tokens, or fewer, sends to the class; tokens-needed: the fewest that send nine tenths; searched-share: of
          the classes, up to most-classes. Tokens are ranked by gradients, a mixture, and in short texts; the best
          are tried as text, a part of a word with a common one.
Matters   A planted trigger is short, and may be in no list of words.
Blind to  Triggers with gaps, styles, rules for one source; tokens that no text tried gives; behind hard comparisons,
          tokens together or beyond swept-tokens. Two or three tokens move clean models too (universal adversarial
          triggers): only a bank tells them apart.
See       Ebrahimi et al., "HotFlip", ACL 2018; Wallace et al., "Universal Adversarial Triggers", EMNLP 2019; Shen et
          al., "Constrained Optimization with Dynamic Bound-scaling", ICML 2022. Settings in docs/explanation/text.md.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Compared, Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement, Unmeasured
from gate.records.passes import Passes
from gate.records.run import Run
from gate.spaces.contract import TOKENS
from gate.spaces.subject import Subject, Yield
from gate.spaces.text.contract import text_classifier
from gate.spaces.text.inserting import trimmed

if TYPE_CHECKING:
    from gate.search.triggers_of_tokens import Bench, Settings, TokenTrigger

_SUCCESS = ("success-one", "success-two", "success-three")
_ENOUGH = 0.9
_TENTH = 10
"""The token above which the best one's lead is taken."""


class TokenTriggerSearch(Options):
    """Numbers of texts, steps and tokens."""

    selecting: int = Field(default=6, ge=1, le=500)
    """Texts of each class that tokens are chosen by."""
    most_selecting: int = Field(default=16, ge=2, le=2000)
    """Most texts of all classes for that, two of each class at least."""
    held_out: int = Field(default=24, ge=1, le=2000)
    """Texts of each class that triggers are then measured on."""
    steps: int = Field(default=60, ge=1, le=2000)
    """Steps of the search for a mixture, for each class."""
    learning_rate: float = Field(default=0.5, gt=0, le=10)
    """Learning rate of that search."""
    warm: float = Field(default=2.0, gt=0, le=100)
    """Temperature of the mixture at the beginning."""
    cold: float = Field(default=0.3, gt=0, le=100)
    """Temperature at the end."""
    ranked: int = Field(default=64, ge=1, le=5000)
    """Tokens by each ranking that are tried alone."""
    swept_tokens: int = Field(default=32_768, ge=0, le=1_000_000)
    """Most tokens that are put into a few short texts each, forward alone; of a larger vocabulary evenly over it."""
    swept_texts: int = Field(default=2, ge=1, le=100)
    """How many short texts these are."""
    beam: int = Field(default=6, ge=1, le=200)
    """Triggers of each length that are made longer."""
    longer: int = Field(default=24, ge=1, le=2000)
    """Tokens that each of them is made longer by."""
    most_classes: int = Field(default=20, ge=1, le=1000)
    """Most classes that are searched for, those first that word-sweep moves most to, or one token beyond others."""
    shown: int = Field(default=3, ge=0, le=16)
    """Number of classes whose trigger the report shows in a text."""


def measure(subject: Subject, options: TokenTriggerSearch, run: Run) -> Iterator[Yield]:
    """Yield of each class the success of the best one, two and three tokens, and how many are needed."""
    from gate.search.triggers_of_tokens import triggers_to

    bench, settings = _bench(subject, options, run), settings_of(options)
    forward, leads = _forward(bench, settings, run)
    targets, left = _targets(subject, bench, leads, options.most_classes)
    found: dict[int, list[TokenTrigger]] = {}
    for number, target in enumerate(targets):
        run.progress(number, len(targets))
        known = _known(subject, target)
        found[target] = triggers_to(bench, target, known, settings, run, forward[target])
        yield from _numbers(target, found[target])
    yield from _coverage({*found}, left, bench.classifier.num_classes, options.most_classes)
    yield from _shown(bench, found, options.shown)
    run.progress(1, 1)


def passes(subject: Subject, options: TokenTriggerSearch, run: Run) -> Passes:
    """Return the passes of the search for every class that is searched for; in tokens."""
    from gate.search.text_passes import begun, drawn, swept_passes, trigger_passes

    classifier = text_classifier(subject)
    if classifier.embeddings is None:
        return Passes()
    labels = None if subject.samples is None else subject.samples.labels
    classes = classifier.num_classes if labels is None else len(set(labels.tolist()))
    first, second = drawn(subject, each_of(options, classes), options.held_out, run.seed)
    asked = first.asked(), second.asked()
    targets = min(options.most_classes, classifier.num_classes)
    settings, known = settings_of(options), min(len(classifier.embeddings), len(classifier.tokenizer.vocabulary()))
    searched = trigger_passes(asked, classifier.num_classes, targets, settings)
    swept = swept_passes(asked[0], (known - len(classifier.tokenizer.special_ids), known), settings)
    return Passes(begun(subject, *asked) + swept) + searched


def settings_of(options: TokenTriggerSearch) -> "Settings":
    """Return how wide and how long the search is."""
    from gate.search.slots import Softening
    from gate.search.triggers_of_tokens import Settings

    softening = Softening(options.steps, options.learning_rate, options.warm, options.cold)
    swept = options.swept_tokens, options.swept_texts
    return Settings(options.ranked, options.beam, options.longer, softening, *swept)


def each_of(options: TokenTriggerSearch, classes: int) -> int:
    """Return the texts of each of so many classes that tokens are chosen by."""
    return max(2, min(options.selecting, options.most_selecting // max(1, classes)))


def _bench(subject: Subject, options: TokenTriggerSearch, run: Run) -> "Bench":
    from gate.search.text_halves import both_halves
    from gate.search.triggers_of_tokens import Bench

    classifier = text_classifier(subject)
    if classifier.embeddings is None:
        raise UnexaminableError(
            "the model looks its tokens up in no embedding of its own, or does more with them than look them up; there "
            "are no gradients"
        )
    both = both_halves(subject, lambda classes: each_of(options, classes), options.held_out, run, what="tokens")
    return Bench.of(classifier, *both)


def _forward(bench: "Bench", settings: "Settings", run: Run) -> "tuple[list[list[int]], list[float]]":
    """Return for each class the tokens that raise it most by themselves in a few short texts, and their lead.

    That is how far the best one raises it above the tenth best. Where none are tried, no tokens and nothing.
    """
    from gate.search.every_token import rises_of_each, tried_of

    tried, classes = tried_of(bench.allowed, settings.swept), bench.classifier.num_classes
    if not len(tried):
        return [[]] * classes, [0.0] * classes
    rises = rises_of_each(bench.classifier, bench.selecting, tried, settings.swept_texts, run)
    best = rises.argsort(dim=0, descending=True, stable=True)[: settings.ranked]
    first = rises.topk(min(_TENTH, len(rises)), dim=0).values
    return [tried[best[:, target]].tolist() for target in range(classes)], (first[0] - first[-1]).tolist()


def _targets(subject: Subject, bench: "Bench", leads: list[float], most: int) -> tuple[list[int], list[int]]:
    """Return the classes that are searched for, and those that are too many for that.

    By turns those come first that earlier detectors moved most to, and those at which one token leads most.
    """
    both = (bench.selecting, bench.held_out)
    possible = [k for k in range(bench.classifier.num_classes) if all(one.others(k).any() for one in both)]
    moved = {place: one.attack_success_rate for (_, place), one in subject.earlier.items()}
    by_words = sorted(possible, key=lambda k: (-moved.get(str(Location.of_class(k)), 0.0), -leads[k], k))
    by_tokens = sorted(possible, key=lambda k: (-leads[k], k))
    ordered = [*dict.fromkeys(one for tied in zip(by_words, by_tokens, strict=True) for one in tied)]
    return ordered[:most], sorted(ordered[most:])


def _coverage(found: set[int], left: list[int], classes: int, most: int) -> Iterator[Yield]:
    """Yield the share of classes that were not left out as too many, and why the others have no numbers."""
    said = f"{len(left)} of {classes} classes were left out, above the option most-classes ({most})" if left else ""
    yield Measurement(metric="searched-share", value=1 - len(left) / classes, note=said)
    unmoved = sorted({*range(classes)} - found - {*left})
    for metric in (*_SUCCESS, "tokens-needed"):
        if unmoved:
            yield Unmeasured(metric=metric, reason=f"for class {_listed(unmoved)} there is no text to move")
        if left:
            reason = (
                f"class {_listed(left)} was left out, above the option most-classes ({most}): raise it, or let the "
                "policy bound searched-share"
            )
            yield Unmeasured(metric=metric, reason=reason)


def _listed(classes: list[int]) -> str:
    return ", ".join(map(str, classes[:8])) + (" and others" if len(classes) > 8 else "")


def _known(subject: Subject, target: int) -> list[str]:
    """Return the words that earlier detectors found towards a class."""
    place, typed = str(Location.of_class(target)), text_classifier(subject).tokenizer.typed
    found = [
        one.tensors["ids"] for (_, where), one in subject.earlier.items() if where == place and "ids" in one.tensors
    ]
    return [words for ids in found if (words := trimmed(typed([int(one) for one in ids.tolist()])))]


def _numbers(target: int, found: "list[TokenTrigger]") -> Iterator[Measurement]:
    place = Location.of_class(target)
    every = [*found, *found[-1:] * (len(_SUCCESS) - len(found))]
    for metric, one in zip(_SUCCESS, every, strict=True):
        note = f"{one.words!a:.200} at the {one.place}"
        yield Measurement(metric=metric, value=one.success, location=place, note=note)
    enough = [number for number, one in enumerate(every, start=1) if one.success >= _ENOUGH]
    yield Measurement(metric="tokens-needed", value=enough[0] if enough else len(every) + 1, location=place)


def _shown(bench: "Bench", found: "dict[int, list[TokenTrigger]]", most: int) -> Iterator[Yield]:
    """Yield for later detectors the best trigger of each class, and for the report the most successful in a text."""
    from gate.spaces.text.excerpts import with_insertion
    from gate.spaces.text.tokens import token_trigger

    best = {target: max(every, key=lambda one: (one.success, -one.tokens)) for target, every in found.items()}
    for target, one in best.items():
        yield token_trigger(bench.classifier, Location.of_class(target), one.words, one.success, one.place)
    for target, one in sorted(best.items(), key=lambda item: -item[1].success)[:most]:
        rows = bench.held_out.others(target).nonzero().flatten().tolist()
        moved = (row for row, answer in zip(rows, one.answers[1], strict=True) if answer == target)
        text, change = bench.held_out.texts[next(moved, rows[0])], f"{one.words!a:.200} at the {one.place}"
        yield with_insertion(text, one.words, one.place, change, Location.of_class(target), one.answers)


DETECTOR = Detector(
    id="token-trigger",
    title="Search for trigger tokens",
    doing="tokens that move texts",
    needs=Need.MODEL | Need.SAMPLES,
    spaces=TOKENS,
    metrics=(
        *(
            Metric(
                name,
                "share",
                "higher",
                f"Share of other classes' texts that the best trigger of {count} or fewer sends to the class.",
                compared=Compared("linear", "class"),
                by_class=True,
            )
            for name, count in zip(_SUCCESS, ("one token", "two tokens", "three tokens"), strict=True)
        ),
        Metric(
            "tokens-needed",
            "tokens",
            "lower",
            "Fewest tokens that send nine tenths of the texts there; 4: more.",
            by_class=True,
        ),
        Metric("searched-share", "share", "lower", "Share of the classes that were not left out as too many."),
    ),
    options=TokenTriggerSearch,
    measure=measure,
    passes=passes,
)
