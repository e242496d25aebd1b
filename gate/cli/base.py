"""`gate base`: take policy, samples and bank of a pull request's check from its base branch (docs/how-to/ci.md)."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from gate.cli.options import many, option
from gate.cli.terminal import tell
from gate.records.errors import CannotFinishError, UsageError

_OPTIONS = many(
    option(
        "--to",
        type=click.Path(path_type=Path, file_okay=False),
        group="base",
        help="An empty folder for these files.",
    ),
    option(
        "--commit",
        "only_commit",
        is_flag=True,
        group="base",
        help="Print the base commit, if there is one, and stop.",
    ),
    # As the check is given them: `default` and paths below the checkout are not yet told apart.
    option("--policy", default="default", help="The policy of the check."),
    option("--bank", default="", help="The bank of the check."),
    option("--samples", default="", help="The samples of the check."),
    option("--base", default="", help="The base model of the check; a folder of the checkout is refused."),
    option("--against", default="", help="What the check compares with; a folder of the checkout is refused."),
    option(
        "--report-dir", default="", help="Where the check is to write; a pull request must not have put files there."
    ),
)


@click.group()
def base() -> None:
    """Take policy, samples and bank from the base branch of a pull request, so that it cannot choose its verdict.

    \b
    gate base github --to "$dir"
    [ ! -d "$dir/files" ] || cd "$dir/files"   # of a pull request
    gate check models:/credit/7 --policy policies/credit.yml

    Run it in the root of the checkout. A pull request leaves DIR/files with the base commit's policy, its bank and
    samples, and DIR/note where the checked-out ones differ. Any other run leaves nothing, and is judged by the
    checked-out commit. Exit 2: the base commit or one of the files is not there, or the report directory is not
    empty; nothing may be judged then.
    """  # noqa: D301  # \b is click's own sign for lines that are not to be wrapped


@base.command()
@_OPTIONS
def github(to: Path | None, only_commit: bool, report_dir: str, **named: str) -> None:
    """By GitHub's variables: GITHUB_EVENT_NAME, GITHUB_EVENT_PATH, GITHUB_SHA."""
    from gate.check.base.events import base_on_github

    _run(base_on_github, to, only_commit, report_dir, named)


@base.command()
@_OPTIONS
def gitlab(to: Path | None, only_commit: bool, report_dir: str, **named: str) -> None:
    """By GitLab's variables: CI_PIPELINE_SOURCE, CI_MERGE_REQUEST_TARGET_BRANCH_SHA, CI_MERGE_REQUEST_DIFF_BASE_SHA."""
    from gate.check.base.events import base_on_gitlab

    _run(base_on_gitlab, to, only_commit, report_dir, named)


def _run(
    base_of: Callable[[Mapping[str, str]], str | None],
    to: Path | None,
    only_commit: bool,
    report_dir: str,
    named: Mapping[str, str],
) -> None:
    commit = base_of(os.environ)
    if only_commit:
        click.echo(commit or "", nl=commit is not None)
        return
    if to is None:
        raise UsageError("neither --to nor --commit is given; expected one of them")
    if commit is None:
        tell("no pull request: judged by the checked-out policy, bank and samples")
        return
    _take(commit, to, report_dir, named)


def _take(commit: str, to: Path, report_dir: str, named: Mapping[str, str]) -> None:
    from gate.check.base.taking import Named, require_own, take

    if to.exists() and any(to.iterdir()):
        raise UsageError(f"{to} is not empty; expected an empty folder, so that nothing old is judged by")
    if report_dir:
        require_own(Path.cwd(), report_dir)
    taken = take(Path.cwd(), commit, Named(**named), to / "files")
    try:
        (to / "files").mkdir(parents=True, exist_ok=True)
        if taken.note:
            (to / "note").write_text(taken.note + "\n", encoding="utf-8", errors="replace")
    except OSError as error:
        raise CannotFinishError(f"{to} cannot be written: {error.strerror}") from None
    tell(f"judged by the base commit {commit}: {', '.join(taken.files) or 'no file of the repository'}")
    if taken.note:
        tell(taken.note)
