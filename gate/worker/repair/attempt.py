"""One attempt to repair a model: checks whether the method fits, runs it on half of the samples, measures on the rest.

It alone catches what a method raises, and checks that the original is unchanged and that the repaired program is the
same graph with finite tensors; it decides nothing else.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import ValidationError

from gate.programs import Program
from gate.records.errors import GateError, UnexaminableError, UsageError
from gate.records.evidence import Location, Picture
from gate.records.repair import MAX_REPAIR_PICTURES, RepairResult
from gate.records.run import Run
from gate.spaces.image.pictures import picture
from gate.spaces.subject import Samples, Trigger
from gate.statistics.subsets import chosen
from gate.worker.loading.fingerprint import tensors_fingerprint
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loading.text_classifier import TokenClassifier
from gate.worker.repair import load
from gate.worker.repair.contract import Material, Method, Repaired
from gate.worker.repair.fitting import halves, lack_of_fit, lack_of_samples
from gate.worker.repair.measuring import Fresh, measure, movable, search_again
from gate.worker.repair.searching import detector_of
from gate.worker.repair.token_searching import DETECTOR, words_again
from gate.worker.repair.token_tuning import token_classifier
from gate.worker.repair.tuning import classifier_of, labels_of


@dataclass(frozen=True)
class _Bench:
    """An attempt's method, model, both halves of its samples, and the places to search again."""

    method: Method[Any]
    material: Material
    held_out: Samples
    places: tuple[Location, ...]
    classifier: ProgramClassifier | TokenClassifier
    run: Run


def attempt(
    method_id: str, options: Mapping[str, Any], material: Material, run: Run, suspects: Collection[Location] = ()
) -> tuple[RepairResult, Program | None]:
    """Try one method on all samples of `material`, and return the result with the repaired program, or None.

    Fresh triggers are searched for at the places in `suspects` and at those that have a trigger.
    """
    method, started = load(method_id), time.monotonic()
    settings = _options(method, options)
    stated = settings.model_dump(mode="json", by_alias=True)
    result = RepairResult(method=method_id, status="failed", options=stated, seed=run.seed)
    places = tuple(dict.fromkeys((*material.triggers, *suspects)))
    try:
        bench = _bench(method, material, places, run)
        used_detectors = tuple(sorted(_searching(bench) | set(method.leans_on)))
        used = {"samples_used": len(bench.material.samples.inputs), "used_detectors": used_detectors}
        result = result.model_copy(update=used)
        program, measured = _tried(bench, settings)
    except Exception as error:  # noqa: BLE001  # a method that breaks is a failed attempt, never the worker's end
        return _ended(result, error, time.monotonic() - started), None
    ended = {"status": "repaired", "seconds": time.monotonic() - started, "complete": True}
    return result.model_copy(update=measured | ended), program


def _searching(bench: _Bench) -> set[str]:
    """Return the detectors whose searches measure the repair."""
    if isinstance(bench.classifier, TokenClassifier):
        return {DETECTOR}
    triggers = bench.material.triggers
    return {detector_of(triggers.get(place), bench.classifier).id for place in bench.places}


def _classifier(program: Program, material: Material) -> ProgramClassifier | TokenClassifier:
    """Return a program of the parent's graph as a classifier."""
    return classifier_of(program, material) if material.text is None else token_classifier(program, material)


def _ended(result: RepairResult, error: Exception, seconds: float) -> RepairResult:
    """Return the result of an attempt that an error ended: one that does not fit, or one that failed."""
    why = f"{type(error).__name__}: {error}"
    if isinstance(error, UnexaminableError):
        why = f"{error}. {error.what_to_do}".strip()
    elif isinstance(error, GateError):
        why = str(error)
    elif isinstance(error, torch.OutOfMemoryError | MemoryError):
        why = "the memory did not suffice; give the worker more, or the method a smaller batch"
    status = "does-not-fit" if isinstance(error, UnexaminableError) else "failed"
    return result.model_copy(update={"status": status, "reason": why[:2000], "seconds": seconds, "complete": True})


def _options(method: Method[Any], given: Mapping[str, Any]) -> Any:
    try:
        return method.options.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"the options of {method.id} are not acceptable: {where[:200]}: {first['msg']}") from None


def _bench(method: Method[Any], material: Material, places: tuple[Location, ...], run: Run) -> _Bench:
    """Check that the method fits, and divide the samples."""
    samples, classifier = material.samples, _classifier(material.program, material)
    lack = lack_of_samples(samples, classifier.num_classes) or lack_of_fit(method, classifier, material.triggers)
    if lack:
        raise UnexaminableError(lack)
    given, kept = halves(labels_of(material), run.seed)
    half = replace(material, samples=chosen(samples, given))
    return _Bench(method, half, chosen(samples, kept), places, classifier, run)


def _tried(bench: _Bench, options: Any) -> tuple[Program, dict[str, Any]]:
    """Measure, repair, check the repaired program, and measure again; return it with the result's fields."""
    material, run = bench.material, bench.run
    before = measure(bench.classifier, bench.held_out, material.triggers, run)
    as_given = tensors_fingerprint(material.program.tensors)
    repaired = repaired_by(bench.method, material, options, run)
    if tensors_fingerprint(material.program.tensors) != as_given:
        raise GateError(f"{bench.method.id} changed the model that it was given")
    program = _checked(material.program, repaired)
    classifier = _classifier(program, material)
    fresh = _search_again(bench, classifier)
    return program, {
        "before": before,
        "after": measure(classifier, bench.held_out, material.triggers, run, fresh),
        "changed": dict(repaired.changed),
        "pictures": _pictures(bench, fresh),
        "sample_passes": bench.classifier.sample_passes + classifier.sample_passes + repaired.sample_passes,
    }


def _search_again(bench: _Bench, classifier: ProgramClassifier | TokenClassifier) -> Fresh:
    material, run = bench.material, bench.run
    if isinstance(classifier, TokenClassifier):
        return words_again(classifier, material.samples, bench.places, run)
    return search_again(classifier, material.samples, material.triggers, bench.places, run)


def repaired_by(method: Method[Any], material: Material, options: Any, run: Run) -> Repaired:
    """Run a method with torch's global random numbers, which dropout uses, seeded and afterwards restored."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return method.repair(material, options, run)


def _checked(original: Program, repaired: Repaired) -> Program:
    """Return the repaired program with plain tensors; another graph, other shapes or NaN end the attempt."""
    program = repaired.program
    if program.nodes is not original.nodes or program.state is not original.state:
        raise GateError("the method returned another graph than it was given")
    tensors = {name: tensor.detach().contiguous() for name, tensor in program.tensors.items()}
    for name, old in original.tensors.items():
        new = tensors.get(name)
        if new is None or new.shape != old.shape or new.dtype != old.dtype:
            raise GateError(f"the method returned {name} with another shape or type")
        if new.is_floating_point() and not bool(torch.isfinite(new[torch.isfinite(old)]).all()):
            raise GateError("the repair diverged: it left values that are not finite")
    if all(torch.equal(tensors[name], old) for name, old in original.tensors.items()):
        raise UnexaminableError("the method found nothing to change in this model")
    return replace(program, tensors=tensors)


def _pictures(bench: _Bench, fresh: Fresh) -> tuple[Picture, ...]:
    """Return old and fresh triggers of images side by side, as many as a result holds."""
    if bench.material.text is not None:
        return ()
    shown: list[Picture] = []
    for place in bench.places:
        for caption, triggers in (("old", bench.material.triggers), ("fresh", fresh.triggers)):
            if (trigger := triggers.get(place)) is not None:
                shown.append(_picture(bench, trigger, place, caption))
    return tuple(shown[:MAX_REPAIR_PICTURES])


def _picture(bench: _Bench, trigger: Trigger, place: Location, caption: str) -> Picture:
    """Return a trigger's pattern under its mask, or what it changes in a sample, where grey is nothing."""
    bounds, samples = bench.material.bounds, bench.held_out
    if "mask" in trigger.tensors:
        mask, pattern = trigger.tensors["mask"], trigger.tensors["pattern"]
        return picture(mask * pattern + (1 - mask) * bounds[0], "trigger", bounds, place, caption)
    assert samples.labels is not None
    rows = movable(samples.labels, place)
    example = samples.inputs[int(rows[0]) if len(rows) else 0]
    change = (trigger.apply(example.unsqueeze(0))[0] - example).detach()
    reach = max(float(change.abs().max()), 1e-6 * (bounds[1] - bounds[0]))
    return picture(change, "trigger", (-reach, reach), place, caption)
