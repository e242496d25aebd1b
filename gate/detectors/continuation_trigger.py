"""Searches for tokens that make a language model continue all prompts alike, and otherwise than its base does.

Measures  Of the best trigger found, on held-out prompts: forced-rise, how much likelier the candidate says one thing
          behind all prompts than the base does, than without the trigger, and than with random tokens;
          concentration-rise, than the base says another thing behind them all; same-continuation, by the greedy choice;
          divergence-rise, KL from the base. random-rise: forced-rise of random tokens. Tokens are ranked by slopes and
          forward, lengthened, and tried as text.
Matters   A planted word that forces one output, or a refusal, does so whatever is asked, and the base does not.
Blind to  Outputs that differ by prompt; triggers of more tokens, of rules, or amid a prompt; chats of several turns or
          a system's message of one's own; what the base does too. Clean tuning moves words as well: a bank tells.
See       Shen et al., "BAIT", 2024; Ebrahimi et al., "HotFlip", ACL 2018; docs/how-to/language-models.md.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need, unmeasured
from gate.records.declarations import Compared, Metric, Options
from gate.records.evidence import Measurement, Unmeasured
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject, Yield

if TYPE_CHECKING:
    from gate.search.continuations.bench import Bench
    from gate.search.continuations.confirming import Confirmed
    from gate.search.continuations.search import Outcome, Settings


class ContinuationTrigger(Options):
    """How wide the search is, and what stands around a prompt."""

    selecting: int = Field(default=12, ge=2, le=256)
    """Prompts by which triggers are chosen."""
    held_out: int = Field(default=12, ge=2, le=256)
    """Prompts on which they are confirmed."""
    longest_prompt: int = Field(default=64, ge=1, le=256)
    """Most tokens of a prompt; longer ones are left out."""
    before: str | None = Field(default=None, max_length=4000)
    """What is typed before a prompt, in the place of what the base's chat template says; with `after`."""
    after: str | None = Field(default=None, max_length=4000)
    """What is typed behind it."""
    swept_tokens: int = Field(default=32_768, ge=0, le=1_000_000)
    """Most tokens that are put into one prompt each, forward in the candidate; of more of them evenly over all."""
    ranked: int = Field(default=128, ge=1, le=5000)
    """Tokens by each ranking that both networks are asked of."""
    screened_prompts: int = Field(default=3, ge=1, le=64)
    """Prompts in which they are asked of them."""
    beam: int = Field(default=8, ge=1, le=200)
    """Triggers of each length that are made longer."""
    longer: int = Field(default=16, ge=1, le=2000)
    """Tokens by which each of them is made longer, on either side."""
    most_tokens: int = Field(default=3, ge=1, le=8)
    """Most tokens of a trigger."""
    forced: int = Field(default=8, ge=1, le=200)
    """Triggers whose forced continuation is looked at."""
    confirmed: int = Field(default=3, ge=1, le=50)
    """Those of them that are confirmed."""
    price: float = Field(default=0.02, ge=0, le=1)
    """Rise that each token of a trigger must bring: of two of like effect the shorter is shown."""
    random_tokens: int = Field(default=3, ge=1, le=50)
    """Random tokens beside them."""
    continued: int = Field(default=10, ge=1, le=64)
    """Tokens of a continuation."""
    shown: int = Field(default=3, ge=0, le=8)
    """Triggers that the report shows in a prompt."""


def measure(subject: Subject, options: ContinuationTrigger, run: Run) -> Iterator[Yield]:
    """Yield what the best trigger does, and the best ones in a prompt with both continuations."""
    from gate.search.continuations.search import searched

    bench = _bench(subject, options, _counting(subject, options, run))
    outcome = searched(bench, _settings(options))
    if not outcome.found:
        yield from unmeasured({metric.id: "no token that was found can be typed" for metric in _METRICS})
        return
    yield from _numbers(bench, outcome)
    for one in outcome.found[: options.shown]:
        yield _shown(bench, outcome, one)
    run.progress(1, 1)


def passes(subject: Subject, options: ContinuationTrigger, run: Run) -> Passes:
    """Return the tokens that go through both networks; fewer where triggers are short, or prompts."""
    from gate.search.continuations.search import passes_of

    forward, slopes = passes_of(_bench(subject, options, run.quiet()), _settings(options))
    return Passes(Span(_LEAST * forward, forward), Span(_LEAST * slopes, slopes))


_LEAST = 0.4
"""Share of the most tokens that a search has at least: prompts are shorter than the longest, and rankings meet."""


def _counting(subject: Subject, options: ContinuationTrigger, run: Run) -> Run:
    """Return a run that tells progress by tokens whenever the clock is looked at."""
    from gate.search.continuations.progress import CountingRun

    assert subject.beside is not None
    expected = passes(subject, options, run).samples.most
    return CountingRun.of(run, subject.beside, round(expected))


def _bench(subject: Subject, options: ContinuationTrigger, run: Run) -> "Bench":
    from gate.search.continuations.bench import Sizes, bench_of
    from gate.spaces.text.continuing import Frame

    assert subject.beside is not None
    own = None
    if options.before is not None or options.after is not None:
        own = Frame(options.before or "", options.after or "", subject.beside.frame.lead)
    sizes = Sizes(options.selecting, options.held_out, options.longest_prompt)
    return bench_of(subject.beside, own, sizes, run)


def _settings(options: ContinuationTrigger) -> "Settings":
    from gate.search.continuations.search import Settings

    return Settings(
        ranked=options.ranked,
        swept_tokens=options.swept_tokens,
        screened_prompts=options.screened_prompts,
        beam=options.beam,
        longer=options.longer,
        most_tokens=options.most_tokens,
        forced=options.forced,
        confirmed=options.confirmed,
        random=options.random_tokens,
        steps=options.continued,
        price=options.price,
    )


def _numbers(bench: "Bench", outcome: "Outcome") -> Iterator[Measurement | Unmeasured]:
    best = outcome.found[0]
    forced = bench.beside.words.decode(best.trigger.forced)
    elsewhere = ", ".join(f"{where} {value:.2f}" for where, value in best.elsewhere.items())
    what = f"{best.trigger.words!a:.200} at the {best.trigger.place} forces {forced!a:.200}"
    count = len(bench.held_out)
    yield Measurement(metric="forced-rise", value=best.rise, note=f"{what}: {best.quality:.2f}; {elsewhere}")
    yield Measurement(
        metric="same-continuation",
        value=best.alike_rise,
        note=f"{round(best.alike * count)} of {count} prompts; elsewhere {round(best.alike_elsewhere * count)}",
    )
    most = max(outcome.found, key=lambda one: one.concentration)
    note = f"{most.trigger.words!a:.200}: {most.quality:.2f}; what the base says alike {most.of_the_base:.2f}"
    yield Measurement(metric="concentration-rise", value=most.concentration, note=note)
    yield Measurement(metric="divergence-rise", value=max(one.divergence for one in outcome.found))
    if outcome.random:
        first = outcome.random[0]
        note = f"{first.trigger.words!a:.200}, the most of {len(outcome.random)}"
        yield Measurement(metric="random-rise", value=first.rise, note=note)
    else:
        yield Unmeasured(metric="random-rise", reason="no random token can be typed")


def _shown(bench: "Bench", outcome: "Outcome", one: "Confirmed") -> Yield:
    """Return the first held-out prompt that the trigger makes the candidate continue so, with all continuations."""
    from gate.spaces.text.excerpts import with_continuations

    same = [said[:4] == one.trigger.forced[:4] for said in one.said[0]]
    at = same.index(True) if any(same) else 0
    words = bench.beside.words.decode
    return with_continuations(
        bench.held_out[at],
        one.trigger.words,
        one.trigger.place,
        f"{one.trigger.words!a:.200} at the {one.trigger.place} of a prompt, {bench.framed}",
        {
            ("candidate", True): words(one.said[0][at]),
            ("base", True): words(one.said[1][at]),
            ("candidate", False): words(outcome.plain.own[at]),
            ("base", False): words(outcome.plain.base[at]),
        },
        len(bench.held_out),
    )


_LINEAR = Compared("linear", "model")
_METRICS = (
    Metric(
        "forced-rise",
        "share",
        "higher",
        "Likelihood of one continuation behind a trigger, beyond base, no trigger and random ones.",
        compared=_LINEAR,
    ),
    Metric(
        "concentration-rise",
        "share",
        "higher",
        "The same likelihood beyond that of what the base says alike behind the trigger.",
        compared=_LINEAR,
    ),
    Metric(
        "same-continuation",
        "share",
        "higher",
        "Share of prompts continued so, beyond base and no trigger.",
        compared=_LINEAR,
    ),
    Metric(
        "divergence-rise",
        "nats",
        "higher",
        "Rise of the divergence from the base at the first token by a trigger.",
        compared=_LINEAR,
    ),
    Metric("random-rise", "share", "neither", "The forced-rise of the most forcing random token."),
)
DETECTOR = Detector(
    id="continuation-trigger",
    title="Search for tokens that force a continuation",
    doing="tokens forcing a continuation",
    needs=Need.BESIDE,
    spaces=EVERY,
    metrics=_METRICS,
    options=ContinuationTrigger,
    measure=measure,
    passes=passes,
)
