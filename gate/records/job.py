"""What the orchestrator asks of a worker (`ScanJob`) and what it gets back (`ScanResult`), both as bounded JSON.

A job carries no credential. A result is hostile until its schema has been checked, and never says which model it is
about: reference and digests are the orchestrator's own (docs/reference/contracts.md, section 3).
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from gate.records.artifact import Manifest, ModelRef
from gate.records.bank import MAX_REFERENCES, Bank, reference_path
from gate.records.bank_evidence import ReferenceEvidence
from gate.records.evidence import (
    MAX_PICTURES,
    Assurance,
    ModelFacts,
    Outcome,
    Picture,
    Projection,
    Suspect,
)
from gate.records.fields import Finite, Text
from gate.records.policy import Policy
from gate.records.record import Record
from gate.records.repair import RepairTask
from gate.records.samples_evidence import SamplesEvidence
from gate.records.written_program import Written

JOB_FILE = "job.json"
RESULT_FILE = "result.json"
LOOK_FILE = "look.json"
"""What a sampler leaves."""
TRIGGERS_FILE = "triggers.safetensors"
CONVERTED_FILE = "converted.pt2"
"""What a converter leaves: hostile bytes, to be read by the writer's strict reader alone."""
WRITTEN_FILE = "written.pt2"
"""What the writer leaves: the program of the bundle."""

CLASSES_STEP = "classes"
"""The step of progress by which a worker says how many classes the model has, as soon as it has run it."""

JAIL_REFUSED = 77
"""A worker's exit code where the jail could not be built or did not hold; nothing untrusted was read."""

JOB_CHANGED = 78
"""A worker's exit code where its job is not the one that the orchestrator wrote."""


class ScanJob(Record):
    """One worker's task."""

    role: Literal["sampler", "inspector", "converter", "writer", "scan", "repairer"]
    """The sampler looks at clean samples alone, without torch and before any model is pulled. The inspector runs the
    detectors that need files alone, without torch. The converter may run the candidate's own
    code, exports it as a program, and measures behaviour itself only where that cannot be done. The writer reads a
    candidate, or what the converter left, and writes the program of the bundle. The scan worker measures it: it runs
    no foreign code and all other detectors. The repairer runs no detector: it makes one attempt to repair
    a code-free candidate, and leaves a `RepairResult` and a program."""
    model: ModelRef
    manifest: Manifest
    root: str
    """The read-only private copy; empty for the sampler, which is given no model."""
    policy: Policy
    seed: int
    device: Literal["auto", "cpu", "cuda"]
    deadline_seconds: float
    memory_bytes: int | None = None
    threads: int = Field(default=0, ge=0)
    """0: as many as there are cores."""
    least_isolation: Literal["full", "partial", "none"] = "full"
    left_path: str | None = None
    """The writer's alone: a program that another worker left, to be read in the candidate's place."""
    left_origin: Literal["converted", "repaired"] | None = None
    samples_path: str | None = None
    training_path: str | None = None
    samples_source: str = ""
    samples_sha256: str | None = None
    samples_overridden: bool = False
    training_sha256: str | None = None
    bank: Bank | None = None
    """The scan worker's alone: a converter could look up by which models it will be compared."""
    bank_folder: str = ""
    done: dict[str, Outcome] = Field(default_factory=dict)
    """Outcomes that an earlier worker reached."""
    repair: RepairTask | None = None
    """The repairer's alone."""

    @property
    def may_use_gpu(self) -> bool:
        """Whether the worker may open a GPU's files: one that runs no foreign code, and is not told to do without."""
        return self.role in ("scan", "repairer") and self.device != "cpu"

    @property
    def reads(self) -> tuple[Path, ...]:
        """The files and folders that the worker reads, beside what its interpreter needs."""
        triggers = self.repair.triggers_path if self.repair else None
        named = (self.root, self.left_path, self.samples_path, self.training_path, triggers)
        models = self.bank.references if self.bank else ()
        references = (reference_path(Path(self.bank_folder), model) for model in models)
        return (*(Path(path) for path in named if path), *filter(None, references))


class SamplesLook(Record):
    """What a sampler saw: why samples cannot be used by themselves, and what to do; nothing where they can."""

    fault: Text = ""
    what_to_do: Text = ""


class ScanResult(Record):
    """What a worker saw."""

    isolation: Text
    user: Text = ""
    """As whom it ran, where the gate is root; the orchestrator writes it over whatever a worker says."""
    device: Text = "cpu"
    assurance: Assurance | None = None
    facts: ModelFacts = ModelFacts()
    samples: SamplesEvidence | None = None
    references: tuple[ReferenceEvidence, ...] = Field(default=(), max_length=MAX_REFERENCES)
    stages: tuple[int, ...] = ()
    outcomes: dict[str, Outcome] = Field(default_factory=dict)
    suspects: tuple[Suspect, ...] = ()
    problems: tuple[Text, ...] = ()
    pictures: tuple[Picture, ...] = Field(default=(), max_length=MAX_PICTURES)
    projections: tuple[Projection, ...] = Field(default=(), max_length=16)
    versions: dict[str, Text] = Field(default_factory=dict)
    seconds: dict[str, Finite] = Field(default_factory=dict)
    converted: bool = False
    """A converter's claim that it left a program and measured nothing itself."""
    written: Written | None = None
    """A writer's claim about the program that it left."""
    complete: bool = False
    """False in what a worker saved on the way, and so in what a killed one leaves behind."""
