"""The commit whose files judge a run, from the forge runner's variables: the base of a pull request, or none.

Without a base (push, schedule, manual run), the checked-out commit's files do. A pull request must state its base.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gate.check.base.objects import is_name
from gate.records.errors import UsageError
from gate.records.record import MalformedError, parse_json, read_bounded


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
    # Started by a pull request, and run by the default branch's workflow: anybody's commit may be checked out.
    if name in ("issue_comment", "workflow_run"):
        return _name(environment.get("GITHUB_SHA"), name)
    return None


def base_on_gitlab(environment: Mapping[str, str]) -> str | None:
    """Return the base commit of a merge request's pipeline, or where GitLab does not state it, the branching point."""
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
