"""Images of a pipeline: the samples at the size that its network takes, and the maps in front of that."""

from pathlib import Path
from typing import Final

import torch

from gate.formats.huggingface.image_processor import Affine, Images
from gate.formats.huggingface.pipeline import Pipeline
from gate.programs.writer.write import export_module
from gate.records.errors import UnexaminableError
from gate.records.job import ScanJob
from gate.spaces.image.samples import arrange, bounds_of
from gate.worker.clean_samples import raw_samples
from gate.worker.comparing import differing
from gate.worker.pipelines.exporting import exporting
from gate.worker.pipelines.library import library
from gate.worker.pipelines.network import network_of

COMPARED_PICTURES: Final = 16
"""Clean samples on which library and program are compared: fewer than of small layers, since these are large."""
_BYTES = (0.0, 255.0)
_ROUNDING = 1e-5
"""Largest difference from the library's processor, as a share of the largest value."""


class Classifier(torch.nn.Module):
    """A network behind the maps of its pipeline: pixels (N, C, H, W) from 0 to 255 in, logits (N, K) out."""

    def __init__(self, network: torch.nn.Module, maps: tuple[Affine, ...]) -> None:
        """Hold the maps' values as buffers, by channel."""
        super().__init__()
        self.network, self.count = network, len(maps)
        for number, one in enumerate(maps):
            self.register_buffer(f"mean_{number}", torch.tensor(one.mean).view(1, -1, 1, 1))
            self.register_buffer(f"std_{number}", torch.tensor(one.std).view(1, -1, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the class scores before the softmax."""
        scores: torch.Tensor = self.network(pixel_values=self.mapped(pixels), return_dict=True).logits
        return scores

    def mapped(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what the network is given of pixels."""
        for number in range(self.count):
            pixels = (pixels - self.get_buffer(f"mean_{number}")) / self.get_buffer(f"std_{number}")
        return pixels


def compose_images(job: ScanJob, pipeline: Pipeline, images: Images, to: Path) -> None:
    """Write the program of an image classifier.

    Both halves are compared: what its maps make of the pixels with what the library's processor makes of them, and the
    program's logits with those of the network behind the maps.
    """
    pixels = samples_of(job, pipeline, images, COMPARED_PICTURES)
    classifier = Classifier(network_of(pipeline), images.maps).eval()
    require_same_given(images, classifier, pixels)
    with exporting(to):
        differing(classifier, export_module(classifier, pixels[:2], to), pixels)


def samples_of(job: ScanJob, pipeline: Pipeline, images: Images, count: int) -> torch.Tensor:
    """Return the first samples (n, C, H, W), whole numbers from 0 to 255; what a pipeline is not given is refused."""
    if job.samples_path is None:
        raise UnexaminableError("no clean samples were given; composing a pipeline needs a few to compare it with")
    settings = job.policy.samples.of(job.model.name)
    if settings.mean is not None:
        raise UnexaminableError(
            "the policy states 'mean' and 'std', and the pipeline normalises images itself",
            what_to_do="Leave them out for this model: samples: {models: {NAME: {…}}}.",
        )
    raw = raw_samples(job)
    wanted = (channels_of(pipeline), images.height, images.width)
    try:
        arranged = arrange(raw, wanted, settings)
    except UnexaminableError as error:
        how = f"In the pipeline an image is {images.resized}: save the samples so." if images.resized else ""
        raise UnexaminableError(str(error), what_to_do=how or error.what_to_do) from None
    if bounds_of(raw, arranged.inputs, settings) != _BYTES:
        raise UnexaminableError(
            "a pipeline takes images of bytes, and the samples are no numbers from 0 to 255",
            what_to_do="Save them as uint8, before any rescaling; the pipeline's own is in the program.",
        )
    return torch.from_numpy(arranged.inputs[:count]).round()


def channels_of(pipeline: Pipeline) -> int | None:
    """Return the number of channels that the network takes; None where its configuration leaves it to its class."""
    stated = pipeline.config.get("num_channels")
    return stated if isinstance(stated, int) else None


def require_same_given(images: Images, classifier: Classifier, pixels: torch.Tensor) -> None:
    """Refuse maps that make of the samples what the library's own processor does not."""
    try:
        expected, found = given_by_library(images, pixels), classifier.mapped(pixels)
        apart = float((expected - found).abs().max() / expected.abs().max().clamp_min(1e-30))
    except Exception as error:  # noqa: BLE001  # the library may raise anything on settings that do not go together
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise UnexaminableError(f"transformers' {images.processor} does not take the samples: {why}") from None
    if expected.shape != found.shape or not apart <= _ROUNDING:
        raise UnexaminableError(f"what its image processor gives the network differs from the program's by {apart:.2g}")


def given_by_library(images: Images, pixels: torch.Tensor) -> torch.Tensor:
    """Return what transformers' own processor gives a network of samples that already have their size."""
    processor = getattr(library(), f"{images.processor}Pil")(**images.values)
    pictures = list(pixels.to(torch.uint8).numpy())
    settings = {"do_resize": False, "do_center_crop": False, "input_data_format": "channels_first"}
    given: torch.Tensor = processor(pictures, return_tensors="pt", **settings)["pixel_values"]
    return given.float()
