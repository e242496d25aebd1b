"""The MLflow registry: versions, tags and reports by its client, downloads by `mlflow_places` and `mlflow_transfer`.

`mlflow.*.load_model` is never called: a flavour's loader runs the candidate's code. Artifact addresses are
candidate-controlled: each is judged before a request, and only the tracking server gets the registry's credentials.
"""

import copy
import datetime as dt
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from gate.records.activity import doing
from gate.records.addresses import AddressError, is_reference, parse_server, parse_store
from gate.records.artifact import IGNORED, ModelRef
from gate.records.clock import today
from gate.records.errors import CannotFinishError, RegistryError, UnknownVersionError, UsageError
from gate.records.logins import without_login
from gate.registries.allowed import Allowed
from gate.registries.contract import RegistrySettings, VersionFacts
from gate.registries.mlflow_answers import RefusedRightError
from gate.registries.mlflow_bundles import Bundles
from gate.registries.mlflow_databases import require_database
from gate.registries.mlflow_errors import explained
from gate.registries.mlflow_failure import Server
from gate.registries.mlflow_names import Named, unknown, unlisted
from gate.registries.mlflow_places import experiment_folders, locate, training_path
from gate.registries.mlflow_rights import patience, require_marking, within
from gate.registries.mlflow_versions import NEWEST, OLDEST, reference, search, search_all
from gate.registries.uris import parse_model_uri

REPORT_FOLDER = "report"
_KEY_TAG = "gate.check"


class MlflowRegistry:
    """Registered models behind an MLflow tracking server, or in an embedded store."""

    marks = True

    def __init__(self, settings: RegistrySettings) -> None:
        _prepare(settings)
        import mlflow  # noqa: PLC0415  # two seconds that only a registry costs
        from mlflow.tracking import MlflowClient  # noqa: PLC0415

        from gate.registries import mlflow_transfer  # noqa: PLC0415  # imports it too

        self._transfer = mlflow_transfer
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        for repeating in ("mlflow.store.db.utils", "urllib3.connectionpool"):
            # Both log every attempt; the gate reports the last one.
            logging.getLogger(repeating).setLevel(logging.ERROR)

        self._settings = settings
        self._patience = patience(settings.timeout_seconds, settings.retries)
        self._tracking_uri = settings.tracking_uri or settings.registry_uri
        self._registry_uri = settings.registry_uri or settings.tracking_uri
        self._server = Server(
            str(self._tracking_uri),
            _stated("MLFLOW_HTTP_REQUEST_TIMEOUT", settings.timeout_seconds),
            _stated("MLFLOW_HTTP_REQUEST_MAX_RETRIES", settings.retries),
        )
        self.allowed = self._allowed(())
        for uri in {str(self._tracking_uri), str(self._registry_uri)}:
            require_database(uri, settings.retries)
        with self._errors("the registry"):
            # An embedded registry looks up a version's source in the process's own store.
            mlflow.set_tracking_uri(self._tracking_uri)
            mlflow.set_registry_uri(self._registry_uri)
            self._client: Any = MlflowClient(self._tracking_uri, self._registry_uri)

    def _allowed(self, stores: Sequence[str]) -> Allowed:
        try:
            server = parse_server(str(self._tracking_uri))
        except AddressError as error:
            raise UsageError(
                f"the tracking URI {without_login(str(self._tracking_uri))!r} {error}",
                what_to_do="Correct it; a user name or password in it has %2F for a slash, %40 for an @.",
            ) from None
        return Allowed(server, tuple(map(parse_store, stores)), lambda: experiment_folders(self._client))

    def allowing(self, stores: Sequence[str]) -> Self:
        """Return the same registry with the policy's list of stores from which it may download."""
        other = copy.copy(self)
        other.allowed = self._allowed(stores)
        return other

    def resolve(self, uri: str) -> ModelRef:
        """Return the version that `models:/NAME/VERSION`, `models:/NAME@ALIAS` or `models:/NAME/latest` names now."""
        name, version, alias = parse_model_uri(uri)

        def look_up() -> Any:
            if alias is not None:
                return self._client.get_model_version_by_alias(name, alias)
            return self._latest(name) if version == "latest" else self._client.get_model_version(name, version)

        with self._errors(uri, Named(name, version, alias)):
            found = within(self._patience, uri, look_up)
        return reference(found)

    def _latest(self, name: str) -> Any:
        self._client.get_registered_model(name)
        found = search(self._client, name, NEWEST, 1)
        if not found:
            raise UnknownVersionError(f"the registered model {name!r} has no version")
        return found[0]

    def versions(self, name: str) -> tuple[tuple[ModelRef, Mapping[str, str]], ...]:
        """Return every version of a registered model with its tags, the oldest first."""
        with self._errors(name):
            self._client.get_registered_model(name)
            return tuple((reference(one), dict(one.tags)) for one in search_all(self._client, name, {}, OLDEST))

    def facts(self, ref: ModelRef) -> VersionFacts:
        """Return description and tags of the version and of its registered model."""
        with self._errors(str(ref)):
            version = self._client.get_model_version(ref.name, ref.version)
            model = self._client.get_registered_model(ref.name)
        return VersionFacts(version.description or "", dict(version.tags), dict(model.tags))

    def pull(self, ref: ModelRef, to: Path) -> None:
        """Download the version's files into `to`, from an allowed address only."""
        with self._errors(str(ref)):
            raw = locate(self._client, self._client.get_model_version_download_uri(ref.name, ref.version), self.resolve)
            self._transfer.download_folder(
                self.allowed.place(raw, str(ref)), to, str(self._tracking_uri), self.allowed.allows
            )
        for name in IGNORED:
            # MLflow writes files of these names: a folder is judged like any other.
            if not (to / name).is_dir() or (to / name).is_symlink():
                (to / name).unlink(missing_ok=True)

    def fetch(self, uri: str, to: Path) -> Path:
        """Download an artifact such as `runs:/…/samples.npz` below `to`; return the operator's own path unchanged.

        The caller has made sure that a tag's value is no path (`gate.records.addresses.is_reference`).
        """
        local = Path(uri.removeprefix("file://"))
        if not is_reference(uri) and local.exists():
            return local
        return self._download(uri, to)

    def training_set(self, ref: ModelRef, to: Path) -> tuple[str, Path] | None:
        """Download the dataset that the version's run logged in the context `training`, from the run's own artifacts.

        No other source is followed: a candidate would choose where this process, which holds credentials, connects.
        """
        with self._errors(f"the run of {ref}"):
            run_id = self._client.get_model_version(ref.name, ref.version).run_id
            if not run_id:
                return None
            run = self._client.get_run(run_id)
        inside = training_path(run)
        return (uri := f"runs:/{run_id}/{inside}", self._download(uri, to)) if inside else None

    def _download(self, uri: str, to: Path) -> Path:
        with self._errors(uri):
            place = self.allowed.place(locate(self._client, uri, self.resolve), uri)
            return self._transfer.download(place, to, str(self._tracking_uri), self.allowed.allows)

    def log_reports(self, ref: ModelRef, folder: Path, key: str) -> str:
        """Store the folder's files in a run of the gate's own experiment, one run per key."""
        with self._errors(f"the reports of {ref}"):
            experiment = self._experiment()
            runs = self._client.search_runs([experiment], f"tags.`{_KEY_TAG}` = '{key}'", max_results=1)
            if runs:
                run_id = runs[0].info.run_id
            else:
                name = f"{ref.name} {ref.version}"
                tags = {_KEY_TAG: key, "gate.model": str(ref)}
                run_id = self._client.create_run(experiment, run_name=name, tags=tags).info.run_id
            with doing("storing the reports in the registry"):
                self._upload(self._client.get_run(run_id).info.artifact_uri, folder, REPORT_FOLDER)
            self._client.set_terminated(run_id)
        return f"runs:/{run_id}/{REPORT_FOLDER}"

    def keep_bundle(self, folder: Path, digest: str, days: int | None = None) -> str:
        """Store a bundle in a run of the gate's own experiment, once per digest; a kept one is read back and noted."""
        with self._errors(f"the bundle {digest}"), doing("keeping the bundle in the registry"):
            return self._bundles(self._experiment()).keep(folder, digest, today(), days)

    def bundle_places(self, digest: str) -> tuple[str, ...]:
        """Return the runs of the gate's experiment that claim to hold a bundle, the newest first."""
        with self._errors(f"the bundle {digest}"):
            experiment = self._own_experiment()
            found = self._bundles(experiment).places(digest) if experiment else ()
        if not found:
            raise RegistryError(
                f"no run of the experiment {self._settings.experiment!r} holds the bundle {digest}: none was kept, "
                "or it was deleted",
                what_to_do="Run `gate check` on the version again, which keeps it, or name its folder with --bundle.",
            )
        return found

    def drop_bundles(self, before: dt.date) -> int:
        """Delete the runs of bundles that no check has used since a day; return how many."""
        with self._errors(f"the bundles in the experiment {self._settings.experiment!r}"):
            experiment = self._own_experiment()
            return self._bundles(experiment).drop(before) if experiment else 0

    def _bundles(self, experiment: str) -> Bundles:
        return Bundles(self._client, experiment, str(self._tracking_uri), self.allowed)

    def _upload(self, location: str, folder: Path, below: str | None = None) -> None:
        """Store a folder's files at a location of the gate's experiment, which another account may have made."""
        place = self.allowed.place(location, f"the experiment {self._settings.experiment!r}")
        self._transfer.upload(place, folder, below, str(self._tracking_uri), self.allowed.allows)

    def _own_experiment(self) -> str | None:
        """Return the id of the gate's experiment; None before its first use."""
        found = self._client.get_experiment_by_name(self._settings.experiment)
        if found is None:
            return None
        if found.lifecycle_stage != "active":
            raise RegistryError(
                f"the experiment {self._settings.experiment!r} has been deleted",
                what_to_do="Restore it, or name another with --experiment.",
            )
        return str(found.experiment_id)

    def _experiment(self) -> str:
        """Return the id of the gate's experiment, which the first use makes."""
        if (found := self._own_experiment()) is not None:
            return found
        location = None
        if not str(self._tracking_uri).startswith("http"):
            # An embedded store would put artifacts below the working directory; they belong beside the others.
            default = self._client.get_experiment("0")
            location = f"{default.artifact_location.rsplit('/', maxsplit=1)[0]}/{self._settings.experiment}"
        try:
            return str(self._client.create_experiment(self._settings.experiment, artifact_location=location))
        except Exception:
            if (made := self._own_experiment()) is not None:
                return made  # by another check meanwhile
            raise

    def require_marking(self, ref: ModelRef) -> None:
        """Ask or try whether this account may mark the version and log reports, without waiting for ever."""
        what, uri = f"the right to mark {ref}", str(self._registry_uri)
        with self._errors(what):
            within(self._patience, what, lambda: require_marking(self._client, uri, ref, self._experiment))

    def mark(self, ref: ModelRef, tags: Mapping[str, str]) -> None:
        """Set tags on the version, in the order given."""
        with self._errors(str(ref)):
            for key, value in tags.items():
                self._client.set_model_version_tag(ref.name, ref.version, key, value)

    @contextmanager
    def _errors(self, what: str, named: Named | None = None) -> Iterator[None]:
        """Turn MLflow's, the network's and the disk's errors into the gate's; an unknown `named` gets suggestions."""
        try:
            yield
        except (UsageError, CannotFinishError):
            raise
        except Exception as error:  # noqa: BLE001  # MLflow, requests, SQLAlchemy and stores raise what they like
            found = explained(error, what, self._server)
            if named is not None and isinstance(found, RefusedRightError):
                found = unlisted(self._client, what, named) or found
            elif named is not None and isinstance(found, UnknownVersionError):
                found = unknown(self._client, what, named)
            raise found from None


def _prepare(settings: RegistrySettings) -> None:
    """Set the environment of MLflow's client, before it is imported; the operator's own values stay."""
    usual = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.timeout_seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(settings.retries),
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    os.environ.update({name: value for name, value in usual.items() if name not in os.environ})
    # Standard output is the gate's own: the client would print a link to the run before the decision.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    # A redirect would lead to an address that was not judged.
    os.environ["MLFLOW_ALLOW_HTTP_REDIRECTS"] = "false"


def _stated(variable: str, otherwise: int) -> int:
    """Return the number that MLflow's client uses: the operator's in the environment, or `otherwise`."""
    text = os.environ.get(variable, "")
    return int(text) if text.isascii() and text.isdigit() else otherwise
