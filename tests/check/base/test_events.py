"""Which commit judges a run, by what started it."""

import json

import pytest

from gate.check.base.events import base_on_github, base_on_gitlab
from gate.records.errors import UsageError

BASE, HEAD = "b" * 40, "c" * 40
PULL = {"pull_request": {"number": 3, "base": {"sha": BASE, "ref": "main"}, "head": {"sha": HEAD}}}
GITHUB = {
    ("pull_request", BASE): PULL,
    ("pull_request_target", BASE): PULL,
    ("pull_request_review", BASE): PULL,
    ("an_event_to_come", BASE): PULL,
    ("merge_group", BASE): {"merge_group": {"base_sha": BASE, "head_sha": HEAD}},
    ("issue_comment", HEAD): {"issue": {"pull_request": {}}},
    ("workflow_run", HEAD): {"workflow_run": {"event": "pull_request"}},
    ("push", None): {"before": BASE, "after": HEAD},
    ("workflow_dispatch", None): {"inputs": {}},
    ("schedule", None): {},
    ("release", None): {},
}


def on_github(tmp_path, name, event):
    """Return the base that a runner's variables name."""
    path = tmp_path / "event.json"
    path.write_text(event if isinstance(event, str) else json.dumps(event))
    return base_on_github({"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(path), "GITHUB_SHA": HEAD})


@pytest.mark.parametrize(("named", "event"), GITHUB.items(), ids=lambda value: value[0] if type(value) is tuple else "")
def test_an_event_of_github_has_its_base(tmp_path, named, event):
    """A pull request its base; what a pull request starts on the default branch that branch; all else none."""
    assert on_github(tmp_path, named[0], event) == named[1]


@pytest.mark.parametrize("sha", [None, 7, "", "main", BASE.upper(), f"{BASE}\n", f"--upload-pack={BASE}", BASE + "0"])
def test_a_base_that_is_no_commit_is_refused(tmp_path, sha):
    """A pull request whose base is not 40 hexadecimal digits is judged by nothing."""
    with pytest.raises(UsageError, match="base commit is not known"):
        on_github(tmp_path, "pull_request", {"pull_request": {"base": {"sha": sha}}})


@pytest.mark.parametrize("event", ["", "[]", "{", '{"pull_request": 1}', '{"a": NaN}'])
def test_an_event_that_cannot_be_read_is_no_push(tmp_path, event):
    """A pull request stays one, whatever its file holds."""
    for name in ("pull_request", "merge_group"):
        with pytest.raises(UsageError, match="base commit is not known"):
            on_github(tmp_path, name, event)


def test_a_run_without_an_event_is_refused():
    """Outside a runner there is nothing to go by."""
    with pytest.raises(UsageError, match="GITHUB_EVENT_NAME is not set"):
        base_on_github({})
    with pytest.raises(UsageError, match="base commit is not known"):
        base_on_github({"GITHUB_EVENT_NAME": "pull_request"})


def test_a_merge_request_of_gitlab_has_its_base():
    """The target branch's commit where GitLab tells it, else the one at which the merge request branched off."""
    merge = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "3"}
    assert base_on_gitlab(merge | {"CI_MERGE_REQUEST_DIFF_BASE_SHA": BASE}) == BASE
    both = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": BASE, "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": HEAD}
    assert base_on_gitlab(merge | both) == HEAD
    assert base_on_gitlab({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_SHA": HEAD}) is None
    assert base_on_gitlab({}) is None
    outside = {"CI_PIPELINE_SOURCE": "external_pull_request_event"}
    assert base_on_gitlab(outside | {"CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_SHA": BASE}) == BASE
    for unknown in (merge, outside, {"CI_MERGE_REQUEST_IID": "3"}, merge | {"CI_MERGE_REQUEST_DIFF_BASE_SHA": "main"}):
        with pytest.raises(UsageError, match="base commit is not known"):
            base_on_gitlab(unknown)
