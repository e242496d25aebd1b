"""Versions of registered models, requested page by page, as references."""

from collections.abc import Iterator, Mapping
from typing import Any

from gate.records.artifact import ModelRef

_PAGE = 200
NEWEST, OLDEST = "version_number DESC", "version_number ASC"
MADE_LAST = "creation_timestamp DESC"


def reference(version: Any) -> ModelRef:
    """Return the reference of a version."""
    return ModelRef(registry="mlflow", name=str(version.name), version=str(version.version))


def search(client: Any, name: str | None, order: str, most: int) -> list[Any]:
    """Return at most `most` versions of one registered model or of all, the first in an order."""
    return list(client.search_model_versions(_filter(name, {}) or None, order_by=[order], max_results=most))


def search_all(client: Any, name: str | None, tags: Mapping[str, str], *order: str) -> Iterator[Any]:
    """Yield every version, of one registered model or of all, with certain tags."""
    token = None
    while True:
        page = client.search_model_versions(
            _filter(name, tags) or None, order_by=list(order), max_results=_PAGE, page_token=token
        )
        yield from page
        token = getattr(page, "token", None)
        if not token:
            return


def _filter(name: str | None, tags: Mapping[str, str]) -> str:
    wanted = [f"name = '{_quoted(name)}'"] if name is not None else []
    return " and ".join([*wanted, *(f"tags.`{key}` = '{_quoted(value)}'" for key, value in tags.items())])


def _quoted(text: str) -> str:
    return text.replace("'", "''")
