"""The base commit's files that judge a pull request, written where the gate will run, and what the head changes.

Only the files that a check reads are taken (policy, bank, samples), and the gate runs in a folder with nothing else.
"""

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gate.check.base.objects import MAX_OBJECT_BYTES, ObjectStore
from gate.check.base.tree import FOLDER, Tree
from gate.policies.packaged import NAMES, policy_at
from gate.policies.read import MAX_POLICY_BYTES, parse_policy, read_policy
from gate.records.bank import MAX_BANK_BYTES, Bank
from gate.records.clock import today
from gate.records.errors import CannotFinishError, UsageError
from gate.records.policy import Policy
from gate.records.previous import NONE
from gate.records.record import MalformedError
from gate.registries.uris import folder_of, is_registry_uri, shown

MAX_TAKEN_BYTES, MAX_TAKEN_FILES = 4 << 30, 100_000
MAX_SHOWN = 10
"""Differences that a note names; the others are counted."""


@dataclass(frozen=True)
class Named:
    """The files that a check is to read; empty where none is named."""

    policy: str
    bank: str = ""
    samples: str = ""
    base: str = ""
    """What an adapter or a tuned language model was made from (`--base`)."""
    against: str = ""
    """What a candidate is compared with (`--against`)."""


@dataclass(frozen=True)
class Taken:
    """What was taken from the base."""

    commit: str
    files: tuple[str, ...]
    differing: tuple[str, ...]
    """The pull request's changes, such as `changes policies/credit.yml`."""

    @property
    def note(self) -> str:
        """The pull request's differences in a sentence; empty where there are none."""
        if not self.differing:
            return ""
        left = len(self.differing) - MAX_SHOWN
        words = [*self.differing[:MAX_SHOWN], *([f"{left} more"] if left > 0 else [])]
        listed = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
        return (
            f"This pull request {listed}. That decided nothing: the version was judged by the base branch's "
            f"files (commit {self.commit[:12]})."
        )


def take(workspace: Path, commit: str, named: Named, to: Path) -> Taken:
    """Write the base commit's files that a check reads below `to`, and compare them with the checked-out ones."""
    store = ObjectStore(workspace)
    if not store.has(commit):
        raise UsageError(
            f"the base commit {commit} is not in this checkout",
            what_to_do="Check out with history: fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab.",
        )
    return _Taking(workspace.resolve(), commit, Tree(store, commit), to).all_of(named)


def require_own(workspace: Path, report_dir: str) -> None:
    """Refuse a report directory that the checkout contains, or that a link leads to: a check resumes from its files."""
    root = workspace.resolve()
    here = Path(posixpath.normpath(root / report_dir))
    if not here.is_relative_to(root):
        if here.resolve().is_relative_to(root):
            raise _brought(report_dir, "leads into the checkout by a link")
        return
    if here == root:
        raise _brought(report_dir, "is the checkout itself")
    for directory in (here, *here.parents):
        if directory == root:
            break
        if directory.is_symlink():
            raise _brought(report_dir, "leads through a link")
    if here.exists() and (not here.is_dir() or any(here.iterdir())):
        raise _brought(report_dir, "is not empty")


def _brought(report_dir: str, why: str) -> UsageError:
    return UsageError(
        f"the report directory {report_dir} {why}; expected an empty one, because what lies there would be believed",
        what_to_do="Name one that the repository does not hold, another for each check of a job, or one outside it.",
    )


class _Taking:
    def __init__(self, workspace: Path, commit: str, tree: Tree, to: Path) -> None:
        self._workspace, self._commit, self._tree, self._to = workspace, commit, tree, to
        self._files: dict[PurePosixPath, None] = {}
        self._differing: dict[str, None] = {}
        self._bytes = 0

    def all_of(self, named: Named) -> Taken:
        policy = None if named.policy in NAMES else self._inside(named.policy, "the policy")
        # A policy outside the checkout can still pin samples by a path in the repository.
        rules = self._policy(policy) if policy is not None else read_policy(policy_at(named.policy), on=today())
        if named.bank:
            self._bank(self._inside(named.bank, "the bank"))
        elif policy is not None and rules.bank is not None:
            self._bank(self._inside(rules.bank.path, "the policy's bank", policy.parent))
        if named.samples:
            self._samples(named.samples, required=True)
        else:
            for own in (rules.samples, *rules.samples.models.values()):
                if own.uri is not None:
                    self._samples(own.uri, required=False)
        self._require_outside(named.base, "the base model")
        self._require_outside(named.against, "the version to compare with")
        return Taken(self._commit, tuple(map(str, self._files)), tuple(self._differing))

    def _inside(self, named: str, what: str, folder: PurePosixPath | None = None) -> PurePosixPath | None:
        """Return a named file's path in the repository; None for one outside, which is not the pull request's."""
        if posixpath.isabs(named):
            real, lexical = Path(named).resolve(), Path(posixpath.normpath(named))
            if any(path.is_relative_to(self._workspace) for path in (real, lexical)):
                raise UsageError(
                    f"{what} {named} is named by an absolute path inside the checkout",
                    what_to_do="Name it relative to the repository's root, so that the base branch's can be read.",
                )
            return None
        path = PurePosixPath(posixpath.normpath(str((folder or PurePosixPath()) / named)))
        if path.parts[:1] in ((), ("..",)):
            raise UsageError(
                f"{what} {named} is no file below the repository's root",
                what_to_do="Name it relative to that root, or outside the checkout by its absolute path.",
            )
        return path

    def _require_outside(self, uri: str, what: str) -> None:
        """Refuse a model folder of the checkout, which a pull request could have brought; git holds no such folder."""
        if uri in ("", NONE) or is_registry_uri(uri):
            return
        folder = Path(folder_of(uri))
        real, lexical = folder.resolve(), Path(posixpath.normpath(folder))
        if not folder.is_absolute() or any(path.is_relative_to(self._workspace) for path in (real, lexical)):
            raise UsageError(
                f"{what} {shown(uri)} is a folder of the checkout: a pull request is not judged by what it brings",
                what_to_do="Register it, and name it as models:/NAME/VERSION, or name a folder outside the checkout by "
                "its absolute path.",
            )

    def _policy(self, path: PurePosixPath) -> Policy:
        raw = self._file(path, "the policy", MAX_POLICY_BYTES)
        return parse_policy(raw.decode("utf-8", errors="replace"), name=f"{path} (base branch)", on=today())

    def _bank(self, path: PurePosixPath | None) -> None:
        if path is None:
            return
        raw = self._file(path, "the bank", MAX_BANK_BYTES)
        try:
            bank = Bank.from_json(raw, what=path.name, limit=MAX_BANK_BYTES)
        except MalformedError as error:
            raise UsageError(f"the bank {path} of the base branch cannot be read: {error}") from None
        for reference in bank.references:
            self._file(path.parent / reference.path, "the bank's reference", MAX_OBJECT_BYTES)

    def _samples(self, uri: str, *, required: bool) -> None:
        local = uri.removeprefix("file://")
        if ":/" in local and not posixpath.isabs(local):
            return  # the registry's artifact: the folder where the gate runs has no file of that name to prefer
        path = self._inside(local, "the samples")
        entry = self._tree.find(path) if path is not None else None
        if path is None or (entry is None and not required):
            return
        if entry is None:
            raise self._missing(path, "the samples")
        for place, name in self._tree.files(path, entry):
            self._write(place, self._tree.content(name))
        if entry.mode == FOLDER:
            self._added(path)

    def _file(self, path: PurePosixPath, what: str, limit: int) -> bytes:
        entry = self._tree.find(path)
        if entry is None:
            raise self._missing(path, what)
        if entry.mode == FOLDER:
            raise UsageError(f"{what} {path} is a folder in the base branch; expected a file")
        ((place, name),) = self._tree.files(path, entry)
        raw = self._tree.content(name, limit)
        self._write(place, raw)
        return raw

    def _missing(self, path: PurePosixPath, what: str) -> UsageError:
        added = (self._workspace / path).exists()
        return UsageError(
            f"{what} {path}: not in the base branch (commit {self._commit[:12]})"
            + (": a pull request is not judged by what it adds itself" if added else ""),
            what_to_do="Merge it into the base branch first, in a pull request of its own, or name a file outside the "
            "checkout by its absolute path.",
        )

    def _write(self, path: PurePosixPath, raw: bytes) -> None:
        if path in self._files:
            return
        if raw.startswith(b"version https://git-lfs.github.com/spec/"):
            raise UsageError(
                f"{path} is a Git LFS pointer in the base branch, not the file itself",
                what_to_do="Name it as an artifact of the registry, or outside the checkout by its absolute path.",
            )
        self._files[path] = None
        self._bytes += len(raw)
        if self._bytes > MAX_TAKEN_BYTES or len(self._files) > MAX_TAKEN_FILES:
            raise UsageError(
                f"policy, bank and samples are more than {MAX_TAKEN_FILES} files or {MAX_TAKEN_BYTES >> 30} GiB",
                what_to_do="Keep the samples in the registry, and pin them in the policy by address and sha256.",
            )
        target = self._to / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as stream:
                stream.write(raw)
        except OSError as error:
            raise CannotFinishError(f"{target} cannot be written: {error.strerror}") from None
        if difference := _difference(self._workspace, path, raw):
            self._differing[f"{difference} {path}"] = None

    def _added(self, folder: PurePosixPath) -> None:
        for path in _walk(self._workspace, folder):
            if path not in self._files:
                self._differing[f"adds {path}"] = None
                if len(self._differing) > MAX_TAKEN_FILES:
                    return


def _difference(workspace: Path, path: PurePosixPath, raw: bytes) -> str:
    """Return what the checkout does with a file of the base; empty where it has the same bytes, not through a link."""
    here = workspace
    for part in path.parts:
        here /= part
        if here.is_symlink():
            return "changes"
    if not here.exists():
        return "removes"
    same = here.is_file() and here.stat().st_size == len(raw) and here.read_bytes() == raw
    return "" if same else "changes"


def _walk(workspace: Path, folder: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield the files of the checkout below a folder, without following links."""
    if (workspace / folder).is_symlink():
        return
    for where, _, names in os.walk(workspace / folder, followlinks=False):
        inside = PurePosixPath(Path(where).relative_to(workspace).as_posix())
        yield from (inside / name for name in sorted(names))
