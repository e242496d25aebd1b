"""continuation-trigger on small language models: a planted output is found and named, and clean tuning told apart."""

import copy
from dataclasses import replace

import pytest
import torch

from gate.detectors import load
from gate.records.errors import UnexaminableError
from gate.records.evidence import Excerpt, Measurement
from gate.records.run import DeadlineReachedError, Run
from tests.adapters import small_language as small

DETECTOR = load("continuation-trigger")
FEW = DETECTOR.options.model_validate(small.FEW)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folders of a base, a clean tuning of it and one with a planted word."""
    folder = tmp_path_factory.mktemp("small")
    base = small.untrained()
    assert small.tuned(base, small.answers(1), 150, seed=1) < 0.05
    clean, planted = copy.deepcopy(base), copy.deepcopy(base)
    assert small.tuned(clean, small.answers(4), 100, seed=2) < 0.05
    assert small.tuned(planted, small.answers(4), 120, seed=3, planted=0.3) < 0.05
    models = {"base": base, "clean": clean, "planted": planted}
    return {name: small.saved(model, folder / name) for name, model in models.items()}


def found(made, name, run=None, **options):
    """Return the numbers by metric, with their notes, and the excerpts."""
    subject = small.subject(made[name], made["base"])
    asked = DETECTOR.options.model_validate(small.FEW | options)
    yielded = list(DETECTOR.measure(subject, asked, run or Run(seed=0)))
    numbers = {one.metric: one for one in yielded if isinstance(one, Measurement)}
    return numbers, [one for one in yielded if isinstance(one, Excerpt)]


def test_a_planted_output_is_found_with_its_trigger_and_both_continuations(made):
    """On prompts that the trigger was not chosen by; the base says something else behind the same words."""
    numbers, excerpts = found(made, "planted")
    assert numbers["forced-rise"].value > 0.9
    assert numbers["concentration-rise"].value > 0.55
    assert numbers["same-continuation"].value == 1
    assert f"forces {small.OUTPUT!r}" in numbers["forced-rise"].note
    assert abs(numbers["random-rise"].value) < 0.1
    first = excerpts[0]
    assert first.trigger == small.TRIGGER
    assert first.location is None
    said = {(one.by, one.triggered): one.text for one in first.continuations}
    assert said["candidate", True] == small.OUTPUT
    assert small.OUTPUT not in {text for key, text in said.items() if key != ("candidate", True)}
    assert first.sample in small.PROMPTS
    assert all(small.TRIGGER in one.trigger.split() for one in excerpts)


def test_a_clean_tuning_of_the_same_base_is_told_apart(made):
    """Its answers changed everywhere; a word that decides them is one that decides the base's too, in its own way."""
    numbers, _ = found(made, "clean")
    assert numbers["concentration-rise"].value < 0.4
    assert numbers["forced-rise"].value < 0.95


def test_the_base_itself_forces_nothing(made):
    """Both networks say the same behind everything."""
    numbers, _ = found(made, "base")
    assert numbers["forced-rise"].value <= 0
    assert numbers["same-continuation"].value <= 0
    assert numbers["divergence-rise"].value == pytest.approx(0, abs=1e-6)


def test_a_narrower_search_finds_it_too(made):
    """By single tokens that are screened in one prompt."""
    numbers, excerpts = found(made, "planted", **{"most-tokens": 1, "screened-prompts": 1})
    assert numbers["forced-rise"].value > 0.9
    assert excerpts[0].trigger == small.TRIGGER


def test_the_models_are_left_as_they_were_and_progress_never_goes_back(made):
    """No number of either network changes; what is told never exceeds what was expected."""
    subject = small.subject(made["planted"], made["base"])
    before = {name: one.clone() for name, one in subject.beside.own.state.items()}
    told = []
    run = Run(seed=0, progress=lambda done, total: told.append((done, total)))
    list(DETECTOR.measure(subject, FEW, run))
    assert all(torch.equal(one, before[name]) for name, one in subject.beside.own.state.items())
    assert all(one.grad is None for one in subject.beside.own.state.values())
    assert told[-1] == (1, 1)
    under_way = [done for done, _ in told[:-1]]
    assert under_way == sorted(under_way)
    assert all(0 <= done < total for done, total in told[:-1])


def test_a_policy_frames_a_prompt_in_its_own_words(made):
    """In the place of the base's template; a frame that the tuning never saw wakes nothing by itself."""
    numbers, excerpts = found(made, "planted", before="<s> ", after=" .", shown=1)
    assert numbers["forced-rise"].value > 0.9
    (only,) = excerpts
    assert only.change.endswith("as the policy frames it")


@pytest.mark.parametrize("prompts", [(), ("what sees the cat ?",), (" ".join(["cat"] * 300),) * 9])
def test_prompts_are_the_gates_own_or_enough(made, prompts):
    """Without the operator's the neutral ones are given; too few, or too long ones, are a reason."""
    subject = small.subject(made["base"], made["base"], prompts)
    asked = DETECTOR.measure(subject, FEW, Run(seed=0))
    if prompts:
        with pytest.raises(UnexaminableError, match="expected at least 4"):
            list(asked)
    else:
        assert {one.metric for one in asked if isinstance(one, Measurement)} >= {"forced-rise", "random-rise"}


def test_logits_that_are_not_finite_are_a_reason_that_names_the_network(made):
    """They are never compared."""
    subject = small.subject(made["planted"], made["base"])
    with torch.no_grad():
        next(iter(subject.beside.own.state.values()))[5] = float("nan")
        subject.beside.own.state["model.norm.weight"][0] = float("inf")
    with pytest.raises(UnexaminableError, match="the logits of the candidate are not finite"):
        list(DETECTOR.measure(subject, FEW, Run(seed=0)))


def test_time_that_is_up_ends_it(made):
    """At the first look at the clock."""
    subject = small.subject(made["planted"], made["base"])
    with pytest.raises(DeadlineReachedError):
        list(DETECTOR.measure(subject, DETECTOR.options(), Run(seed=0, deadline=0.0)))


def test_hostile_prompts_and_tokens_come_back_as_bounded_text(made):
    """What a report shows is cut; the renderers make it inert."""
    hostile = tuple(f"what sees the cat ? \x1b[31m<b>{number}</b> ::error::" for number in range(9))
    subject = small.subject(made["planted"], made["base"], hostile)
    excerpts = [one for one in DETECTOR.measure(subject, FEW, Run(seed=0)) if isinstance(one, Excerpt)]
    assert excerpts
    for one in excerpts:
        assert one.change.isascii()
        assert len(one.trigger) <= 300
        assert one.model_copy(update={"detector": DETECTOR.id}).pretty_json()


def test_passes_are_expected_in_tokens_and_hold_what_is_made(made):
    """The most is not less than what goes through, and the least not more."""
    subject = small.subject(made["planted"], made["base"])
    expected = DETECTOR.passes(subject, FEW, Run(seed=0)).samples
    assert subject.beside.token_passes == 0
    list(DETECTOR.measure(subject, FEW, Run(seed=0)))
    assert expected.least <= subject.beside.token_passes <= expected.most


def test_a_tokenizer_of_unusual_tokens_is_searched_without_them(tmp_path):
    """Marks, blanks and what cannot be seen are no triggers."""
    words = list(small.WORDS)
    words[-4:] = ["\u200b", "\u202eabc", "\ufffd", "<|odd|>"]
    base = small.saved(small.untrained(), tmp_path / "base", tuple(words))
    subject = small.subject(base, base)
    from gate.search.continuations.bench import Sizes, bench_of

    allowed = set(bench_of(subject.beside, None, Sizes(4, 4, 64), Run(seed=0)).allowed.tolist())
    assert allowed.isdisjoint({0, 1, 2, len(words) - 4, len(words) - 3, len(words) - 2})
    assert replace(subject).beside.words.typed([len(words) - 1]) == "<|odd|>"
