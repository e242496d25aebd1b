"""Verified bytes for whoever serves them: copied to a folder from the private copy that was hashed, and hashed again.

Between a verification and a second download somebody can change a version, so that what is served is this copy. An init
container is started again in the same pod: a run that was broken off leaves a list of what it put there, so that the
next one removes that and nothing else; after one that ended, the next finds the verified bytes, and copies nothing.
"""

import os
import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from gate.jail.scratch import write_new
from gate.records.artifact import EVERY_FILE, Manifest, build_manifest
from gate.records.errors import CannotFinishError, UsageError
from gate.records.record import MalformedError

MARK = ".gate-unfinished"
"""File in the target until the copy was hashed: the manifest of what the gate puts there, and removes again."""
_EMPTY = "Name an empty folder with --to, such as an emptyDir volume; a pod that is deleted gets a new one."


def require_target(to: Path) -> None:
    """Raise a `UsageError` unless it is a folder or absent, with no file of others beside what a run has left there."""
    if to.is_symlink() or (to.exists() and not to.is_dir()):
        raise UsageError(f"{to} is no folder", what_to_do="Name an empty folder with --to.")
    own = _left(to)
    if own is not None and (foreign := [one for one in _entries(to) if one not in own]):
        raise UsageError(
            f"the folder {to} holds {foreign[0]!r}, which the gate did not put there, beside what it had begun to copy",
            what_to_do=_EMPTY,
        )


def require_same(to: Path, covered: Collection[str]) -> None:
    """Raise a `UsageError` if a folder that no run has begun to fill holds anything but bytes of these digests."""
    held = _entries(to)
    if _left(to) is not None or not held:
        return
    found, problems = build_manifest(to, ignored=EVERY_FILE)
    foreign = [one for one in held if one not in _entries_of(found)]
    if problems or foreign or found.digest not in covered:
        raise UsageError(
            f"the folder {to} is not empty, and what it holds is not what was approved: expected "
            f"{' or '.join(covered)}, got {found.digest}, with {(foreign or held)[0]!r}",
            what_to_do=_EMPTY,
        )


def deliver(folder: Path, to: Path, digest: str) -> None:
    """Copy the files of the folder that were hashed, readable by everybody, to one that does not hold them already.

    A `CannotFinishError` where they cannot be written, or do not read back with the digest.
    """
    try:
        if _left(to) is not None or not _entries(to):
            _copy(folder, to)
        found, problems = build_manifest(to, ignored=frozenset({MARK}))
        if not problems and found.digest == digest:
            (to / MARK).unlink(missing_ok=True)
            return
    except OSError as error:
        raise CannotFinishError(
            f"the verified files cannot be written to {to}: {error.strerror or error}",
            what_to_do="Name a folder that this user may write to, with room for the model.",
        ) from None
    raise CannotFinishError(
        f"{to} does not read back as what was verified: expected {digest}, got {found.digest}",
        what_to_do="See who else writes there, and run it again.",
    )


def _copy(folder: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    _remove(to, _left(to) or frozenset())
    listed = build_manifest(folder)[0]
    write_new(to / MARK, listed.canonical_json())
    # The server runs as another user than the init container.
    for file in listed.files:
        target = to / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / file.path, target)
        target.chmod(0o644)
        for above in target.relative_to(to).parents[:-1]:
            (to / above).chmod(0o755)


def _remove(to: Path, own: frozenset[str]) -> None:
    """Remove a run's own files, and the folders that they leave empty; its list stays until the last is gone."""
    for entry in sorted(own & set(_entries(to)), reverse=True):
        if entry.endswith("/"):
            with suppress(OSError):  # it is not empty: somebody else uses it
                (to / entry).rmdir()
        elif entry != MARK:
            (to / entry).unlink()


def _left(to: Path) -> frozenset[str] | None:
    """Return the entries that a run which was broken off put there; None where none was.

    A list that is no list was never finished, and nothing was copied before it.
    """
    mark = to / MARK
    if mark.is_symlink() or not mark.is_file():
        return None
    try:
        return frozenset({MARK, *_entries_of(Manifest.from_file(mark))})
    except MalformedError:
        return frozenset({MARK})


def _entries_of(manifest: Manifest) -> frozenset[str]:
    """Return a manifest's files and the folders above them, which end with a slash."""
    return frozenset(_with_folders(file.path for file in manifest.files))


def _with_folders(paths: Iterable[str]) -> Iterable[str]:
    for path in paths:
        yield path
        yield from (f"{above}/" for above in PurePosixPath(path).parents[:-1])


def _entries(to: Path) -> list[str]:
    """Return all that lies in a folder, in order; links are not followed, and folders end with a slash."""
    found = []
    for here, folders, files in os.walk(to):
        within = Path(here).relative_to(to)
        linked = {name for name in folders if (Path(here) / name).is_symlink()}
        found += [(within / name).as_posix() for name in (*files, *linked)]
        found += [f"{(within / name).as_posix()}/" for name in folders if name not in linked]
    return sorted(found)
