"""GitLab: the note on the merge request. JUnit, code quality and variables are files that the job declares as reports.

A job's own token may not write notes; the note needs a project access token with the scope `api`, as the masked
variable GATE_GITLAB_TOKEN. Without one there is no note, and the output says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gate.publishers.rest import RestApi
from gate.publishers.sticky import Comment


@dataclass(frozen=True)
class Job:
    """The job, as the runner describes it."""

    api: str
    project: str
    """Project of the merge request; of a fork's request it is not the job's own."""
    merge_request: int | None
    address: str
    """Page of the job's artifacts."""


def job_of(environment: Mapping[str, str]) -> Job:
    """Return the job that GitLab's predefined variables describe."""
    project = environment.get("CI_MERGE_REQUEST_PROJECT_ID") or environment.get("CI_PROJECT_ID", "")
    number, job = environment.get("CI_MERGE_REQUEST_IID", ""), environment.get("CI_JOB_URL", "")
    return Job(
        api=environment.get("CI_API_V4_URL", ""),
        project=project if project.isdigit() else "",
        merge_request=int(number) if number.isdigit() else None,
        address=f"{job}/artifacts/browse" if job else "",
    )


@dataclass(frozen=True)
class MergeRequest:
    """The notes of one merge request, as a `sticky.Thread`."""

    api: RestApi
    project: str
    number: int

    @classmethod
    def of(cls, job: Job, token: str, **settings: Any) -> "MergeRequest":
        """Return the merge request of a job that has one."""
        assert job.merge_request is not None
        return cls(RestApi(job.api, {"PRIVATE-TOKEN": token}, **settings), job.project, job.merge_request)

    @property
    def _notes(self) -> str:
        return f"projects/{self.project}/merge_requests/{self.number}/notes"

    def own_comments(self) -> Iterator[Comment]:
        """Yield the notes of the token's own account, oldest first."""
        me = self.api.get("user")
        own = me.get("id") if isinstance(me, dict) else None
        for item in self.api.get_pages(f"{self._notes}?per_page=100&order_by=created_at&sort=asc"):
            author = item.get("author") if isinstance(item, dict) and not item.get("system") else None
            if own is not None and isinstance(author, dict) and author.get("id") == own:
                yield Comment.of(item)

    def create(self, body: str) -> Comment:
        """Write a new note."""
        return Comment.of(self.api.create(self._notes, {"body": body}))

    def update(self, comment: Comment, body: str) -> Comment:
        """Replace a note's text."""
        return Comment.of(self.api.replace("PUT", f"{self._notes}/{comment.id}", {"body": body}))
