"""What is examined: a model version's reference, files and manifest (docs/reference/contracts.md, section 4)."""

import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from gate.records.errors import UsageError
from gate.records.fields import Sha256
from gate.records.record import Record

IGNORED = frozenset({"registered_model_meta"})
"""Files that MLflow itself writes into a download (name and version); no part of the model."""
EVERY_FILE: frozenset[str] = frozenset()
"""For a folder of the gate's own, which is stored as a whole: no file is ignored."""

MAX_FILES = 20_000
MAX_SAMPLE_FILES = 200_000
MAX_PATH_DEPTH = 32
_CHUNK = 1 << 20


class ModelRef(Record):
    """A model version in a registry, or a model folder on disk; `ModelRef.parse(str(ref)) == ref`."""

    registry: str = Field(pattern=r"^(mlflow|directory)$")
    name: str = Field(min_length=1, max_length=4096)
    version: str | None = Field(default=None, max_length=64)

    @model_validator(mode="after")
    def _version_where_it_belongs(self) -> Self:
        if (self.registry == "mlflow") != (self.version is not None):
            raise ValueError("a registered model has a version, a directory has none")
        return self

    def __str__(self) -> str:
        return f"models:/{self.name}/{self.version}" if self.registry == "mlflow" else f"directory:{self.name}"

    @property
    def uri(self) -> str:
        """The argument of `gate check`: a folder's plain path, or the version's URI."""
        return self.name if self.registry == "directory" else str(self)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; anything else is a `UsageError`."""
        match = re.fullmatch(r"models:/(.{1,4096})/([0-9]{1,64})|directory:(.{1,4096})", text, flags=re.DOTALL)
        if match is None:
            raise UsageError(f"not a model reference: {text[:200]!r}; expected models:/NAME/VERSION or directory:PATH")
        name, version, path = match.groups()
        return cls(registry="directory", name=path) if path else cls(registry="mlflow", name=name, version=version)


class ArtifactFile(Record):
    """One file of the artifact."""

    path: str = Field(min_length=1, max_length=4096)
    """Relative, with forward slashes."""
    size_bytes: int = Field(ge=0)
    sha256: Sha256

    def line(self) -> str:
        """Return the manifest line: digest, size and the path as JSON text, in which no name can forge a line."""
        return f"{self.sha256}  {self.size_bytes}  {json.dumps(self.path)}"


class Manifest(Record):
    """All files of an artifact, sorted by path."""

    files: tuple[ArtifactFile, ...]

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the sorted lines: the name of what was scanned."""
        lines = "\n".join(file.line() for file in sorted(self.files, key=lambda file: file.path))
        return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"

    @property
    def size_bytes(self) -> int:
        """The sum of the files' sizes."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True)
class Artifact:
    """A hashed private copy of a candidate."""

    ref: ModelRef
    root: Path
    manifest: Manifest


def file_sha256(path: Path) -> str:
    """Return the hex sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def build_manifest(
    root: Path, most: int = MAX_FILES, ignored: frozenset[str] = IGNORED
) -> tuple[Manifest, tuple[str, ...]]:
    """Hash every regular file below `root`; return the manifest, and a sentence for everything else that was found."""
    files: list[ArtifactFile] = []
    problems: list[str] = []
    found, too_deep = _walk(root)
    if too_deep:
        problems.append(
            f"The artifact holds {len(too_deep)} folders that lie deeper than {MAX_PATH_DEPTH} inside each other, "
            f"such as {ascii(too_deep[0].relative_to(root).as_posix())[:200]}; nothing below them was looked at."
        )
    for path in found:
        relative = path.relative_to(root).as_posix()
        if relative in ignored:
            continue
        if len(files) >= most:
            problems.append(f"The artifact holds more than {most} files.")
            break
        if not _is_utf8(relative):
            problems.append(f"The artifact holds a file whose name is not UTF-8: {ascii(relative)[:200]}.")
        elif not stat.S_ISREG(path.lstat().st_mode):
            problems.append(f"The artifact holds {relative[:200]!r}, which is no regular file.")
        else:
            files.append(ArtifactFile(path=relative, size_bytes=path.lstat().st_size, sha256=file_sha256(path)))
    return Manifest(files=tuple(sorted(files, key=lambda file: file.path))), tuple(problems[:20])


def make_read_only(root: Path) -> None:
    """Remove the write permission of every file below `root`."""
    for path in _walk(root)[0]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


def make_writable(root: Path) -> None:
    """Restore the owner's write permission below `root`, so that the copy can be removed."""
    for directory, _, _ in os.walk(root):
        Path(directory).chmod(0o700)


def _walk(root: Path) -> tuple[list[Path], list[Path]]:
    """Return every non-directory and link below `root`, without following links, and the folders too deep to enter."""
    found: list[Path] = []
    too_deep: list[Path] = []
    base = len(root.parts)
    for directory, names, files in os.walk(root, followlinks=False):
        here = Path(directory)
        found.extend(here / name for name in names if (here / name).is_symlink())
        found.extend(here / name for name in files)
        if len(here.parts) - base >= MAX_PATH_DEPTH:
            too_deep.extend(here / name for name in names if not (here / name).is_symlink())
            names.clear()
    return sorted(found), sorted(too_deep)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
