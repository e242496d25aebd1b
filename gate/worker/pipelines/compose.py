"""From a pipeline's files to a program: composed, exported, and compared with what transformers itself answers."""

from pathlib import Path
from typing import Final

from gate.formats.huggingface.pipeline import Pipeline, read_pipeline
from gate.programs.writer.write import export_module
from gate.records.errors import GateError, UnexaminableError
from gate.records.job import ScanJob
from gate.records.written_program import Composed
from gate.worker.comparing import differing
from gate.worker.pipelines.images import Classifier, require_same_given, samples_of
from gate.worker.pipelines.library import installed
from gate.worker.pipelines.network import network_of

COMPARED_PICTURES: Final = 16
"""Clean samples on which library and program are compared: fewer than of small layers, since these are large."""


def pipeline_of(root: Path) -> Pipeline | None:
    """Return an artifact's pipeline; None where it is none that is examined, and an error where its files are odd."""
    try:
        return read_pipeline(root)
    except GateError as error:
        raise UnexaminableError(f"the pipeline is not read: {error}", what_to_do=error.what_to_do) from None


def compose(job: ScanJob, pipeline: Pipeline, to: Path) -> None:
    """Write the program of a pipeline's classifier, which answers on the samples as the library does.

    Both halves are compared: what its maps make of the pixels with what the library's processor makes of them, and the
    program's logits with those of the network behind the maps.
    """
    installed()
    pixels = samples_of(job, pipeline, COMPARED_PICTURES)
    classifier = Classifier(network_of(pipeline), pipeline.images.maps).eval()
    require_same_given(pipeline, classifier, pixels)
    try:
        differing(classifier, export_module(classifier, pixels[:2], to), pixels)
    except GateError as error:
        to.unlink(missing_ok=True)
        raise UnexaminableError(
            f"its network could not be exported as a program that the gate reads: {error}"
        ) from None
    except Exception as error:  # noqa: BLE001  # library and exporter may raise anything on what does not go together
        to.unlink(missing_ok=True)
        text = " ".join(str(error).split())[:300]
        raise UnexaminableError(f"torch could not export its network: {type(error).__name__}: {text}") from None


def composed_of(pipeline: Pipeline) -> Composed:
    """Return how the network was composed, for the bundle's texts."""
    return Composed(
        network=pipeline.network,
        version=installed(),
        claimed=pipeline.version,
        resized=pipeline.images.resized,
    )
