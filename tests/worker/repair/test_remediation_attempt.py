from dataclasses import replace

import made_up_repairs as made_up
import pytest
import torch

from gate.records.errors import UsageError
from gate.records.evidence import Location
from gate.records.repair import RepairResult
from gate.search.inversion import Settings
from gate.search.rungs import Rung
from gate.worker.repair import attempt as attempting
from gate.worker.repair import load, measuring, searching
from gate.worker.repair.attempt import attempt
from gate.worker.repair.contract import Repaired
from gate.worker.repair.fitting import halves


@pytest.fixture
def tried(monkeypatch, zoo_model, zoo_images):
    """Return a function that makes one attempt on a committed model with quick options and a search of ten steps."""
    short = Settings(rungs=(Rung(10),), batch=4)
    monkeypatch.setattr(searching, "single_settings", lambda _options: short)

    def make(method, nickname="blended", *, options=None, images=None, labels=True, triggers=True, suspects=()):
        model = zoo_model(nickname)
        samples = made_up.samples_of(images or zoo_images("scan"), labels=labels)
        material = made_up.material(model, images or zoo_images("scan"), samples=samples)
        material = material if triggers else replace(material, triggers={})
        return attempt(method, made_up.QUICK[method] if options is None else options, material, made_up.RUN, suspects)

    return make


def test_unlearning_takes_the_planted_trigger_from_a_real_model(tried, zoo_model, zoo_images):
    """The planted trigger worked before and does not afterwards, on samples kept back and on images that are others."""
    result, program = tried("trigger-unlearning", options={"steps": 40})
    assert result.status == "repaired"
    assert result.before.old_success["class 3"] > 0.9
    assert result.after.old_success["class 3"] < 0.1
    assert result.after.accuracy > 0.85
    assert result.after.accuracy_low <= result.after.accuracy <= result.after.accuracy_high
    assert result.samples_used + result.after.held_out == 200
    assert set(result.after.fresh_success) == set(result.after.fresh_size_ratio) == {"class 3"}
    assert [picture.caption for picture in result.pictures] == ["old", "fresh"]
    assert result.used_detectors == ("additive-trigger", "neural-cleanse", "probe-grid")
    assert result.changed["triggers"] == 3
    assert result.options == load("trigger-unlearning").options(steps=40).model_dump(mode="json", by_alias=True)
    assert RepairResult.from_json(result.canonical_json()) == result
    others = zoo_images("measure").take(torch.arange(100))
    assert made_up.success(program, zoo_model("blended"), others) < 0.3


def test_a_suspect_without_a_trigger_is_searched_all_the_same(tried):
    """A place named beside those with triggers gets a fresh patch, and the method that needs none is run."""
    result, program = tried("sharpness-aware-tuning", triggers=False, suspects=[Location.of_pair(1, 4)])
    assert program is not None
    assert set(result.after.fresh_success) == {"pair 1→4"}
    assert result.before.old_success == {}
    assert result.used_detectors == ("neural-cleanse",)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"labels": False}, "carry no labels"),
        ({"count": 40}, "there are 40 clean samples; a repair needs at least 50"),
        ({"without": 7}, "fewer than 2 clean samples are of class 7"),
        ({"triggers": False}, "needs an inverted trigger"),
    ],
)
def test_what_a_repair_lacks_is_said_before_anything_is_done(tried, zoo_images, given, reason):
    """Too few samples, missing labels, a class without samples and a missing trigger each have their sentence."""
    images = zoo_images("scan")
    if "count" in given:
        images = images.take(torch.arange(given["count"]))
    if "without" in given:
        images = images.take(images.labels != given["without"])
    result, program = tried(
        "trigger-unlearning", images=images, labels=given.get("labels", True), triggers=given.get("triggers", True)
    )
    assert (result.status, program) == ("does-not-fit", None)
    assert reason in result.reason


def test_a_method_that_changes_nothing_does_not_fit(tried, monkeypatch):
    """What leaves the model as it is is said to, instead of being measured."""
    real = load("sharpness-aware-tuning")
    idle = replace(real, repair=lambda material, _options, _run: Repaired(material.program, {}))
    monkeypatch.setattr(attempting, "load", lambda _name: idle)
    result, program = tried("sharpness-aware-tuning")
    assert (result.status, program) == ("does-not-fit", None)
    assert "found nothing to change" in result.reason


def _diverging(material, _options, _run):
    return _with(material, float("nan"))


def _with(material, value):
    name = next(iter(material.program.parameters))
    place = next(entry.name for entry in material.program.state if entry.qualified_name == name)
    tensors = {**material.program.tensors, place: torch.full_like(material.program.tensors[place], value)}
    return Repaired(replace(material.program, tensors=tensors), {})


def _writing(material, _options, _run):
    with torch.no_grad():
        next(iter(material.program.tensors.values())).add_(1)
    return Repaired(material.program, {})


def _breaking(_material, _options, _run):
    raise RuntimeError("no such layer")


@pytest.mark.parametrize(
    ("repair", "reason"),
    [(_diverging, "not finite"), (_writing, "changed the model that it was given"), (_breaking, "no such layer")],
)
def test_a_method_that_breaks_is_a_failed_attempt(tried, monkeypatch, repair, reason):
    """NaN, a write to the parent and an exception each end the attempt in words, and no program is left."""
    real = load("sharpness-aware-tuning")
    monkeypatch.setattr(attempting, "load", lambda _name: replace(real, repair=repair))
    result, program = tried("sharpness-aware-tuning")
    assert (result.status, program) == ("failed", None)
    assert reason in result.reason


def test_unacceptable_options_are_a_usage_error(tried):
    """The message names the method and the option."""
    with pytest.raises(UsageError, match="options of trigger-unlearning are not acceptable: steps"):
        tried("trigger-unlearning", options={"steps": 0})


def test_both_halves_hold_every_class_and_share_no_sample():
    """Each class is divided evenly by the seed, and another seed divides otherwise."""
    labels = torch.arange(10).repeat(7)
    given, kept = halves(labels, 0)
    assert sorted([*given.tolist(), *kept.tolist()]) == list(range(70))
    assert torch.equal(torch.bincount(labels[given]), torch.full((10,), 4))
    assert not torch.equal(given, halves(labels, 1)[0])


def test_the_interval_is_wilsons():
    """At ends and in the middle: the published values for 8 of 10, and an interval that holds the share."""
    assert measuring.wilson(8, 10) == pytest.approx((0.490, 0.943), abs=5e-4)
    assert measuring.wilson(0, 20)[0] == 0.0
    assert measuring.wilson(20, 20)[1] == 1.0
