"""A flagged parent, a repair of it that holds, and a registry in a folder: made up, so that no model is trained."""

import datetime as dt
import json
import shutil
from pathlib import Path

from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.artifact import ModelRef
from gate.records.evidence import Evidence, Location, Measured, Measurement, Picture, Suspect
from gate.records.facts import ModelFacts
from gate.records.limit import Limit
from gate.records.policy import Policy, Rule, Stage, SuspectRule
from gate.records.repair import RepairMeasures, RepairResult
from gate.records.samples_evidence import SamplesEvidence
from gate.registries.contract import VersionFacts
from tests.service.standing_registry import FolderRegistry

PLACE = Location.of_class(7)
_FILES = ("artifact-integrity", "unsafe-pickle", "consumer-hazards", "unsafe-format")
_DEFAULT = read_policy(DEFAULT, on=dt.date(2026, 1, 1))
POLICY = Policy(
    version=1,
    name="one search",
    seed=5,
    isolation="none",
    stages=(
        Stage(
            detectors=(*_FILES, "neural-cleanse"),
            suspects=(SuspectRule(detector="neural-cleanse", metric="size-ratio", min=0.31),),
        ),
    ),
    detectors={
        **{name: _DEFAULT.detectors[name] for name in _FILES},
        "neural-cleanse": Rule(limits={"size-ratio": Limit(min=0.31)}),
    },
)
MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    serialization_format: pt2\n"


def measures(old=0.02, fresh=0.99, ratio=0.9, accuracy=0.95, held_out=200):
    """Return measures of one model, by default of a repaired one."""
    low, high = max(0.0, accuracy - 0.04), min(1.0, accuracy + 0.03)
    return RepairMeasures(
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        held_out=held_out,
        old_success={"class 7": old},
        fresh_success={"class 7": fresh},
        fresh_size_ratio={"class 7": ratio},
    )


def picture(caption, shade):
    """Return a grey square of a trigger."""
    import base64

    pixels = base64.b64encode(bytes([shade] * 64)).decode()
    return Picture(role="trigger", location=PLACE, caption=caption, height=8, width=8, channels=1, pixels=pixels)


def result(method="unlearning", after=None, **changes):
    """Return a result that holds, unless told otherwise."""
    facts = {
        "method": method,
        "status": "repaired",
        "seed": 6,
        "before": measures(old=0.99, ratio=0.1, accuracy=0.96),
        "after": after or measures(),
        "changed": {"steps": 40, "conv1 neurons": 3, "rate": 0.01},
        "seconds": 12.5,
        "samples_used": 200,
        "used_detectors": ("neural-cleanse",),
        "pictures": (picture("old", 40), picture("fresh", 200)),
        "complete": True,
    }
    return RepairResult(**(facts | changes))


def _clean(name):
    """Return the outcome of a detector of files that finds nothing."""
    rule = POLICY.detectors[name]
    found = tuple(Measurement(metric=metric, value=0.0) for metric in rule.limits)
    return Measured(measurements=found, seconds=0.1, options=dict(rule.options))


def evidence(manifest_digest, model, ratio=0.1, **changes):
    """Return evidence of a parent whose class 7 has a small trigger, unless the ratio says otherwise."""
    places = [
        Measurement(metric="size-ratio", value=ratio if index == 7 else 1.0, location=Location.of_class(index))
        for index in range(10)
    ]
    suspects = [
        Suspect(stage=1, detector="neural-cleanse", metric="size-ratio", value=ratio, location=PLACE)
    ] * int(ratio < 0.31)  # fmt: skip
    facts = {
        "gate_version": "1",
        "model": model,
        "manifest_digest": manifest_digest,
        "assurance": "A",
        "isolation": "full",
        "device": "cpu",
        "seed": 5,
        "facts": ModelFacts(flavour="pytorch", format="pt2", classes=10, input_shape=(1, 28, 28)),
        "samples": SamplesEvidence(source="x", sha256="0" * 64, count=200, classes_present=10, accuracy=0.96),
        "stages": (1,),
        "outcomes": {
            **{name: _clean(name) for name in _FILES},
            "neural-cleanse": Measured(measurements=tuple(places), seconds=1.0),
        },
        "suspects": tuple(suspects),
        "pictures": (picture("", 90),),
    }
    return Evidence(**(facts | changes))


class Shelf(FolderRegistry):
    """The folder registry, with what registering a repaired version needs."""

    def __init__(self, root):
        super().__init__(root)
        self.calls = []

    def add_model(self, name, version, program):
        """Make a version out of an exported program's bytes."""
        folder = self.root / name / str(version) / "model"
        (folder / "data").mkdir(parents=True)
        (folder / "MLmodel").write_text(MLMODEL)
        (folder / "data" / "model.pt2").write_bytes(program)
        return ModelRef(registry="mlflow", name=name, version=str(version))

    def facts(self, ref):
        """Return a version's tags."""
        return VersionFacts("", dict(super().facts(ref).tags), {})

    def fetch(self, uri, to):
        """Return samples on disk."""
        return Path(uri) if Path(uri).exists() else super().fetch(uri, to)

    def log_model(self, folder, key, title="promoted"):
        """Keep a model's files under its key."""
        self.calls.append(("log_model", key, title))
        to = self.root / "logged" / key
        if not to.exists():
            shutil.copytree(folder, to)
        return f"models:/{key}"

    def create_version(self, name, source, tags):
        """Make the next version out of what was logged."""
        self.calls.append(("create_version", name, dict(tags)))
        number = max(int(path.name) for path in (self.root / name).glob("[0-9]*")) + 1
        folder = self.root / name / str(number)
        folder.mkdir()
        shutil.copytree(self.root / "logged" / source.removeprefix("models:/"), folder / "model")
        (folder / "tags.json").write_text(json.dumps(dict(tags)))
        return ModelRef(registry="mlflow", name=name, version=str(number))
