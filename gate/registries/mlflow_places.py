"""Addresses of the registry's artifacts: references are followed to an address, which `gate.registries.allowed` judges.

The requests are those of MLflow's own download (3.17: `ModelsArtifactRepository`, `RunsArtifactRepository`).
"""

from collections.abc import Callable, Iterator
from typing import Any

from gate.records.addresses import Address, AddressError, parse_address, parse_model_artifact, parse_run_artifact
from gate.records.artifact import ModelRef
from gate.records.errors import RefusedAddressError, RegistryError, UsageError
from gate.records.record import MalformedError, parse_json

HOPS = 4
"""References that may follow each other."""
_PAGE, _MOST_EXPERIMENTS = 200, 10_000


def locate(client: Any, uri: str, resolve: Callable[[str], ModelRef]) -> str:
    """Return the address of `models:/…` or `runs:/…`; another address is returned unchanged."""
    raw, where = uri, uri
    for _ in range(HOPS):
        try:
            run, model = parse_run_artifact(raw), parse_model_artifact(raw)
        except AddressError as error:
            raise RefusedAddressError(f"{uri[:300]!r} leads to {raw[:300]!r}, which {error}") from None
        if run is not None:
            where, path = str(client.get_run(run[0]).info.artifact_uri), run[1]
        elif model is not None:
            where, path = _of_model(client, model[0], resolve), model[1]
        else:
            return raw
        raw = "/".join((where.rstrip("/"), *path))
    raise RefusedAddressError(f"{uri[:300]!r} leads from one reference to the next more than {HOPS} times")


def _of_model(client: Any, name: str, resolve: Callable[[str], ModelRef]) -> str:
    if "/" not in name and "@" not in name:
        return str(client.get_logged_model(name).artifact_location)
    try:
        ref = resolve(f"models:/{name}")
    except UsageError as error:
        # A stage, whose version changes, or no reference at all.
        raise RefusedAddressError(str(error)) from None
    return str(client.get_model_version_download_uri(ref.name, ref.version))


def experiment_locations(client: Any) -> Iterator[tuple[str, str]]:
    """Yield name and artifact location of every experiment, deleted ones too."""
    from mlflow.entities import ViewType  # noqa: PLC0415  # slow to import

    token, seen = None, 0
    while seen < _MOST_EXPERIMENTS:
        page = client.search_experiments(view_type=ViewType.ALL, max_results=_PAGE, page_token=token)
        yield from ((str(one.name), str(one.artifact_location)) for one in page)
        seen, token = seen + len(page), page.token
        if not token:
            return
    raise RegistryError(f"the registry has more than {_MOST_EXPERIMENTS} experiments")


def experiment_folders(client: Any) -> tuple[Address, ...]:
    """Return the local folders of an embedded store's experiments."""
    found = []
    for _, location in experiment_locations(client):
        try:
            address = parse_address(location)
        except AddressError:
            continue
        if address.scheme == "file":
            found.append(address)
    return tuple(found)


def training_path(run: Any) -> str:
    """Return the path, in a run's artifacts, of the dataset that it logged in the context `training`."""
    for logged in run.inputs.dataset_inputs:
        context = {tag.key: tag.value for tag in logged.tags}.get("mlflow.data.context")
        inside = _path_inside(_source_uri(logged.dataset.source), run.info.artifact_uri)
        if context == "training" and inside:
            return inside
    return ""


def _source_uri(source: str) -> str:
    """Return the address in a dataset's source, which MLflow keeps as JSON text; empty where it is malformed."""
    try:
        value = parse_json(source.encode(), what="dataset source", limit=1 << 16)
    except MalformedError:
        return ""
    return str(value.get("uri", "")) if isinstance(value, dict) else ""


def _path_inside(uri: str, artifacts: str) -> str:
    """Return the path of an address in a run's artifacts; empty where it is elsewhere."""
    below = uri.removeprefix("file://").removeprefix(artifacts.removeprefix("file://").rstrip("/") + "/")
    outside = below == uri.removeprefix("file://") or ".." in below.split("/")
    return "" if outside else below
