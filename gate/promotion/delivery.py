"""Verified bytes for whoever serves them: copied to a folder from the private copy that was hashed, and hashed again.

Between a verification and a second download somebody can change a version, so that what is served is this copy. A run
that was broken off leaves its mark, and the next one begins anew: an init container is started again in the same pod.
"""

import shutil
from pathlib import Path

from gate.check.files import remove
from gate.records.artifact import EVERY_FILE, build_manifest
from gate.records.errors import CannotFinishError, UsageError

MARK = ".gate-unfinished"
"""Folder in the target while the files are being copied; whoever finds it knows that all beside it is a run's own."""


def require_target(to: Path) -> None:
    """Raise a `UsageError` unless the folder is absent, empty, or left by a run that was broken off."""
    if to.is_symlink() or (to.exists() and not to.is_dir()):
        raise UsageError(f"{to} is no folder", what_to_do="Name an empty folder with --to.")
    if not (to / MARK).is_dir() and to.is_dir() and (held := sorted(to.iterdir())):
        raise UsageError(
            f"the folder {to} is not empty: it holds {held[0].name!r}",
            what_to_do="Name an empty folder with --to, such as an emptyDir volume.",
        )


def deliver(folder: Path, to: Path, digest: str) -> None:
    """Copy the files of the folder that were hashed to an empty one, readable by everybody.

    A `CannotFinishError` where they cannot be written, or do not read back with the digest.
    """
    try:
        _copy(folder, to)
        found, problems = build_manifest(to, ignored=EVERY_FILE)
    except OSError as error:
        raise CannotFinishError(
            f"the verified files cannot be written to {to}: {error.strerror or error}",
            what_to_do="Name a folder that this user may write to, with room for the model.",
        ) from None
    if problems or found.digest != digest:
        raise CannotFinishError(
            f"{to} does not read back as what was verified: expected {digest}, got {found.digest}",
            what_to_do="See who else writes there, and run it again.",
        )


def _copy(folder: Path, to: Path) -> None:
    mark = to / MARK
    mark.mkdir(parents=True, exist_ok=True)
    for left in to.iterdir():
        if left != mark:
            remove(left)
    # The server runs as another user than the init container.
    for file in build_manifest(folder)[0].files:
        target = to / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / file.path, target)
        target.chmod(0o644)
        for above in target.relative_to(to).parents[:-1]:
            (to / above).chmod(0o755)
    mark.rmdir()
