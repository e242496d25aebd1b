"""A worker's task (`ScanJob`) and its result (`ScanResult`), both as bounded JSON.

A job carries no credential. A result is hostile until its schema has been checked, and never names its model: reference
and digests are the orchestrator's own (docs/reference/contracts.md, section 3).
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from gate.records.artifact import Manifest, ModelRef
from gate.records.bank import MAX_REFERENCES, Bank, reference_path
from gate.records.bank_evidence import ReferenceEvidence
from gate.records.copies import CopyTask
from gate.records.evidence import (
    MAX_EXCERPTS,
    MAX_PICTURES,
    Assurance,
    Excerpt,
    Outcome,
    Picture,
    Projection,
    Suspect,
)
from gate.records.facts import ModelFacts
from gate.records.fields import Finite, Text, is_none
from gate.records.plan import Plan
from gate.records.policy import Policy
from gate.records.previous import MAX_EARLIER, PulledPrevious, VersionClaim
from gate.records.probe_seed import FORM
from gate.records.record import Record
from gate.records.repair import RepairTask
from gate.records.samples_evidence import SamplesEvidence
from gate.records.written_adapter import WrittenAdapter
from gate.records.written_program import Written

JOB_FILE = "job.json"
RESULT_FILE = "result.json"
LOOK_FILE = "look.json"
TRIGGERS_FILE = "triggers.safetensors"
CONVERTED_FILE = "converted.pt2"
"""A converter's program: hostile bytes, only for the writer's strict reader."""
WRITTEN_FILE = "written.pt2"
"""The writer's program, for the bundle."""
TOKENIZER_FILE = "tokenizer.json"
"""The tokenizer that the writer wrote beside a program of token ids."""
CLASSES_STEP = "classes"
"""Step of progress by which a worker reports the model's number of classes."""
JAIL_REFUSED = 77
"""A worker's exit code where the jail could not be built or did not hold; nothing untrusted was read."""
JOB_CHANGED = 78
"""A worker's exit code where its job is not as the orchestrator wrote it."""


class ScanJob(Record):
    """One worker's task."""

    role: Literal["sampler", "inspector", "converter", "writer", "scan", "repairer", "trainer"]
    """The sampler reads clean samples, without torch and before any model is pulled. The inspector runs the detectors
    that need only files, without torch. The converter may run the candidate's own code and exports it as a program;
    only where that fails it measures behaviour itself. Of a pipeline it runs no code: it exports the network that
    transformers' own classes compose. The writer reads a candidate or the converter's program, and
    writes the bundle's. The scan worker runs all other detectors on that, and no foreign code. The repairer makes one
    attempt to repair a code-free candidate, and leaves a `RepairResult` and a program. The trainer trains one copy of a
    code-free candidate's program, and leaves a `CopyResult` and a program."""
    model: ModelRef
    manifest: Manifest
    root: str
    """Path of the read-only private copy; empty for the sampler."""
    policy: Policy
    seed: int
    probe_seed: str | None = Field(default=None, pattern=FORM, repr=False, exclude_if=is_none)
    """Seed of the secret probes, for the scan worker alone: a converter could hand it to the candidate."""
    device: Literal["auto", "cpu", "cuda"]
    deadline_seconds: float
    """Seconds that the worker has."""
    allowed_seconds: float | None = None
    """Seconds of the whole scan's deadline, of which the worker has what is left."""
    memory_bytes: int | None = None
    arithmetic: Literal["auto", "as-read"] = "auto"
    """Whether searches and probes may run the model in quicker forms."""
    threads: int = Field(default=0, ge=0)
    """Number of threads; 0: one for each core."""
    least_isolation: Literal["full", "partial", "none"] = "full"
    allow_code: bool = False
    """Whether the operator allowed the converter to run the candidate's own code."""
    left_path: str | None = None
    """Program of another worker that the writer reads in the candidate's place."""
    left_origin: Literal["converted", "composed", "repaired"] | None = None
    samples_path: str | None = None
    training_path: str | None = None
    samples_source: str = ""
    samples_sha256: str | None = None
    samples_overridden: bool = False
    training_sha256: str | None = None
    bank: Bank | None = None
    """The bank, for the scan worker alone: a converter could adapt to it."""
    bank_folder: str = ""
    previous: PulledPrevious | None = None
    """The versions to compare with, for the scan worker alone."""
    previous_folder: str = ""
    base_folder: str = ""
    """Folder of an adapter's or language model's base; empty without one."""
    base_digest: str = ""
    """Digest of the base's manifest when it was pulled; empty without one."""
    done: dict[str, Outcome] = Field(default_factory=dict)
    """Outcomes of an earlier worker."""
    repair: RepairTask | None = None
    copy_task: CopyTask | None = None

    @property
    def may_use_gpu(self) -> bool:
        """Whether the worker may open a GPU's files: it runs no foreign code, and `device` allows it."""
        return self.role in ("scan", "repairer", "trainer") and self.device != "cpu"

    @property
    def reads(self) -> tuple[Path, ...]:
        """The files and folders that the worker reads, besides what its interpreter needs."""
        triggers = self.repair.triggers_path if self.repair else None
        copied = (self.copy_task.data_path, self.copy_task.weights_path) if self.copy_task else ()
        own = (self.root, self.left_path, self.samples_path, self.training_path, self.previous_folder, self.base_folder)
        named = (*own, triggers, *copied)
        models = self.bank.references if self.bank else ()
        references = (reference_path(Path(self.bank_folder), model) for model in models)
        return (*(Path(path) for path in named if path), *filter(None, references))


class SamplesLook(Record):
    """A sampler's result: why samples cannot be used, and what to do; empty where they can."""

    fault: Text = ""
    what_to_do: Text = ""


class ScanResult(Record):
    """A worker's result."""

    isolation: Text
    user: Text = ""
    """The worker's user where the gate is root; the orchestrator overwrites a worker's claim."""
    device: Text = "cpu"
    assurance: Assurance | None = None
    facts: ModelFacts = ModelFacts()
    samples: SamplesEvidence | None = None
    references: tuple[ReferenceEvidence, ...] = Field(default=(), max_length=MAX_REFERENCES)
    previous: tuple[VersionClaim, ...] = Field(default=(), max_length=MAX_EARLIER + 1)
    stages: tuple[int, ...] = ()
    outcomes: dict[str, Outcome] = Field(default_factory=dict)
    suspects: tuple[Suspect, ...] = ()
    problems: tuple[Text, ...] = ()
    pictures: tuple[Picture, ...] = Field(default=(), max_length=MAX_PICTURES)
    excerpts: tuple[Excerpt, ...] = Field(default=(), max_length=MAX_EXCERPTS)
    projections: tuple[Projection, ...] = Field(default=(), max_length=16)
    versions: dict[str, Text] = Field(default_factory=dict)
    seconds: dict[str, Finite] = Field(default_factory=dict)
    plan: Plan | None = None
    converted: bool = False
    """A converter's claim that it left a program and measured nothing."""
    written: Written | None = None
    """A writer's claim about the program that it left."""
    written_adapter: WrittenAdapter | None = Field(default=None, exclude_if=is_none)
    """A writer's claim about the adapter that it left."""
    complete: bool = False
    """False in a preliminary result, the last one of a killed worker."""
