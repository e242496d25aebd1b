"""The review log: one JSON line per decision, each with the hash of the line before it.

A line that is changed, removed or moved breaks the chain. Whoever can write the file can hash a chain anew, but not
sign: each signed decision holds the hash of the line that it was signed after (`log_head`), so that the newest one of a
trusted key vouches for every line before it. What does not show is an end that was cut off, with or without lines after
it that nobody signs (promotions, re-scans), and a change before the first line that holds such a hash: compare with a
copy of an earlier hash (`--head`). Without public keys the chain alone is checked, which a rewritten one passes.
A line counts once its newline is written: what a writer that was killed left behind is cut by the next one.
"""

import datetime as dt
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, Field

from gate.attestations.envelope import envelope_digest
from gate.attestations.statement import SHA256
from gate.records.artifact import ModelRef
from gate.records.errors import CannotFinishError, UsageError
from gate.records.record import MalformedError, Record

NOTHING = "sha256:" + 64 * "0"
"""Previous hash of the first line."""
MAX_LOG_BYTES = 1 << 30
_NAME_ANOTHER = "Name a file that can be written with --audit-log or GATE_AUDIT_LOG."
Event = Literal["commitment", "scan", "review", "promotion", "rescan"]
DECISIONS: Final = frozenset({"scan", "review"})
"""Events whose lines hold a signed decision."""

_LONGEST = {"outcome": 200, "who": 200, "reason": 2000}
"""Characters of a line's texts."""


class Entry(Record):
    """One line of the log."""

    number: int = Field(ge=1)
    previous: str = Field(pattern=SHA256)
    at: AwareDatetime
    event: Event
    model: ModelRef
    digest: str = Field(pattern=SHA256)
    """Digest of the candidate's bytes."""
    outcome: str = Field(max_length=_LONGEST["outcome"])
    who: str = Field(default="", max_length=_LONGEST["who"])
    reason: str = Field(default="", max_length=_LONGEST["reason"])
    envelope: str = Field(default="", max_length=100_000)
    """Signed decision."""


@dataclass(frozen=True)
class Said:
    """The content of a new line; a registry's long names lose their middle, since what was done must be logged."""

    event: Event
    model: ModelRef
    digest: str
    outcome: str
    envelope: str = ""
    who: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        for name, most in _LONGEST.items():
            text = getattr(self, name)
            if len(text) > most:
                object.__setattr__(self, name, f"{text[: most // 2]}…{text[1 - most // 2 :]}")


@dataclass(frozen=True)
class Audit:
    """The log's entries, newest hash and faults."""

    entries: tuple[Entry, ...]
    head: str
    faults: tuple[str, ...]
    unfinished: int = 0
    """Bytes after the last newline: a line whose writer was ended."""


class ReviewLog:
    """A log in a file; writers in several processes take turns, and no reader sees half a line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def require_writable(self) -> None:
        """Raise a `UsageError` unless lines can be added; nothing is written or created."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            folder = self.path.absolute().parent
            fault = "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is no folder that can be written"
        except OSError as error:
            fault = error.strerror or str(error)
        else:
            fault = "" if stat.S_ISREG(os.fstat(descriptor).st_mode) else "it is no regular file"
            os.close(descriptor)
        if fault:
            raise UsageError(f"the review log {self.path} cannot be written: {fault}", what_to_do=_NAME_ANOTHER)

    def append(self, said: Said | Callable[[Audit], Said | Entry], at: dt.datetime) -> Entry:
        """Add a line and sync it to the disk; a log with a broken chain takes no further line.

        A function gets the log as it is now, while no other process can write. It returns the line, or an entry of the
        log that says it already; it raises where what was decided before has changed, and nothing is added.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "r+b", buffering=0) as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                raw = _whole(stream)
                found = _read(raw)
                if found.faults:
                    raise CannotFinishError(
                        f"the review log {self.path} is damaged, and nothing was added: {found.faults[0]}",
                        what_to_do="Keep it as evidence, restore a copy whose newest hash is known, and try again.",
                    )
                new = said(found) if callable(said) else said
                if isinstance(new, Entry):
                    return new
                entry = Entry(number=len(found.entries) + 1, previous=found.head, at=at, **vars(new))
                _add(stream, len(raw) - found.unfinished, entry.canonical_json() + b"\n")
        except OSError as error:
            fault = error.strerror or error
            raise CannotFinishError(
                f"the review log {self.path} cannot be written: {fault}", what_to_do=_NAME_ANOTHER
            ) from None
        return entry

    def read(self) -> Audit:
        """Return every entry and the faults of the chain."""
        try:
            with self.path.open("rb", buffering=0) as stream:
                fcntl.flock(stream, fcntl.LOCK_SH)
                raw = _whole(stream)
        except OSError as error:
            raise UsageError(f"the review log {self.path} cannot be read: {error.strerror}") from None
        return _read(raw)

    def whole(self) -> Audit:
        """Return every entry, none where there is no file yet; a damaged log is an error."""
        if not self.path.exists():
            return Audit((), NOTHING, ())
        found = self.read()
        if found.faults:
            raise CannotFinishError(f"the review log {self.path} is damaged: {found.faults[0]}")
        return found

    def newest(self, model: ModelRef, digest: str) -> Entry | None:
        """Return the last decision about these bytes of this version; a damaged log is an error."""
        return newest_decision(self.whole().entries, model, digest)

    def commitment(self, model: ModelRef, digest: str, policy_digest: str, before: dt.datetime) -> Entry | None:
        """Return the last commitment of these bytes to this policy until a time; None where the log has none."""
        if not self.path.exists():
            return None
        asked = ("commitment", model, digest, policy_digest)
        found = (entry for entry in reversed(self.read().entries) if entry.at <= before)
        return next((one for one in found if (one.event, one.model, one.digest, one.outcome) == asked), None)


def newest_decision(entries: Sequence[Entry], model: ModelRef, digest: str) -> Entry | None:
    """Return the last decision about these bytes of this version; what nobody signs, as a re-scan, decides nothing."""
    decisions = (entry for entry in reversed(entries) if entry.event in DECISIONS)
    return next((entry for entry in decisions if (entry.model, entry.digest) == (model, digest)), None)


def _whole(stream: FileIO) -> bytes:
    if os.fstat(stream.fileno()).st_size > MAX_LOG_BYTES:
        raise CannotFinishError(f"the review log is larger than {MAX_LOG_BYTES} bytes; begin a new one")
    return stream.readall()


def _add(stream: FileIO, end: int, line: bytes) -> None:
    """Write a line at the end of the finished ones and sync it; a disk that takes only part of it gets none."""
    stream.truncate(end)
    rest = memoryview(line)
    try:
        while rest:
            rest = rest[stream.write(rest) :]
        os.fsync(stream.fileno())
    except OSError:
        stream.truncate(end)
        raise


def _read(raw: bytes) -> Audit:
    finished = raw[: raw.rfind(b"\n") + 1]
    entries: list[Entry] = []
    head, faults = NOTHING, []
    for number, line in enumerate(finished.splitlines(keepends=True), start=1):
        try:
            entry = Entry.from_json(line, what=f"line {number}", limit=1 << 18)
        except MalformedError as error:
            faults.append(f"Line {number} is no entry: {error}")
            break
        # Written again, a line has the same bytes: its meaning is exactly what is hashed.
        if entry.canonical_json() + b"\n" != line:
            faults.append(f"Line {number} is not as the gate writes it.")
        if entry.number != number:
            faults.append(f"Line {number} calls itself {entry.number}: a line is missing, added or moved.")
        if entry.previous != head:
            faults.append(f"Line {number} follows {entry.previous[:19]}…, and the line before it is {head[:19]}….")
        if faults:
            break
        entries.append(entry)
        head = f"sha256:{hashlib.sha256(line).hexdigest()}"
    return Audit(tuple(entries), head, tuple(faults), len(raw) - len(finished))


def same_decision(entry: Entry, envelope: str) -> bool:
    """Tell whether an entry holds this envelope."""
    return bool(entry.envelope) and envelope_digest(entry.envelope) == envelope_digest(envelope)
