"""GitHub: outputs of the step, its summary, annotations at the policy's line, and the comment on the pull request.

Text of a registry or candidate can end no heredoc (random delimiters), begin no command (escaped data) and add no
block to the Markdown (gate.renderers). Facts about the run come from the runner's own variables.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gate.publishers.rest import RefusedError, RestApi
from gate.publishers.sticky import Comment
from gate.records.errors import CannotFinishError
from gate.records.record import MalformedError, parse_json, read_bounded
from gate.records.report import Report
from gate.renderers.issues import in_tree, issues
from gate.renderers.text import count, plain

MAX_ANNOTATIONS = 10
"""Annotations of one kind that GitHub shows for a step."""
ACTIONS_BOT = "github-actions[bot]"
"""Account of a workflow's own token, which may not ask the API who it is."""


@dataclass(frozen=True)
class Run:
    """The run, as the runner describes it."""

    output: Path | None
    summary: Path | None
    repository: str
    api: str
    address: str
    """Page of the run."""
    pull_request: int | None


def run_of(environment: Mapping[str, str]) -> Run:
    """Return the run that the runner's variables describe."""
    repository, number = environment.get("GITHUB_REPOSITORY", ""), environment.get("GITHUB_RUN_ID", "")
    server = environment.get("GITHUB_SERVER_URL", "https://github.com")
    return Run(
        output=Path(output) if (output := environment.get("GITHUB_OUTPUT")) else None,
        summary=Path(summary) if (summary := environment.get("GITHUB_STEP_SUMMARY")) else None,
        repository=repository if re.fullmatch(r"[\w.-]+/[\w.-]+", repository) else "",
        api=environment.get("GITHUB_API_URL", "https://api.github.com"),
        address=f"{server}/{repository}/actions/runs/{number}" if repository and number.isdigit() else "",
        pull_request=_pull_request(environment),
    )


def _pull_request(environment: Mapping[str, str]) -> int | None:
    """Return the number of the pull request that started the run, from the event or the ref."""
    event = environment.get("GITHUB_EVENT_PATH", "")
    if event:
        try:
            value = parse_json(read_bounded(Path(event)), what="the event")
        except MalformedError:
            value = None
        part = value.get("pull_request") if isinstance(value, dict) else None
        number = part.get("number") if isinstance(part, dict) else None
        if isinstance(number, int) and number > 0:
            return number
    match = re.fullmatch(r"refs/pull/([0-9]{1,10})/(?:merge|head)", environment.get("GITHUB_REF", ""))
    return int(match[1]) if match else None


def write_outputs(run: Run, values: Mapping[str, str]) -> None:
    """Append outputs, each between random delimiters."""
    lines: list[str] = []
    for name, value in values.items():
        delimiter = f"gate_{secrets.token_hex(16)}"
        lines += [f"{name}<<{delimiter}", value, delimiter]
    _append(run.output, "\n".join([*lines, ""]))


def write_summary(run: Run, text: str) -> None:
    """Append to the step's summary."""
    _append(run.summary, text)


def _append(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise CannotFinishError(f"{path} cannot be written: {error.strerror}") from None


def annotations(report: Report) -> Iterator[str]:
    """Yield workflow commands that show findings at the policy's line; the last one counts the rest."""
    still_open = [issue for issue in issues(report) if issue.waiver is None]
    shown = still_open[: MAX_ANNOTATIONS if len(still_open) <= MAX_ANNOTATIONS else MAX_ANNOTATIONS - 1]
    for issue in shown:
        where = {"file": issue.path, "line": str(issue.line)} if in_tree(report) else {}
        yield command("error", issue.message, title=f"gate: {issue.rule}", **where)
    if len(still_open) > len(shown):
        more = count(len(still_open) - len(shown), "more finding")
        yield command("error", f"And {more}; the summary and the report list them.", title="gate")


def command(name: str, message: str, **properties: str) -> str:
    """Return a workflow command in which no text can end the command or begin another."""
    head = ",".join(f"{key}={_escape(plain(value, 300), ':,')}" for key, value in properties.items())
    return f"::{name} {head}::{_escape(plain(message, 1000), '')}" if head else f"::{name}::{_escape(message, '')}"


def _escape(text: str, also: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for sign in also:
        escaped = escaped.replace(sign, f"%{ord(sign):02X}")
    return escaped


@dataclass(frozen=True)
class PullRequest:
    """The comments of one pull request, as a `sticky.Thread`."""

    api: RestApi
    repository: str
    number: int
    author: str = ""
    """Account of the token; empty to ask the server."""

    @classmethod
    def of(cls, run: Run, token: str, author: str = "", **settings: Any) -> "PullRequest":
        """Return the pull request of a run that has one."""
        assert run.pull_request is not None
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        return cls(RestApi(run.api, headers, **settings), run.repository, run.pull_request, author)

    def own_comments(self) -> Iterator[Comment]:
        """Yield the comments of the token's own account, oldest first."""
        author = self.author or self._whoami()
        for item in self.api.get_pages(f"repos/{self.repository}/issues/{self.number}/comments?per_page=100"):
            user = item.get("user") if isinstance(item, dict) else None
            if isinstance(user, dict) and user.get("login") == author:
                yield Comment.of(item)

    def _whoami(self) -> str:
        try:
            found = self.api.get("user")
        except RefusedError:
            return ACTIONS_BOT
        return str(found.get("login", "")) if isinstance(found, dict) else ACTIONS_BOT

    def create(self, body: str) -> Comment:
        """Write a new comment."""
        return Comment.of(self.api.create(f"repos/{self.repository}/issues/{self.number}/comments", {"body": body}))

    def update(self, comment: Comment, body: str) -> Comment:
        """Replace a comment's text."""
        path = f"repos/{self.repository}/issues/comments/{comment.id}"
        return Comment.of(self.api.replace("PATCH", path, {"body": body}))
