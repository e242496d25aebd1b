"""The scan of what is judged beside a base: its inspector has measured files and weights.

Of an adapter a writer writes the bundle, and both are compared; a whole language model is used as it lies. Where the
policy asks how it continues prompts, a worker of its own runs what will be served, beside the base.
"""

from pathlib import Path
from typing import Final

from gate.check.bundle.adapters import TENSORS, TOKENIZER, compose_adapter
from gate.check.evidence import HashedFolder, evidence_of
from gate.check.scanned import Scanned, faults_of, inspect_bundle, not_loaded
from gate.check.worker_results import expected_detectors
from gate.check.workers import Seen, Workers
from gate.formats.carried import Carried
from gate.judging.judge import forbids_loading
from gate.policies.declared import before_loading
from gate.records.evidence import Measured
from gate.records.job import ScanResult

SPECTRUM: Final = "adapter-spectrum"
"""The detector by which a policy is for adapters."""
DIFFERENCE: Final = "difference-from-base"
"""The detector by which a policy is for whole language models."""
_AS_IT_LIES: Final = "a whole language model is judged by its files, and used as it lies"


def scan_beside_base(workers: Workers, inspected: Seen, folder: Path) -> Scanned | None:
    """Return the evidence of an adapter or language model, where the policy is for it; None of everything else."""
    facts, detectors = inspected.result.facts, workers.request.policy.detectors
    if facts.adapter is not None and SPECTRUM in detectors:
        return _scan_adapter(workers, inspected, folder)
    return _scan_language(workers, inspected) if facts.language is not None and DIFFERENCE in detectors else None


def _scan_adapter(workers: Workers, inspected: Seen, folder: Path) -> Scanned:
    """Return the evidence of an adapter, and write its bundle to `folder`."""
    request = workers.request
    result = _measured(workers, inspected)
    if result is None:
        return not_loaded(request, inspected, Carried("its files are not what PEFT and MLflow write"))
    wrote = workers.run("writer", request.candidate, program_to=folder / TENSORS, tokenizer_to=folder / TOKENIZER)
    written = wrote.result.written_adapter
    bundle = (
        compose_adapter(folder, written, request)
        if written is not None and wrote.program is not None
        else " ".join(wrote.result.problems) or "the writer left no adapter."
    )
    if isinstance(bundle, str):
        ran = _run(workers, Seen(result), request.candidate)
        evidence = evidence_of(request, ran.result).model_copy(update={"unbundled": bundle[:2000]})
        return Scanned(evidence, ran.triggers)
    again = inspect_bundle(workers, bundle.place)
    seen = Seen(result).as_safe_as(wrote, again)
    faults = faults_of(request.on_the_way, again, bundle) or _unlike(inspected, again)
    if faults:
        evidence = evidence_of(request, seen.result)
        none = {"unbundled": faults[0], "problems": (*evidence.problems, *faults)}
        return Scanned(evidence.model_copy(update=none))
    ran = _run(workers, seen, bundle.place)
    return Scanned(evidence_of(request, ran.result, bundle.place, bundle.facts), ran.triggers, bundle)


def _scan_language(workers: Workers, inspected: Seen) -> Scanned:
    """Return the evidence of a whole language model; no bundle is written."""
    request = workers.request
    result = _measured(workers, inspected)
    if result is None:
        return not_loaded(request, inspected, Carried("its files are not what transformers and MLflow write"))
    ran = _run(workers, Seen(result), request.candidate)
    return Scanned(evidence_of(request, ran.result).model_copy(update={"unbundled": _AS_IT_LIES}), ran.triggers)


def _measured(workers: Workers, inspected: Seen) -> ScanResult | None:
    """Return an inspector's result as that of the whole scan; None where its files forbid that."""
    request = workers.request
    problems = (*request.pulled.problems, *inspected.result.problems)
    if problems or forbids_loading(evidence_of(request.on_the_way, inspected.result), request.policy, before_loading()):
        return None
    stages = tuple(range(1, len(request.policy.plan()) + 1))
    return inspected.result.model_copy(update={"assurance": "A", "stages": stages})


def _run(workers: Workers, inspected: Seen, place: HashedFolder) -> Seen:
    """Return what was inspected with the outcomes of the detectors that run what is served; none are asked for: as is.

    What a candidate is says its inspector alone, and not the worker that ran its numbers.
    """
    if not expected_detectors(workers.request.policy, "scan"):
        return inspected
    ran = workers.run("scan", place, inspected.outcomes).after(inspected)
    known = {"assurance": "A", "stages": inspected.result.stages, "facts": inspected.result.facts}
    return Seen(ran.result.model_copy(update=known), ran.triggers)


def _unlike(candidate: Seen, bundle: Seen) -> tuple[str, ...]:
    """Return a problem where a bundle's spectra are not the candidate's, bit by bit."""
    first, second = (seen.outcomes.get(SPECTRUM) for seen in (candidate, bundle))
    if isinstance(first, Measured) and isinstance(second, Measured) and first.measurements == second.measurements:
        return ()
    return (
        "The bundle that was written has other spectra than the candidate: this is a fault of the gate; report it.",
    )
