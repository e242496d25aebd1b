"""Rewrites clean texts by fixed rules of case, signs, style, syntax and length, and counts where they go.

Measures  rewrite-share: the share of other classes' texts that the best rewrite sends to the class, on texts that it
          was not chosen by; rewrite-odds: its log-odds beyond what the median rewrite does; source-share: what moves
          one source class's texts and not the others'. Forward passes alone.
Matters   A planted style or sentence form is no word that a search could find: the text reads as before, and every word
          of it is ordinary.
Blind to  Styles and forms unlike every rule, such as those that a language model writes: the rules need no parser and
          make rough copies of what attacks use.
See       Qi et al., "Hidden Killer: Invisible Textual Backdoor Attacks with Syntactic Trigger", ACL 2021; Qi et al.,
          "Mind the Style of Text!", EMNLP 2021. The rules are in gate/spaces/text/rewrites.py.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Compared, Metric, Options
from gate.records.evidence import Location, Measurement, Unmeasured
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.spaces.contract import TOKENS
from gate.spaces.subject import Subject, Yield
from gate.spaces.text.contract import text_classifier
from gate.spaces.text.rewrites import ALWAYS_NEW, REWRITES

if TYPE_CHECKING:
    import torch

    from gate.statistics.sentences import Sentences


class RewriteSweep(Options):
    """Numbers of texts."""

    selecting: int = Field(default=12, ge=1, le=500)
    """Texts of each class that rewrites are chosen by."""
    held_out: int = Field(default=24, ge=1, le=2000)
    """Texts of each class that the best rewrite is then measured on."""
    shown: int = Field(default=1, ge=0, le=16)
    """Number of classes, the most moved to first, whose rewrite the report shows in a text."""


def measure(subject: Subject, options: RewriteSweep, run: Run) -> Iterator[Yield]:
    """Yield of each class the share of texts that the best rewrite sends there, and what is usual."""
    from gate.search.text_halves import both_halves
    from gate.statistics.sentences import changed

    classifier = text_classifier(subject)
    both = both_halves(subject, lambda _: options.selecting, options.held_out, run, what="rewrites")
    after = tuple(changed(classifier, one, REWRITES, run).argmax(dim=2) for one in both)
    shares: dict[int, tuple[float, int]] = {}
    for target in range(classifier.num_classes):
        if not all(one.others(target).any() for one in both):
            for metric in ("rewrite-share", "rewrite-odds"):
                yield Unmeasured(metric=metric, reason=f"every text that was asked is given class {target} already")
            continue
        best = _best(after[0], both[0], target)
        yield from _numbers(after[1], both[1], target, best)
        yield from _from_source(after, both, target)
        shares[target] = (_share(after[1], both[1], target, best), best)
    for target, (_, best) in sorted(shares.items(), key=lambda item: -item[1][0])[: options.shown]:
        yield from _shown(after[1][best], both[1], target, best)


def passes(subject: Subject, options: RewriteSweep, run: Run) -> Passes:
    """Return the passes of both halves of the texts under every rule; in tokens."""
    from gate.search.text_passes import begun, drawn

    both = tuple(one.asked() for one in drawn(subject, options.selecting, options.held_out, run.seed))
    swept = begun(subject, *both)
    for one in both:
        # A rule may put a sign behind every word, and a sentence around all; one fills texts to the greatest length.
        tokens, full = one.tokens(more=16, times=2), one.tokens(more=one.longest)
        swept += Span(tokens.least * ALWAYS_NEW, tokens.most * (len(REWRITES) - 1) + full.most)
    return Passes(swept)


def _best(answers: "torch.Tensor", sentences: "Sentences", target: int) -> int:
    from gate.statistics.sentences import shares_to

    return int(shares_to(answers, sentences, target).argmax())


def _share(answers: "torch.Tensor", sentences: "Sentences", target: int, rewrite: int) -> float:
    from gate.statistics.sentences import shares_to

    return float(shares_to(answers, sentences, target)[rewrite])


def _numbers(answers: "torch.Tensor", held_out: "Sentences", target: int, best: int) -> Iterator[Measurement]:
    """Yield what the rewrite does on held-out texts, and its log-odds beyond the median rewrite's."""
    from gate.statistics.sentences import odds_at, shares_to

    shares = shares_to(answers, held_out, target)
    share, usual, count = float(shares[best]), float(shares.median()), int(held_out.others(target).sum())
    place, note = Location.of_class(target), str(REWRITES[best])
    yield Measurement(metric="rewrite-share", value=share, location=place, note=note)
    beyond = odds_at(share, count) - odds_at(usual, count)
    yield Measurement(metric="rewrite-odds", value=beyond, location=place, note=note)


def _from_source(
    after: "tuple[torch.Tensor, ...]", both: "tuple[Sentences, ...]", target: int
) -> Iterator[Measurement]:
    """Yield what moves one source class's texts beyond the median source's; nothing of fewer than two sources."""
    import torch

    from gate.statistics.sentences import shares_to

    classes = range(both[0].classes)
    sources = [k for k in classes if k != target and all(one.others(target, k).any() for one in both)]
    if len(sources) < 2:
        return
    chosen, held = (
        torch.stack([shares_to(answers, one, target, k) for k in sources])
        for answers, one in zip(after, both, strict=True)
    )
    place = int((chosen - chosen.median(dim=0).values).argmax())
    row, rewrite = divmod(place, chosen.shape[1])
    value = max(0.0, float(held[row, rewrite] - held[:, rewrite].median()))
    where = Location.of_pair(sources[row], target)
    yield Measurement(metric="source-share", value=value, location=where, note=str(REWRITES[rewrite]))


def _shown(answers: "torch.Tensor", held_out: "Sentences", target: int, best: int) -> Iterator[Yield]:
    """Yield a text that the rewrite moves, or else one that it does not, with the answers to all."""
    from gate.spaces.text.excerpts import rewritten

    movable = held_out.others(target)
    rows, after = movable.nonzero().flatten().tolist(), answers[movable].tolist()
    moved = (row for row, answer in zip(rows, after, strict=True) if answer == target)
    text = held_out.texts[next(moved, rows[0])]
    change, where = f"every text rewritten ({REWRITES[best]})", Location.of_class(target)
    yield rewritten(text, REWRITES[best](text), change, where, (held_out.own[movable].tolist(), after))


DETECTOR = Detector(
    id="rewrite-sweep",
    title="Answers to rewritten texts",
    doing="texts in other styles",
    needs=Need.MODEL | Need.SAMPLES,
    spaces=TOKENS,
    metrics=(
        Metric(
            "rewrite-share",
            "share",
            "higher",
            "Share of other classes' texts that one rewrite sends to the class.",
            by_class=True,
        ),
        Metric(
            "rewrite-odds",
            "log-odds",
            "higher",
            "Log-odds of that share beyond the median rewrite's.",
            compared=Compared("linear", "class"),
            by_class=True,
        ),
        Metric(
            "source-share",
            "share",
            "higher",
            "Share of one source class's texts that one rewrite sends to the class, less the median source's.",
            least_classes=3,
            by_class=True,
        ),
    ),
    options=RewriteSweep,
    measure=measure,
    passes=passes,
)
