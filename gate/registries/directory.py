"""A model folder on disk as a registry of one version: pulled by copying, never marked."""

import datetime as dt
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError, UsageError
from gate.registries.contract import VersionFacts
from gate.registries.uris import require_model, unmarkable


class DirectoryRegistry:
    """Model folders on disk, named by their path."""

    marks = False

    def allowing(self, stores: Sequence[str]) -> Self:
        """Return this: a folder has no stores elsewhere."""
        del stores
        return self

    def resolve(self, uri: str) -> ModelRef:
        """Return the folder's absolute path as a reference; a missing folder is a wrong command."""
        require_model(uri)
        return ModelRef(registry="directory", name=str(Path(uri.removeprefix("directory:")).absolute()))

    def facts(self, ref: ModelRef) -> VersionFacts:
        """Return nothing: a folder has no registry's description or tags."""
        del ref
        return VersionFacts()

    def versions(self, name: str) -> tuple[tuple[ModelRef, Mapping[str, str]], ...]:
        """Refuse: folders on disk have no versions."""
        raise UsageError(f"{name!r} is no registered model; folders on disk have no versions")

    def pull(self, ref: ModelRef, to: Path) -> None:
        """Copy the folder; links stay links, for the manifest to refuse."""
        try:
            shutil.copytree(ref.name, to, symlinks=True, dirs_exist_ok=True, copy_function=copy_regular)
        except (OSError, shutil.Error) as error:
            raise RegistryError(f"the folder {ref.name} cannot be copied: {str(error)[:300]}") from None

    def fetch(self, uri: str, to: Path) -> Path:
        """Return the path of samples on disk; a folder has no other artifacts."""
        del to
        path = Path(uri.removeprefix("file://"))
        if not path.exists():
            raise UsageError(f"there are no samples at {uri}")
        return path

    def training_set(self, ref: ModelRef, to: Path) -> tuple[str, Path] | None:
        """Return nothing: a folder has no run that logged one."""
        del ref, to
        return None

    def log_reports(self, ref: ModelRef, folder: Path, key: str) -> str:
        """Refuse: a folder has no place for reports."""
        raise _not_marked(ref, folder, key)

    def keep_bundle(self, folder: Path, digest: str, days: int | None = None) -> str:
        """Refuse: a folder has no place for bundles."""
        raise _not_kept(folder, digest, days)

    def bundle_places(self, digest: str) -> tuple[str, ...]:
        """Refuse: no bundle was kept."""
        raise _not_kept(digest)

    def drop_bundles(self, before: dt.date) -> int:
        """Refuse: no bundle was kept."""
        raise _not_kept("last used", before)

    def require_marking(self, ref: ModelRef) -> None:
        """Refuse: a folder carries no tags."""
        raise _not_marked(ref)

    def mark(self, ref: ModelRef, tags: Mapping[str, str]) -> None:
        """Refuse: a folder carries no tags."""
        raise _not_marked(ref, tags)


def _not_marked(ref: ModelRef, *_unused: object) -> UsageError:
    return unmarkable(ref)


def _not_kept(*_unused: object) -> UsageError:
    return UsageError(
        "a model folder on disk is no registry that keeps bundles",
        what_to_do="Use the `bundle` folder of the check's own directory.",
    )


def copy_regular(source: str, target: str) -> str:
    """Copy a regular file; a special file, which would block for ever, becomes an empty pipe for the manifest."""
    if not Path(source).is_symlink() and not Path(source).is_file():
        os.mkfifo(target)
        return target
    return str(shutil.copyfile(source, target, follow_symlinks=False))
