"""`gate report`: show a finished check in a pipeline, on GitHub or GitLab, whose answers change no exit code."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gate.cli.options import DIRECTORY, many, option
from gate.cli.terminal import tell
from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.publishers.sticky import Posted, Thread
    from gate.records.report import Report

_BY_HAND = "{0}/report.html and {0}/report.md are the report itself, anywhere."
COMMON = many(
    option(
        "--exit-code",
        type=click.IntRange(0, 255),
        help="The exit code of the `gate check` or `gate judge` that was to write the report. A report of another "
        "exit code is left from an earlier check, and is not shown.",
    ),
    option("--report-url", help="Address of the whole report; by default the page of this run or job."),
    option("--note", default="", help="A sentence about the run, shown above the report, as `gate base` leaves one."),
    option("--comment/--no-comment", default=True, help="Comment on the pull or merge request, if there is one."),
    option(
        "--api-timeout",
        type=click.FloatRange(0.1, 600),
        default=10.0,
        help="Seconds that one request to the server may take.",
    ),
    option(
        "--api-retries",
        type=click.IntRange(0, 10),
        default=3,
        help="How often a request is tried again after a temporary error.",
    ),
)
_ENDED = frozenset({129, 130, 143})
"""Exit codes of a check that a signal ended, whose report says that it did not finish."""


@click.group()
def report() -> None:
    """Show a finished check in a pipeline: outputs, summary, annotations, comment.

    \b
    gate check models:/credit/7 --report-dir out; code=$?
    gate report github out --exit-code "$code"
    exit "$code"
    """  # noqa: D301  # \b is click's own sign for lines that are not to be wrapped


@report.command()
@DIRECTORY
@COMMON
@option("--token", envvar=["GATE_GITHUB_TOKEN", "GITHUB_TOKEN"], help="Token with `pull-requests: write`.")
@option("--comment-author", default="", help="The token's account, where it cannot be asked: a GitHub App's NAME[bot].")
def github(directory: Path, token: str | None, comment_author: str, **options: Any) -> None:
    """Write the step's outputs and summary, annotate the policy's lines, comment on the pull request.

    DIRECTORY is the report directory of a check. The files to write and the pull request are taken from the runner's
    variables (GITHUB_OUTPUT, GITHUB_STEP_SUMMARY, GITHUB_EVENT_PATH, …). Where the token may only read, as on a pull
    request from a fork, the summary says so and nothing fails.
    """
    from gate.publishers import github as there
    from gate.renderers import summary

    _require_report(directory, options["exit_code"])
    run = there.run_of(os.environ)
    link = _link(options["report_url"] or run.address)
    if run.output is None and run.summary is None and run.pull_request is None:
        raise UsageError(
            "nothing to write: this is no job of GitHub Actions (GITHUB_OUTPUT and GITHUB_STEP_SUMMARY are not set)",
            what_to_do=_BY_HAND.format(directory),
        )
    found, reason, code = _read(directory, options["exit_code"])
    notice, note = reason, options["note"]
    if found is not None and options["comment"] and run.pull_request is not None and run.repository:
        thread = there.PullRequest.of(run, token, comment_author, **_settings(options)) if token else None
        posted = _post(thread, (found, link, note), "Give the step `github-token` and the job `pull-requests: write`.")
        notice = posted.why
    for line in there.annotations(found) if found else (there.command("error", reason, title="gate"),):
        click.echo(line)
    for kind, sentence in (("warning", note), ("notice", notice if found is not None else "")):
        if sentence:
            click.echo(there.command(kind, sentence, title="gate"))
    if found is not None:
        there.write_summary(run, summary.render(found, link, notice, note=note))
    else:
        there.write_summary(run, summary.render_without_report(reason, code, note=note))
    if run.summary is not None:
        tell(f"summary written to {run.summary}")
    there.write_outputs(run, _outputs(found, directory, link, code))


def _outputs(found: "Report | None", directory: Path, link: str, code: int) -> dict[str, str]:
    from gate.renderers.headline import headline, inert

    files = {f"report-{kind}": directory / f"report.{kind}" for kind in ("html", "sarif")}
    return {
        **headline(found),
        **{name: inert(str(path)) if found and path.is_file() else "" for name, path in files.items()},
        "report-url": inert(link),
        "exit-code": str(code),
    }


@report.command()
@DIRECTORY
@COMMON
@option("--token", envvar=["GATE_GITLAB_TOKEN"], help="Project access token with the scope `api`.")
@option(
    "--dotenv",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write GATE_DECISION and other variables here, for `artifacts: reports: dotenv`.",
)
def gitlab(directory: Path, token: str | None, dotenv: Path | None, **options: Any) -> None:
    """Write the variables for later jobs and a note on the merge request.

    DIRECTORY is the report directory of a check. Project and merge request are taken from GitLab's variables
    (CI_API_V4_URL, CI_MERGE_REQUEST_IID, …). Without a token there is no note, and nothing fails.
    """
    from gate.check.files import CheckFiles
    from gate.publishers import gitlab as there
    from gate.renderers import dotenv as variables

    job = there.job_of(os.environ)
    found, reason, code = _read(directory, options["exit_code"])
    link = _link(options["report_url"] or job.address)
    asked = options["comment"] and job.merge_request is not None and bool(job.project and job.api)
    if dotenv is None and not asked:
        no_job = "this is no merge request's job (CI_MERGE_REQUEST_IID)"
        why = no_job if options["comment"] else "--no-comment was given"
        raise UsageError(
            f"nothing to write: no file was named with --dotenv, and {why}",
            what_to_do=f"gate report gitlab {directory} --dotenv gate.env writes the variables for later jobs. "
            + _BY_HAND.format(directory),
        )
    for sentence in filter(None, (reason, options["note"])):
        tell(sentence)
    if dotenv is None:
        tell("no variables for later jobs were written: no --dotenv FILE was given")
    else:
        text = variables.render(found, {"report-address": link, "exit": str(code)})
        CheckFiles.create(dotenv.absolute().parent).write(dotenv.name, text)
        tell(f"variables written to {dotenv}")
    if found is not None and asked:
        thread = there.MergeRequest.of(job, token, **_settings(options)) if token else None
        posted = _post(thread, (found, link, options["note"]), "Set the masked variable GATE_GITLAB_TOKEN.")
        if posted.why:
            tell(posted.why)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    return {"timeout_seconds": options["api_timeout"], "retries": options["api_retries"]}


def _require_report(directory: Path, exit_code: int | None) -> None:
    """Refuse a directory without a report, unless an exit code shows that a check may have written none."""
    if exit_code is None and not (directory / "report.json").exists():
        what = f"there is no folder {directory}" if not directory.is_dir() else f"{directory} holds no report.json"
        raise UsageError(
            f"{what}; expected the report directory of a check that has ended",
            what_to_do=f"`gate judge {directory}` writes the reports of a finished scan; "
            "--exit-code CODE shows a check that wrote none.",
        )


def _read(directory: Path, exit_code: int | None) -> "tuple[Report | None, str, int]":
    """Return the report of an exit code, or why there is none, and the code."""
    from gate.check.files import CheckFiles
    from gate.renderers.sarif import EXIT_CODES
    from gate.renderers.view import state_of

    _require_report(directory, exit_code)
    try:
        found = CheckFiles(directory.absolute()).report() if exit_code != 2 else None
    except UsageError as error:
        return None, f"There is no report of this check: {error}.", 3 if exit_code is None else exit_code
    if found is None:
        return None, "The command or the policy was wrong, so nothing was pulled; the job's log says what.", 2
    written = EXIT_CODES[state_of(found)]
    if found.error and exit_code in _ENDED:
        return found, "", exit_code
    if exit_code not in (None, written):
        unpublished = ", or its verdict could not be published, as the job's log says" if exit_code == 3 else ""
        return None, f"The report in {directory} is not shown: it is of an earlier check{unpublished}.", exit_code or 3
    return found, "", written


def _link(address: str) -> str:
    if address and not address.startswith(("https://", "http://")):
        raise UsageError(f"--report-url is {address[:200]!r}; expected an address that begins with https://")
    return address


def _post(thread: "Thread | None", shown: "tuple[Report, str, str]", advice: str) -> "Posted":
    """Post report, link and note as the thread's one comment."""
    from gate.publishers.sticky import Posted, post
    from gate.renderers import comment

    if thread is None:
        return Posted("left out", why=f"There is no token, so no comment was posted. {advice}")
    posted = post(thread, comment.marker(shown[0]), comment.render(*shown))
    tell(f"comment {posted.action} {posted.address}".rstrip())
    return posted
