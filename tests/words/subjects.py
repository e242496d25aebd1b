"""Networks of words as the scan worker loads them, in this process, from a job with a file of texts."""

import json
from pathlib import Path

from gate.records.artifact import Artifact, ModelRef, build_manifest, file_sha256
from gate.records.facts import ModelFacts
from gate.records.job import ScanJob
from gate.records.policy import Policy, Rule
from gate.records.sample_settings import SampleSettings
from gate.worker.loading import subject
from gate.worker.loading.candidate import Candidate
from gate.worker.loading.model import Model
from gate.worker.loading.text_classifier import TextModel
from tests.words.nets import ModuleNetwork, ModuleSplit
from tests.words.tasks import LONGEST

MODEL = ModelRef(registry="directory", name="words")
NAMES = {0: "kind", 1: "rude"}


def written(path, rows, names=None):
    """Write texts and labels as lines of JSON."""
    lines = (json.dumps({"text": text, "label": names[label] if names else label}) for text, label in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def model_of(module, tokenizer, **changes):
    """Return a module and its tokenizer as a reader of text models gives them."""
    given = {"longest": LONGEST, "split": ModuleSplit(module), "class_names": NAMES} | changes
    return Model(
        module, "A", ModelFacts(flavour="transformers"), text=TextModel(ModuleNetwork(module), tokenizer, **given)
    )


def loaded(monkeypatch, folder, model, samples, *, training=None, settings=None, **job):
    """Load a subject as the scan worker does, with a reader that gives this model."""
    root = Path(folder) / "model"
    root.mkdir(exist_ok=True)
    (root / "MLmodel").write_text("flavors: {}\n")
    monkeypatch.setattr(subject, "find_candidate", lambda _root: Candidate("transformers", "pt2", root))
    monkeypatch.setattr(subject, "read_model", lambda _candidate, _device: model)
    artifact = Artifact(MODEL, root, build_manifest(root)[0])
    files = {"samples": samples, "training": training}
    given = {f"{what}_path": str(path) for what, path in files.items() if path}
    given |= {f"{what}_sha256": file_sha256(path) for what, path in files.items() if path}
    fixed = {"role": "scan", "seed": 0, "device": "cpu", "deadline_seconds": 600, "samples_source": "clean.jsonl"}
    rules = Policy(version=1, detectors={"head-indicators": Rule()})
    task = ScanJob(model=MODEL, manifest=artifact.manifest, root=str(root), policy=rules, **fixed, **given, **job)
    return subject.load_subject(artifact, task, settings or SampleSettings(), "cpu")
