"""`gate check`: the four steps in one, with everything that can go wrong in between.

Whatever happens after the version is known, reports are written and the version is not left approved: an error, a
signal or a full disk marks it flagged if the registry can still be reached, and the check ends as could-not-finish.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gate.bank import OpenBank
from gate.check_files import CheckFiles, private_directory
from gate.conclude import Context, conclude, error_report, write_reports
from gate.errors import CannotFinishError, GateError, UsageError
from gate.interruption import begin_to_end, raise_if_asked
from gate.launch import Progress
from gate.pipeline import scan, write_scanned
from gate.policy import Policy
from gate.publish import WITHDRAWN, Signing, publish
from gate.pulling import PullRequest, pull
from gate.registry import Registry
from gate.report import PolicySource, Report
from gate.scan_evidence import ScanRequest, ScanSettings
from gate.unfinished import Unfinished

Tell = Callable[[str], None]


@dataclass(frozen=True)
class CheckRequest:
    """What `gate check` is asked for."""

    pull: PullRequest
    settings: ScanSettings
    report_dir: Path
    policy_path: str
    mark: bool = True
    bank: OpenBank | None = None
    signing: Signing | None = None
    """None: the verdict is unsigned, and can never be promoted by `gate promote`."""
    policy_source: PolicySource | None = None

    @property
    def policy(self) -> Policy:
        """The policy of the check."""
        return self.pull.policy


@dataclass(frozen=True)
class Checked:
    """A finished check."""

    report: Report
    reports_at: str
    """Where the registry keeps the reports; empty where nothing was marked."""


def check(registry: Registry, request: CheckRequest, progress: Progress, tell: Tell) -> Checked:
    """Resolve, pull, scan, judge, report and mark one version; raise `CannotFinishError` when that cannot be done."""
    context = Context(
        uri=request.pull.uri,
        model=None,
        policy_path=request.policy_path,
        policy_source=request.policy_source,
        directory=str(request.report_dir),
    )
    # A version that cannot be looked up has a report too, though nothing that could be marked.
    with _flagged_on_failure(registry, request, context, tell):
        ref = registry.resolve(request.pull.uri)
    if request.mark and not registry.marks:
        raise UsageError(f"{ref} is a folder on disk, where nothing can be marked", what_to_do="Use --no-mark.")
    context = replace(context, model=ref)
    with _flagged_on_failure(registry, request, context, tell):
        files = CheckFiles.create(request.report_dir)
        with private_directory() as private:
            tell(f"pulling {ref}")
            pulled = pull(registry, request.pull, files, private, ref)
            context = replace(context, pulled=pulled, description=pulled.description)
            tell(f"scanning {pulled.digest[:19]}… ({len(pulled.files)} files)")
            asked = ScanRequest(pulled, private, request.policy, request.settings, request.bank, Unfinished(files.root))
            scanned = scan(asked, progress)
            write_scanned(scanned, files)
        report = conclude(scanned.evidence, request.policy, context, files)
        if not request.mark:
            return Checked(report, "")
        raise_if_asked()
        tell(f"marking {ref}")
        try:
            _, where = publish(registry, files, request.signing)
        except UsageError as error:
            # The files are this check's own, so nobody used anything wrongly, and the version must not stay as it was.
            raise CannotFinishError(f"the files of this check cannot be published: {error}") from error
        return Checked(report, where)


@contextmanager
def _flagged_on_failure(registry: Registry, request: CheckRequest, context: Context, tell: Tell) -> Iterator[None]:
    """Turn any failure into a report and a flagged mark, as far as disk and registry allow, and raise it on."""
    try:
        yield
    except UsageError:
        raise
    except KeyboardInterrupt:
        begin_to_end()
        error = CannotFinishError("the check was interrupted", what_to_do="Run the same command again.")
        _give_up(registry, request, context, error, tell)
        raise error from None
    except CannotFinishError as error:
        _give_up(registry, request, context, error, tell)
        raise
    except Exception as error:
        wrapped = CannotFinishError(
            f"internal error: {type(error).__name__}: {str(error)[:500]}",
            what_to_do="Run again with --debug to see where, and report it.",
        )
        _give_up(registry, request, context, wrapped, tell)
        raise wrapped from error


def _give_up(registry: Registry, request: CheckRequest, context: Context, error: GateError, tell: Tell) -> None:
    """Write the error report and flag the version; what of this fails too is told, and hides nothing."""
    try:
        files = CheckFiles.create(request.report_dir)
        write_reports(error_report(request.policy, context, str(error), error.what_to_do), files)
    except (GateError, OSError) as second:
        tell(f"the report could not be written: {second}")
    if request.mark and context.model is not None:
        try:
            with contextlib.suppress(KeyboardInterrupt):
                registry.mark(context.model, WITHDRAWN)
        except GateError as second:
            tell(f"the version could not be marked flagged: {second}")
