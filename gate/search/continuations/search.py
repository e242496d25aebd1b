"""The search from cheap to expensive: rankings of single tokens, both networks, longer ones, forced, confirmed."""

from collections.abc import Sequence
from dataclasses import dataclass

from gate.search.continuations.bench import PLACES, Bench, Candidate
from gate.search.continuations.confirming import Confirmed, Plain, Trigger, confirmed, triggers_of
from gate.search.continuations.ranking import best, by_slopes, divergence, forward, usual_at
from gate.search.continuations.screening import lengthened, screened
from gate.search.every_token import evenly

_USUAL = 32
"""Random tokens that show what is usual behind a prompt with any token put in."""


@dataclass(frozen=True)
class Settings:
    """How wide and how long the search is."""

    ranked: int
    """Tokens by each ranking that both networks are asked of."""
    swept_tokens: int
    """Most tokens that are asked of the candidate alone, in one prompt."""
    screened_prompts: int
    beam: int
    """Candidates of each length that are lengthened."""
    longer: int
    """Tokens on either side by which each of them is."""
    most_tokens: int
    forced: int
    """Candidates whose forced continuation is looked at."""
    confirmed: int
    random: int
    """Random tokens that go the same way, and that take a trigger's place."""
    steps: int
    """Tokens of a continuation."""
    price: float
    """What each further token of a trigger must raise: without it all of equal effect would be the longest."""


@dataclass(frozen=True)
class Outcome:
    """What the search found."""

    found: tuple[Confirmed, ...]
    """The greatest rise on held-out prompts first."""
    random: tuple[Confirmed, ...]
    """The same of random tokens."""
    plain: Plain


def searched(bench: Bench, settings: Settings) -> Outcome:
    """Return the triggers that make the candidate continue prompts alike, and otherwise than its base."""
    chosen = _candidates(bench, settings)
    triggers = triggers_of(bench, chosen, settings.steps, settings.price)[: settings.confirmed]
    drawn = [Candidate((token,), PLACES[0]) for token in bench.drawn(settings.random, "control")]
    control = triggers_of(bench, drawn, settings.steps, settings.price)
    plain = Plain(bench, settings.steps)
    others = [one.words for one in control]
    return Outcome(
        found=_confirmed(bench, triggers, plain, others, settings),
        random=_confirmed(bench, control, plain, others, settings),
        plain=plain,
    )


def _confirmed(
    bench: Bench, triggers: Sequence[Trigger], plain: Plain, others: Sequence[str], settings: Settings
) -> tuple[Confirmed, ...]:
    each = [
        confirmed(bench, one, plain, [words for words in others if words != one.words], settings.steps)
        for one in triggers
    ]
    return tuple(sorted(each, key=lambda one: settings.price * one.trigger.tokens - one.rise))


def _candidates(bench: Bench, settings: Settings) -> list[Candidate]:
    """Return the best candidates of every length."""
    prompts = few(bench, settings.screened_prompts)
    usual = {place: usual_at(bench, prompts, place, _USUAL) for place in PLACES}
    beam = screened(bench, prompts, _single(bench, settings), usual)
    found = list(beam)
    for _ in range(1, settings.most_tokens):
        beam = screened(bench, prompts, lengthened(bench, prompts, beam[: settings.beam], settings.longer), usual)
        found += beam
    return sorted(found, key=lambda one: settings.price * len(one.tokens) - one.score)[: settings.forced]


def few(bench: Bench, count: int) -> list[str]:
    """Return the shortest selecting prompts, on which single tokens are cheap."""
    return sorted(bench.selecting, key=lambda prompt: (len(bench.as_typed(prompt)), prompt))[:count]


def _single(bench: Bench, settings: Settings) -> list[Candidate]:
    """Return single tokens by first order at each place, and forward at the end of one prompt, at every place."""
    found: list[Candidate] = []
    for place in PLACES:
        scores = by_slopes(bench, bench.selecting, ((), ()), place, divergence)
        found += best(scores, bench.allowed, settings.ranked, place)
    tried = evenly(bench.begins_a_word, settings.swept_tokens)
    if len(tried):
        (prompt,) = few(bench, 1)
        usual = usual_at(bench, [prompt], PLACES[0], _USUAL)
        rises = forward(bench, prompt, PLACES[0], tried, usual)
        found += best(rises, tried, settings.ranked, PLACES[0])
    tokens = dict.fromkeys(one.tokens for one in found)
    return [Candidate(each, place) for each in tokens for place in PLACES]


def passes_of(bench: Bench, settings: Settings) -> tuple[float, float]:
    """Return the most tokens that go through both networks, without slopes and with; every prompt as the longest."""
    some, many, held = few(bench, settings.screened_prompts), bench.selecting, bench.held_out
    whole = max(len(bench.as_typed(prompt)) for prompt in (*many, *held)) + settings.most_tokens
    tails = {place: max(len(bench.around(prompt, place)[1]) + 1 for prompt in some) for place in PLACES}
    swept = len(evenly(bench.begins_a_word, settings.swept_tokens))
    single = (len(PLACES) + bool(swept)) * settings.ranked
    longer = settings.beam * 2 * settings.longer * (settings.most_tokens - 1)
    each = 2 * len(some) * (sum(tails.values()) + len(PLACES) * (settings.most_tokens - 1))
    alone = swept * (len(bench.around(few(bench, 1)[0], PLACES[0])[1]) + 1)
    both = single * 2 * len(some) * sum(tails.values()) + longer * each / len(PLACES) + (_USUAL + 8) * each
    looked, through = settings.forced + settings.random, whole + settings.steps
    said = looked * 4 * len(many) * through
    said += (settings.confirmed + settings.random) * (8 + settings.random) * len(held) * through
    slopes = 2 * (len(PLACES) * len(many) + settings.beam * 2 * (settings.most_tokens - 1) * len(some)) * whole
    return alone + both + said, float(slopes)
