"""Bundles kept in runs of the gate's own experiment: one run a digest, found by tags of that experiment's runs alone.

Anybody who may write to the experiment can make a run that claims any digest: `promote` hashes what it fetches, and a
check reads a kept bundle back, and replaces one that is forged or damaged. Runs dated in the future are ignored: they
would be the newest for ever.
"""

import datetime as dt
import re
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from gate.records.artifact import EVERY_FILE, Manifest, build_manifest
from gate.records.clock import today
from gate.records.errors import GateError, RegistryError, UsageError
from gate.registries.allowed import Allowed, Place
from gate.registries.downloading import OWN_FILES, bounded, bounds_of

FOLDER = "bundle"
DIGEST_TAG = "gate.bundle_digest"
STATE_TAG = "gate.bundle_state"
KEPT_TAG = "gate.bundle_kept_until"
"""The last day of the longest retention among its policies; `FOR_EVER` where one has none."""
FOR_EVER = "9999-12-31"
USED_TAG = "gate.bundle_used"
"""The day of the last check with this bundle, in UTC."""
WHOLE = "whole"
"""The state of a run with every file."""
MOST_PLACES = 10
MOST_DROPPED = 100
_AHEAD = dt.timedelta(hours=1)
"""Tolerated difference between the clocks of machines."""
_PAGE, _MOST_PAGES = 200, 100
"""Runs a page, and pages that one call searches for old bundles."""


class Bundles:
    """The bundles in one experiment."""

    def __init__(self, client: Any, experiment: str, tracking_uri: str, allowed: Allowed) -> None:
        self._client, self._experiment, self._tracking_uri, self._allowed = client, experiment, tracking_uri, allowed
        from gate.registries import mlflow_transfer  # noqa: PLC0415  # slow to import

        self._transfer = mlflow_transfer

    def keep(self, folder: Path, digest: str, on: dt.date, days: int | None = None) -> str:
        """Store a folder unless a run holds it already; record the day and the retention, and return the place."""
        until = FOR_EVER if days is None else (on + dt.timedelta(days=days)).isoformat()
        manifest = _require(folder, digest)
        # Another account may have made the experiment, and chosen its location.
        found = self._client.get_experiment(self._experiment)
        self._allowed.place(found.artifact_location, f"the experiment {found.name!r}")
        for run in self._claiming(digest):
            if self._reuses(run, folder, manifest):
                self._client.set_tag(run.info.run_id, USED_TAG, on.isoformat())
                longest = max(until, run.data.tags.get(KEPT_TAG, FOR_EVER))  # ISO days sort as texts
                self._client.set_tag(run.info.run_id, KEPT_TAG, longest)
                return _place(run)
        tags = {DIGEST_TAG: digest, USED_TAG: on.isoformat(), KEPT_TAG: until}
        run = self._client.create_run(self._experiment, run_name=f"bundle {digest[7:19]}", tags=tags)
        if not self._completes(run, folder, manifest):
            raise RegistryError(
                f"the bundle {digest} was stored in {_place(run)}, and other files are listed there",
                what_to_do="See who else can write to the artifact store, and run it again.",
            )
        return _place(run)

    def places(self, digest: str) -> tuple[str, ...]:
        """Return the places that claim to hold the whole bundle, the newest first; the caller hashes the files."""
        return tuple(_place(run) for run in self._runs(digest, f"tags.`{STATE_TAG}` = '{WHOLE}'"))

    def drop(self, before: dt.date) -> int:
        """Delete the runs of bundles that were last used before a day; MLflow can restore them until its `gc`."""
        # Deleting shifts the pages: the whole search comes first.
        old = [run.info.run_id for run in islice(self._old(before), MOST_DROPPED)]
        dropped = 0
        for run_id in old:
            if _unused(self._client.get_run(run_id), before):  # and no check has used it meanwhile
                self._client.delete_run(run_id)
                dropped += 1
        return dropped

    def _claiming(self, digest: str) -> list[Any]:
        return sorted(self._runs(digest), key=lambda run: run.data.tags.get(STATE_TAG) != WHOLE)

    def _runs(self, digest: str, *more: str) -> list[Any]:
        latest = int((dt.datetime.now(dt.UTC) + _AHEAD).timestamp() * 1000)
        wanted = (f"tags.`{DIGEST_TAG}` = '{_digest(digest)}'", f"attributes.start_time <= {latest}", *more)
        order = ["start_time DESC"]
        found = self._client.search_runs(
            [self._experiment], " and ".join(wanted), max_results=MOST_PLACES, order_by=order
        )
        return list(found)

    def _reuses(self, run: Any, folder: Path, manifest: Manifest) -> bool:
        """Tell whether a run holds the bundle, after completing an interrupted upload."""
        try:
            if run.data.tags.get(STATE_TAG) == WHOLE:
                return self._reads_back(run, manifest)
            return not self._listed(run, manifest).keys() - _sizes(manifest).keys() and self._completes(
                run, folder, manifest
            )
        except Exception:  # noqa: BLE001  # a foreign run, or one that is being deleted, must not prevent another
            return False

    def _completes(self, run: Any, folder: Path, manifest: Manifest) -> bool:
        """Upload every file, and tag the run as whole, last, if exactly these files are listed."""
        self._transfer.upload(self._files(run), folder, None, self._tracking_uri, self._allowed.allows)
        listed, sizes = self._listed(run, manifest), _sizes(manifest)
        if listed.keys() != sizes.keys() or any(listed[name] not in {size, None} for name, size in sizes.items()):
            return False
        self._client.set_terminated(run.info.run_id)
        self._client.set_tag(run.info.run_id, STATE_TAG, WHOLE)
        return True

    def _reads_back(self, run: Any, manifest: Manifest) -> bool:
        """Tell whether a run holds these files and no others; no more is downloaded than they are."""
        if self._listed(run, manifest).keys() != _sizes(manifest).keys():
            return False
        with tempfile.TemporaryDirectory(prefix="gate-bundle-", ignore_cleanup_errors=True) as name:
            to = Path(name)
            with bounded(to, bounds_of(manifest), _place(run), own_files=OWN_FILES):
                self._transfer.download_folder(self._files(run), to, self._tracking_uri, self._allowed.allows)
            found, problems = build_manifest(to, ignored=EVERY_FILE)
        return not problems and found == manifest

    def _listed(self, run: Any, manifest: Manifest) -> dict[str, int | None]:
        """Return the files of a run's bundle; only the bundle's own folders are listed."""
        folders = {str(parent) for file in manifest.files for parent in Path(file.path).parents} - {"."}
        return self._transfer.list_files(self._files(run), folders, self._tracking_uri, self._allowed.allows)

    def _files(self, run: Any) -> Place:
        return self._allowed.place(f"{str(run.info.artifact_uri).rstrip('/')}/{FOLDER}", _place(run))

    def _old(self, before: dt.date) -> Iterator[Any]:
        """Yield the runs with an old bundle and nothing else, the oldest first."""
        token = None
        for _ in range(_MOST_PAGES):
            page = self._client.search_runs(
                [self._experiment],
                f"tags.`{DIGEST_TAG}` LIKE 'sha256:%'",
                max_results=_PAGE,
                order_by=["start_time ASC"],
                page_token=token,
            )
            yield from (run for run in page if _unused(run, before) and self._holds_a_bundle_alone(run))
            token = page.token
            if not token:
                return

    def _holds_a_bundle_alone(self, run: Any) -> bool:
        """Tell whether a run has no other artifacts: a tag must not get a run with reports deleted."""
        try:
            place = self._allowed.place(str(run.info.artifact_uri), _place(run))
            return self._transfer.list_files(place, set(), self._tracking_uri, self._allowed.allows).keys() <= {
                f"{FOLDER}/"
            }
        except GateError:
            return False


def _require(folder: Path, digest: str) -> Manifest:
    """Return the folder's manifest; another digest than this one is a `UsageError`."""
    manifest, problems = build_manifest(folder, ignored=EVERY_FILE)
    if problems or manifest.digest != _digest(digest):
        raise UsageError(
            f"the folder {folder} is not the bundle that was judged: expected {digest}, got {manifest.digest}; "
            "nothing was stored",
            what_to_do="Run `gate check` again.",
        )
    return manifest


def _digest(text: str) -> str:
    """Return a digest that is valid in a filter."""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise UsageError(f"{text[:100]!r} is no digest of a bundle; expected sha256: and 64 hexadecimal digits")
    return text


def _place(run: Any) -> str:
    return f"runs:/{run.info.run_id}/{FOLDER}"


def _sizes(manifest: Manifest) -> dict[str, int]:
    return {file.path: file.size_bytes for file in manifest.files}


def _unused(run: Any, before: dt.date) -> bool:
    """Tell whether a run's tags name a bundle last used before a day, and that no policy keeps for longer."""
    if DIGEST_TAG not in run.data.tags:
        return False
    try:
        used, kept = (dt.date.fromisoformat(run.data.tags.get(tag, "")) for tag in (USED_TAG, KEPT_TAG))
    except ValueError:
        return False
    return used < before and kept <= today()
