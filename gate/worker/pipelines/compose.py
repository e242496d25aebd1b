"""From a pipeline's files to a program: composed, exported, and compared with what transformers itself answers."""

from pathlib import Path

from gate.formats.huggingface.image_processor import Images
from gate.formats.huggingface.pipeline import Pipeline, read_pipeline
from gate.formats.huggingface.texts import Texts
from gate.formats.log_again import TEXT_EXTRA
from gate.records.errors import GateError, UnexaminableError
from gate.records.job import ScanJob
from gate.records.written_program import Composed
from gate.worker.pipelines.images import compose_images
from gate.worker.pipelines.library import installed
from gate.worker.pipelines.texts import compose_texts


def pipeline_of(root: Path) -> Pipeline | None:
    """Return an artifact's pipeline; None where it is none that is examined, and an error where its files are odd."""
    try:
        return read_pipeline(root)
    except GateError as error:
        raise UnexaminableError(f"the pipeline is not read: {error}", what_to_do=error.what_to_do) from None


def compose(job: ScanJob, pipeline: Pipeline, to: Path) -> None:
    """Write the program of a pipeline's classifier, which answers on the samples as the library does."""
    if isinstance(pipeline.given, Texts):
        installed(TEXT_EXTRA)
        compose_texts(job, pipeline, pipeline.given, to)
    else:
        installed()
        compose_images(job, pipeline, pipeline.given, to)


def composed_of(pipeline: Pipeline) -> Composed:
    """Return how the network was composed, for the bundle's texts."""
    return Composed(
        network=pipeline.network,
        version=installed(),
        claimed=pipeline.version,
        resized=pipeline.given.resized if isinstance(pipeline.given, Images) else "",
        longest=pipeline.given.longest if isinstance(pipeline.given, Texts) else None,
    )
