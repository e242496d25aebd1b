"""Downloads from judged addresses and no others, by MLflow's own repositories, without redirects."""

import posixpath
import shutil
from collections.abc import Callable, Collection
from http import HTTPStatus
from pathlib import Path
from typing import Any

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from mlflow.utils.rest_utils import MlflowHostCreds, http_request
from mlflow.utils.uri import validate_path_is_safe

from gate.records.errors import RegistryError, UnknownVersionError
from gate.registries.allowed import API, Place
from gate.registries.directory import copy_regular

_CHUNK = 1 << 20
_SERVED = "/mlflow-artifacts/artifacts"


def download_folder(place: Place, to: Path, tracking_uri: str, allows: Callable[[str], bool]) -> None:
    """Copy a place's files, without the place's own name, into an existing folder."""
    if place.path is not None:
        _copy(place.path, to)
    else:
        _repository(place, tracking_uri, allows).download_artifacts("", str(to))


def download(place: Place, to: Path, tracking_uri: str, allows: Callable[[str], bool]) -> Path:
    """Copy a file or folder into a folder, under its own name; return its path."""
    to.mkdir(parents=True, exist_ok=True)
    if not place.address.path:
        raise UnknownVersionError(f"{place.address} names no artifact")
    if place.path is not None:
        return _copy(place.path, to / place.path.name)
    parent = Place(place.kind, place.address.parent)
    return Path(_repository(parent, tracking_uri, allows).download_artifacts(place.address.path[-1], str(to)))


def upload(place: Place, folder: Path, below: str | None, tracking_uri: str, allows: Callable[[str], bool]) -> None:
    """Store a folder's files at a place."""
    _repository(place, tracking_uri, allows).log_artifacts(str(folder), below)


def list_files(
    place: Place, folders: Collection[str], tracking_uri: str, allows: Callable[[str], bool]
) -> dict[str, int | None]:
    """Return path and size (None: unknown) of the files at a place and in these folders; others get a slash alone."""
    repository, found = _repository(place, tracking_uri, allows), {}
    for folder in (None, *sorted(folders)):
        for one in repository.list_artifacts(folder):
            if not one.is_dir:
                found[str(one.path)] = one.file_size
            elif one.path not in folders:
                found[f"{one.path}/"] = None
    return found


def _repository(place: Place, tracking_uri: str, allows: Callable[[str], bool]) -> Any:
    uri = str(place.address)
    if place.path is not None:
        return get_artifact_repository(place.path.as_uri())
    if place.kind == "server":
        # With the short form MLflow uses the operator's login in the tracking URI.
        return _Served(uri if place.address.path else "mlflow-artifacts:/", tracking_uri, allows)
    if place.address.scheme in {"http", "https"}:
        return _WithoutCredentials(uri)
    return get_artifact_repository(uri)


def _copy(path: Path, to: Path) -> Path:
    """Copy a local file or folder; links stay links, for the manifest to refuse."""
    if not path.exists():
        raise UnknownVersionError(f"there is nothing at {path}")
    if path.is_dir():
        return Path(shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True, copy_function=copy_regular))
    return Path(copy_regular(str(path), str(to)))


class _Strict(HttpArtifactRepository):  # type: ignore[misc]  # MLflow has no types
    """Refuses a redirect, whose body MLflow would store as the artifact."""

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._stream(remote_file_path, local_path)

    def _stream(self, remote_file_path: str, local_path: str) -> None:
        answer = http_request(self._host_creds, posixpath.join("/", remote_file_path), "GET", stream=True)
        with answer:
            _require_ok(answer, remote_file_path)
            with Path(local_path).open("wb") as file:
                file.writelines(answer.iter_content(chunk_size=_CHUNK))


class _PresignedElsewhereError(Exception):
    """A presigned address outside the policy's stores."""


class _Served(MlflowArtifactsRepository, _Strict):  # type: ignore[misc]
    """The tracking server's own artifacts; a presigned address is used only where the policy lists it."""

    def __init__(self, artifact_uri: str, tracking_uri: str, allows: Callable[[str], bool]) -> None:
        super().__init__(artifact_uri, tracking_uri=tracking_uri)
        self._allows = allows

    def _get_presigned_download_url(self, remote_file_path: str) -> Any:
        found = super()._get_presigned_download_url(remote_file_path)
        if not self._allows(found.url):
            raise _PresignedElsewhereError
        return found

    def _should_multipart_upload(self, local_file: str) -> bool:
        del local_file
        return False  # it would go to addresses of the server's choice

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        try:
            super()._download_file(remote_file_path, local_path)
        except _PresignedElsewhereError:
            # The server can send the bytes itself.
            self._stream(remote_file_path, local_path)


class _WithoutCredentials(_Strict):
    """An artifact server of the policy's list, which never gets the registry's login."""

    def __init__(self, artifact_uri: str) -> None:
        super().__init__(artifact_uri)
        if _SERVED not in artifact_uri:
            raise RegistryError(
                f"{artifact_uri} is no address of an MLflow artifact server; expected …/{'/'.join(API)}/…"
            )

    @property
    def _host_creds(self) -> MlflowHostCreds:
        return MlflowHostCreds(self.artifact_uri)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        base, root = self.artifact_uri.split(_SERVED, maxsplit=1)
        asked = posixpath.join(root.lstrip("/"), path) if path else root.lstrip("/")
        answer = http_request(MlflowHostCreds(base), _SERVED, "GET", params={"path": asked})
        with answer:
            _require_ok(answer, asked)
            files = answer.json().get("files", [])
        found = [(posixpath.join(path or "", validate_path_is_safe(one["path"])), bool(one["is_dir"])) for one in files]
        if path and found == [(posixpath.join(path, posixpath.basename(path)), False)]:
            return []  # MLflow's sign for a file
        return [FileInfo(name, folder, None) for name, folder in sorted(found)]


def _require_ok(answer: Any, what: str) -> None:
    if answer.status_code != HTTPStatus.OK:
        where = " and sends elsewhere, where the gate does not follow" if answer.is_redirect else ""
        raise MlflowException(f"the artifact server answers {answer.status_code} to {what!r}{where}")
