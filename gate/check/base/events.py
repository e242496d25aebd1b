"""Which commit a run is judged by, as the forge's runner says: the base of a pull request, or none.

None means that the checked-out commit is judged by its own files: a push, a schedule, a manual run. A run that is a
pull request and does not say its base is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gate.check.base.objects import is_name
from gate.records.errors import UsageError
from gate.records.record import MalformedError, parse_json, read_bounded

DEFAULT_BRANCH_EVENTS = ("issue_comment", "workflow_run")
"""Started by a pull request, and run by the default branch's workflow: what is checked out may be anybody's."""


def base_on_github(environment: Mapping[str, str]) -> str | None:
    """Return the base commit of what started a workflow."""
    name = environment.get("GITHUB_EVENT_NAME", "")
    if not name:
        raise UsageError("GITHUB_EVENT_NAME is not set; expected the variables of a GitHub runner")
    event = _event(environment.get("GITHUB_EVENT_PATH", ""))
    if name == "merge_group":
        return _name(_at(event, "merge_group", "base_sha"), name)
    if name.startswith("pull_request") or isinstance(_at(event, "pull_request"), dict):
        return _name(_at(event, "pull_request", "base", "sha"), name)
    if name in DEFAULT_BRANCH_EVENTS:
        return _name(environment.get("GITHUB_SHA"), name)
    return None


def base_on_gitlab(environment: Mapping[str, str]) -> str | None:
    """Return the base commit of a merge request's pipeline: the target branch's where GitLab tells it.

    That is in a merged results pipeline alone; elsewhere it is the commit at which the merge request branched off.
    """
    if environment.get("CI_PIPELINE_SOURCE") == "external_pull_request_event":
        return _name(environment.get("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_SHA"), "external pull request")
    if environment.get("CI_PIPELINE_SOURCE") != "merge_request_event" and not environment.get("CI_MERGE_REQUEST_IID"):
        return None
    names = ("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "CI_MERGE_REQUEST_DIFF_BASE_SHA")
    return _name(next((found for name in names if (found := environment.get(name))), None), "merge request")


def _event(path: str) -> Any:
    if not path:
        return None
    try:
        return parse_json(read_bounded(Path(path)), what="the event")
    except MalformedError:
        return None


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _name(commit: Any, what: str) -> str:
    if isinstance(commit, str) and is_name(commit):
        return commit
    got = f"got {commit[:80]!r}" if isinstance(commit, str) else "got none"
    raise UsageError(
        f"the run is a {what.replace('_', ' ')}, and its base commit is not known: expected 40 hex digits, {got}"
    )
