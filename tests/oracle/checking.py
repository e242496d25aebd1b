"""The property, for one folder: approved means that every consumer is given the judged program and nothing else."""

import json
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracle import payloads
from tests.oracle.bases import Base
from tests.oracle.composing import Made
from tests.oracle.consumers import consume
from tests.oracle.forked import ChildError, answer_of
from tests.oracle.gates import Gate, GateFailedError, Judged
from tests.oracle.outputs import Answers, from_json

CONSUMER_SECONDS = 60.0
"""For all consumers of a folder together."""
RELATIVE = 1e-5
"""By how much outputs may differ where the program is composed anew: a module's, or a bundle's of another origin."""
PROGRAM = "data/model.pt2"


@dataclass
class Outcome:
    """What came of one folder."""

    base: str
    mutations: list[str]
    harmless: bool
    approved: bool = False
    covers: str = ""
    findings: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    unopenable: list[str] = field(default_factory=list)
    """Approved bytes, candidate or bundle, that no consumer opens."""
    refused: dict[str, str] = field(default_factory=dict)
    """Consumers that refused approved bytes, and why."""
    compared: int = 0
    """Consumers whose outputs were compared."""
    bundle: str = ""
    """Of the bundle's program against that of the unmutated folder: `same`, `other`, `absent`, or not asked."""
    error: str = ""
    """Why the gate gave no verdict; a folder of that kind is not approved."""
    seconds: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """Return the outcome as one line of JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if value not in ([], {}, "", 0)})


class Oracle:
    """One gate, its samples, and a folder to work in."""

    def __init__(self, gate: Gate, samples: Path, work: Path) -> None:
        self.gate, self.samples, self.work = gate, samples, work
        self.markers = work / "markers"
        self._programs: dict[str, bytes | None] = {}
        payloads.prepare(self.markers)

    def check(self, made: Made) -> Outcome:
        """Write a folder, have it judged, and ask its consumers if it was approved."""
        base = made.draft.base
        outcome = Outcome(base.name, made.names, made.harmless)
        folder = _empty(self.work / "folder")
        made.draft.write(folder)
        begun = time.monotonic()
        try:
            judged = self._judge(folder, outcome)
        except GateFailedError as error:
            outcome.error = str(error)
            return outcome
        outcome.seconds["gate"] = round(time.monotonic() - begun, 3)
        if not judged.approved:
            return outcome
        begun = time.monotonic()
        self._approved(folder, base, judged, outcome)
        if made.same_program and judged.bundle is not None:
            outcome.bundle = self._compare_bundles(base, judged.bundle)
        outcome.seconds["consumers"] = round(time.monotonic() - begun, 3)
        return outcome

    def _judge(self, folder: Path, outcome: Outcome) -> Judged:
        judged = self.gate.judge(folder, self.samples, _empty(self.work / "gate"))
        outcome.approved, outcome.covers = judged.approved, judged.covers
        outcome.findings = [text[:200] for text in judged.findings[:5]]
        if ran := payloads.left(self.markers):
            # Not even of a flagged one: bytes are looked at before anything is loaded.
            outcome.violations.append(f"the gate ran a payload: {ran}")
        return judged

    def _approved(self, folder: Path, base: Base, judged: Judged, outcome: Outcome) -> None:
        """Check what was approved: the candidate's bytes where they are covered, and every bundle that was written."""
        # One that carries code has no program of its own; a verdict about its bundle says nothing of it.
        candidate = self._outputs(folder, base, outcome) if judged.covers == "candidate" else []
        if judged.covers == "candidate":
            self._served("candidate", folder, base, candidate, outcome)
        if judged.bundle is not None:
            own = self._outputs(judged.bundle, base, outcome)
            if candidate and own and (fault := difference(candidate, own, exact=base.exact)):
                outcome.violations.append(f"the bundle's program is not the candidate's: {fault}")
            self._served("bundle", judged.bundle, base, own, outcome)

    def _outputs(self, folder: Path, base: Base, outcome: Outcome) -> Answers:
        try:
            return self.gate.outputs(folder, base.inputs)
        except ChildError as error:
            outcome.violations.append(f"approved, and the gate's own reader gives no outputs: {error}"[:300])
            return []

    def _served(self, said: str, folder: Path, base: Base, judged: Answers, outcome: Outcome) -> None:
        work = _empty(self.work / "consumers")
        try:
            seen = answer_of(lambda: consume(folder, base.inputs, work), CONSUMER_SECONDS)
        except ChildError as error:
            seen = {"answers": {}, "refused": {"all": str(error)}, "odd": []}
        if ran := payloads.left(self.markers):
            outcome.violations.append(f"{said}: a payload ran at a consumer: {ran}")
        outcome.violations += [f"{said}: {text}"[:300] for text in seen["odd"]]
        outcome.refused |= {f"{said}, {name}": why for name, why in seen["refused"].items()}
        for name, packed in seen["answers"].items():
            answers = from_json(packed)
            # The bundle is a program of its own: its readers give the very bits, whatever it was made from.
            exact = base.exact or said == "bundle"
            if fault := difference(judged, answers, exact=exact):
                outcome.violations.append(f"{said}: {name} gives other outputs than were judged: {fault}")
            outcome.compared += any(map(len, answers))
        if not any(any(map(len, packed)) for packed in seen["answers"].values()):
            outcome.unopenable.append(said)

    def _compare_bundles(self, base: Base, bundle: Path) -> str:
        """Return whether a harmless folder's bundle has the very bytes of the unmutated one's program."""
        mine = _program(bundle)
        if base.name not in self._programs:
            folder = _empty(self.work / "unmutated")
            for name, raw in base.files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(raw)
            judged = self.gate.judge(folder, self.samples, _empty(self.work / "unmutated-gate"))
            self._programs[base.name] = _program(judged.bundle)
        return "absent" if mine is None else "same" if mine == self._programs[base.name] else "other"


def difference(judged: Answers, served: Answers, *, exact: bool) -> str:
    """Return how a consumer's answers differ from those of the judged program, or nothing; refusals are no answers."""
    for number, (expected, got) in enumerate(zip(judged, served, strict=True) if judged and served else ()):
        if not got or not expected:
            continue
        if len(got) > len(expected):
            return f"batch {number}: {len(got)} outputs in place of {len(expected)}"
        for one, other in zip(expected, got, strict=False):
            if one.shape != other.shape:
                return f"batch {number}: shape {other.shape} in place of {one.shape}"
            if exact and one.tobytes() != other.tobytes():
                return f"batch {number}: other bits, by at most {_apart(one, other):.3g}"
            if not exact and not np.allclose(one, other, rtol=RELATIVE, atol=RELATIVE * float(np.abs(one).max())):
                return f"batch {number}: by {_apart(one, other):.3g}"
    return ""


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())


def _program(bundle: Path | None) -> bytes | None:
    path = None if bundle is None else bundle / PROGRAM
    return path.read_bytes() if path is not None and path.is_file() else None


def _empty(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def outcome_of(line: str) -> dict[str, Any]:
    """Return an outcome's line as plain values, with what it left out."""
    empty = asdict(Outcome("", [], harmless=False))
    return {**empty, **json.loads(line)}
