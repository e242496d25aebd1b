"""The form that is chosen agrees with the program, and is quicker by the clock that it is given."""

from dataclasses import replace

import pytest
import torch
from exported_families import export, make, samples

from gate.programs import batched, logits_name, read_program
from gate.programs.quick import Quick, agreement, choose, forms
from gate.programs.quick import choose as function

CHOOSING = __import__("sys").modules[function.__module__]


@pytest.fixture
def net(tmp_path, monkeypatch):
    """Return a ResNet's program, its samples, and no least size."""
    monkeypatch.setattr(CHOOSING, "LEAST_FLOPS", 0.0)
    monkeypatch.setattr(forms, "has_bfloat16", lambda _device: True)
    model, shape = make("resnet")
    x = samples(shape, 8)
    return batched(read_program(export(model, shape, tmp_path / "model.pt2")), x), x


def rates(**known):
    """Return a clock by precision and layout: quick forms have an attribute `precision`, programs have none."""

    def rate(form, _given, _gradients):
        return known.get(f"{form.precision}{' last' if form.channels_last else ''}" if hasattr(form, "precision")
                         else "read", 1.0)  # fmt: skip

    return rate


def chosen(body, x, **known):
    """Return what is chosen by a clock of these rates."""
    return choose(body, logits_name(body.program), x, rate=rates(**known))


def test_the_quickest_form_is_taken(net):
    """With its rate and that of the program as read, which the report shows."""
    found = chosen(*net, read=10.0, float32=20.0, **{"float32 last": 15.0, "bfloat16": 22.0})
    assert isinstance(found, Quick)
    assert (found.forward.precision, found.forward.rate, found.forward.own) == ("float32", 20.0, 10.0)
    assert str(found) == "float32 (2.0 times as quick as read); with gradients float32 (2.0 times as quick as read)"


def test_bfloat16_must_gain_a_quarter(net):
    """Rounding is not taken for less."""
    assert chosen(*net, float32=20.0, bfloat16=24.9).forward.precision == "float32"
    assert chosen(*net, float32=20.0, bfloat16=25.1).forward.precision == "bfloat16"


def test_no_form_is_taken_that_is_slower_than_the_program_as_read(net):
    """A folded graph in another layout may be: then the program stays as it is."""
    assert chosen(*net, read=30.0) is None


def test_passes_without_and_with_gradients_are_chosen_apart(net):
    """And the call takes the one that the caller's gradients need."""
    body, x = net

    def rate(form, _given, gradients):
        narrow = getattr(form, "precision", "") == "bfloat16"
        return 1.0 if not hasattr(form, "precision") else (9.0 if narrow != gradients else 3.0)

    found = choose(body, logits_name(body.program), x, rate=rate)
    assert (found.forward.precision, found.slopes.precision) == ("bfloat16", "float32")
    exact = body(x)
    assert not torch.equal(found(x), exact)
    torch.testing.assert_close(found(x.clone().requires_grad_()).detach(), exact, rtol=1e-4, atol=1e-5)


def test_a_form_that_answers_otherwise_is_never_taken(net, monkeypatch):
    """However quick: its scores differ by more than rounding."""
    wrong = forms.fused

    def broken(program, keep):
        made = wrong(program, keep)
        name = next(name for name in made.tensors if name.endswith("folded_bias"))
        return replace(made, tensors={**made.tensors, name: made.tensors[name] + 1})

    monkeypatch.setattr(forms, "fused", broken)
    assert chosen(*net, read=1.0, float32=50.0, bfloat16=90.0) is None


def test_a_batch_is_cut_into_what_the_caches_hold_and_comes_back_whole(net):
    """In order, for any number of samples."""
    body, x = net
    found = chosen(body, x, **{"float32 last": 5.0})
    many = x.repeat(5, 1, 1, 1)
    torch.testing.assert_close(found(many), body(many), rtol=1e-4, atol=1e-5)


def test_a_small_net_and_samples_that_run_alone_keep_the_program(net, monkeypatch):
    """There is nothing to gain, or no batch to run."""
    body, x = net
    assert choose(type(body)(body.program, "per-sample"), logits_name(body.program), x) is None
    monkeypatch.undo()
    assert choose(body, logits_name(body.program), x) is None


def test_a_real_clock_chooses_a_form_that_agrees(net):
    """Whichever it is on this machine."""
    body, x = net
    found = choose(body, logits_name(body.program), x) or body
    assert (found(x).argmax(1) == body(x).argmax(1)).float().mean() >= 0.75


def test_passes_without_gradients_need_scores_alone_to_agree(net, monkeypatch):
    """A form whose gradients point elsewhere runs forward passes; those with gradients keep what agrees."""
    body, x = net
    monkeypatch.setattr(agreement, "_NARROW_ALIKE", 1.1)
    found = chosen(body, x, read=1.0, float32=10.0, bfloat16=30.0)
    assert (found.forward.precision, found.slopes.precision) == ("bfloat16", "float32")


def test_a_form_is_known_by_the_best_of_its_rounds(net, monkeypatch):
    """Other work on the machine that slowed one of them does not choose."""
    monkeypatch.setattr(CHOOSING, "_ENOUGH", float("inf"))
    slowed = iter([0.1, 0.1, 0.1])

    def rate(form, _given, _gradients):
        if getattr(form, "precision", "") != "bfloat16":
            return 2.0
        return next(slowed, 4.0)

    assert choose(net[0], logits_name(net[0].program), net[1], rate=rate).forward.precision == "bfloat16"


def test_a_form_that_chooses_otherwise_runs_no_passes_forward(net, monkeypatch):
    """Its scores are near, and still a class in fifty may be another where classes meet; gradients are searched by."""
    body, x = net
    monkeypatch.setattr(agreement, "_same_choices", lambda *_: torch.tensor([True] * 48 + [False]))
    found = chosen(body, x, read=1.0, float32=10.0, bfloat16=30.0)
    assert (found.forward.precision, found.slopes.precision) == ("float32", "bfloat16")
    monkeypatch.setattr(agreement, "_same_choices", lambda *_: torch.tensor([True] * 50 + [False]))
    assert chosen(body, x, read=1.0, float32=10.0, bfloat16=30.0).forward.precision == "bfloat16"


def test_first_choices_are_compared_on_samples_and_mixtures_of_them(net, monkeypatch):
    """A probe moves samples towards where classes meet."""
    body, x = net
    compared, seen = agreement._same_choices, []
    monkeypatch.setattr(agreement, "_same_choices", lambda *given: seen.append(given[2][0]) or compared(*given))
    chosen(body, x, read=1.0, float32=10.0, bfloat16=30.0)
    assert torch.equal(seen[0], x)
    torch.testing.assert_close(seen[1][1], 0.7 * x[1] + 0.3 * x[0])
