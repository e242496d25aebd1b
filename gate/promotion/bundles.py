"""The bundle that a decision names, fetched from any place that claims to hold it and believed by its digest alone."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from gate.records.artifact import EVERY_FILE, Manifest, build_manifest, make_read_only
from gate.records.errors import CannotFinishError, UsageError
from gate.records.policy import DownloadBounds
from gate.registries.contract import Registry
from gate.registries.downloading import bounded

Copy = Callable[[Path], Path]
"""Copies a bundle to a new folder, and returns where it lies in it."""


class OtherBytesError(CannotFinishError):
    """No place holds the bytes of the decision."""


def fetch_bundle(copies: Iterable[Copy], digest: str, folder: Path) -> tuple[Path, Manifest]:
    """Fetch the first copy with this digest below `folder`; return its path, read-only, and its files.

    Without one the error is that of the place that could not be read, or an `OtherBytesError` with what was found.
    """
    found: list[str] = []
    broken: list[CannotFinishError] = []
    for number, copy in enumerate(copies):
        try:
            root = copy(folder / str(number))
        except CannotFinishError as error:
            broken.append(error)  # a bad place must not hide the right one
            continue
        manifest, problems = build_manifest(root, ignored=EVERY_FILE)  # all that is stored below is hashed
        if not problems and manifest.digest == digest:
            make_read_only(root)
            return root, manifest
        found += [*problems, f"got {manifest.digest}"]
    if broken and not found:
        raise broken[0]
    raise OtherBytesError(f"The bytes are not those of the decision: expected {digest}, {'; '.join(found)}.")


def kept_copies(registry: Registry, digest: str, bounds: DownloadBounds) -> Iterator[Copy]:
    """Yield the places of the gate's own experiment, in which any writer to it can forge one."""
    yield from (partial(_fetched, registry, place, bounds) for place in registry.bundle_places(digest))


def copy_of(bundle: Path) -> Copy:
    """Return what copies a folder on disk."""
    return partial(_given, bundle)


def _given(bundle: Path, to: Path) -> Path:
    try:
        return Path(shutil.copytree(bundle, to, symlinks=True))
    except OSError as error:  # shutil's own errors are such
        raise UsageError(
            f"{bundle} cannot be copied: {str(error)[:300]}",
            what_to_do="Name the folder `bundle` of a check's directory.",
        ) from None


def _fetched(registry: Registry, place: str, bounds: DownloadBounds, to: Path) -> Path:
    to.mkdir()
    with bounded(to, bounds, place):
        return registry.fetch(place, to)
