"""`gate check`: the four steps in one, in the order in which a mistake costs least, and the result of a failure.

The report directory is tried first, then the registry and the right to mark; the samples are fetched before the model.
A run that judged nothing changes no signed decision; a verdict that cannot be published is returned with the reason.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gate.check.base_model import AskedBase
from gate.check.commit import commit
from gate.check.evidence import ScanSettings
from gate.check.files import CheckFiles, Pulled, private_directory
from gate.check.previous import BY_ALIAS, Against
from gate.check.publish import publish, withdraw
from gate.check.pull import pull_model
from gate.check.report import Context, as_signed, conclude, error_report, write_reports
from gate.check.rules import Rules
from gate.check.samples import bring_samples
from gate.check.scan import scan_into
from gate.check.signing import Signing
from gate.check.workers import Progress
from gate.jail.interruption import raise_if_asked, stopped
from gate.records.activity import Tell
from gate.records.artifact import ModelRef
from gate.records.errors import CannotFinishError, GateError, RegistryError, UsageError
from gate.records.finding import Decision
from gate.records.report import NOTHING_GIVEN, Given, Report
from gate.registries.contract import Registry
from gate.registries.uris import unmarkable


@dataclass(frozen=True)
class CheckRequest:
    """The arguments of `gate check`."""

    uri: str
    rules: Rules
    settings: ScanSettings
    report_dir: Path
    mark: bool = True
    signing: Signing | None = None
    """None: the verdict is unsigned, and `gate promote` refuses it."""
    given: Given = NOTHING_GIVEN
    """Arguments that the report's commands repeat."""
    against: Against = BY_ALIAS
    base: AskedBase | None = None
    """Base of an adapter."""


@dataclass(frozen=True)
class Checked:
    """A check with a verdict."""

    report: Report
    reports_at: str = ""
    """URI of the reports in the registry; empty where nothing was marked."""
    unmarked: GateError | None = None
    """Reason why the verdict could not be signed, stored or marked."""
    in_part: bool = False
    """Incomplete publication: the version stays flagged until the verdict is published whole."""
    marked: Decision | None = None
    """The decision on the version, which a reviewer's rejection of the same bytes keeps flagged; None: not marked."""

    @property
    def decision(self) -> Decision:
        """The decision as it was marked, or else the report's."""
        return self.marked or self.report.decision


@dataclass
class _Run:
    registry: Registry
    request: CheckRequest
    files: CheckFiles
    tell: Tell
    ref: ModelRef | None = None
    begun: bool = False
    """The directory's files are this check's; until then they are an earlier check's."""
    pulled: Pulled | None = None

    @property
    def context(self) -> Context:
        request = self.request
        return Context(request.uri, self.ref, request.rules, self.pulled, str(request.report_dir), request.given)


def check(registry: Registry, request: CheckRequest, progress: Progress, tell: Tell) -> Checked:
    """Resolve, pull, scan, judge, report and mark one version; raise the error that prevents a verdict."""
    if request.mark and not registry.marks:
        raise unmarkable(request.uri)
    with CheckFiles.claim(request.report_dir) as files:
        run = _Run(registry, request, files, tell)
        with _accounted_for(run):
            ref = registry.resolve(request.uri)
            if request.mark:
                registry.require_marking(ref)
            run.ref = ref
        with private_directory() as private, _accounted_for(run):
            report = _judged(run, ref, private, progress)
        return _published(run, report) if request.mark else Checked(report)


def _judged(run: _Run, ref: ModelRef, private: Path, progress: Progress) -> Report:
    request, files, rules = run.request, run.files, run.request.rules
    asked = rules.pull_of(request.uri, request.against, request.base)
    brought = bring_samples(run.registry, asked, private, ref, request.settings)
    run.tell(f"pulling {ref}")
    files.begin()
    run.begun = True
    pulled = run.pulled = pull_model(run.registry, asked, files, private, ref, brought)
    bank = f"sha256:{rules.bank.sha256}" if rules.bank else None
    seed = request.settings.seed_by(rules.policy)
    commit(files, pulled, rules.policy, request.signing, seed=seed, bank_digest=bank)
    run.tell(f"scanning {pulled.digest[:19]}… ({len(pulled.files)} files)")
    evidence = scan_into(files, rules.scan_of(pulled, private, request.settings), progress, run.tell)
    return conclude(evidence, run.context, files)


def _published(run: _Run, report: Report) -> Checked:
    """Sign, store and mark; no failure of these loses the verdict."""
    changed: list[str] = []

    def tell(line: str) -> None:
        changed.append(line)
        run.tell(line)

    run.tell(f"marking {run.ref}")
    try:
        raise_if_asked()
        marked, where = publish(run.registry, run.files, run.request.signing, tell)
    except KeyboardInterrupt:
        error: GateError = stopped("interrupted before it was published")
    except GateError as refused:
        error = refused
    except Exception as broken:  # noqa: BLE001  # an internal error after the verdict is no reason to lose it
        error = _internal(broken)
    else:
        return Checked(as_signed(report, run.files.report().rejections), where, marked=marked.decision)
    return Checked(report, unmarked=error, in_part=bool(changed))


@contextmanager
def _accounted_for(run: _Run) -> Iterator[None]:
    """Turn a failure before the verdict into a report and, unless it is the registry's, a mark.

    The operator's mistakes leave neither. A registry that refused or did not answer says nothing about the version.
    """
    try:
        yield
    except UsageError:
        raise
    except KeyboardInterrupt:
        error: GateError = stopped(
            "the check was interrupted",
            f"What was measured is kept in {run.request.report_dir}, where the same command goes on."
            if run.begun
            else "",
        )
        _give_up(run, error)
        raise error from None
    except GateError as error:
        _give_up(run, error)
        raise
    except Exception as error:
        internal = _internal(error)
        _give_up(run, internal)
        raise internal from error


def _internal(error: Exception) -> CannotFinishError:
    return CannotFinishError(
        f"internal error: {type(error).__name__}: {str(error)[:500]}",
        what_to_do="Run again with --debug to see where, and report it.",
    )


def _give_up(run: _Run, error: GateError) -> None:
    """Write the error report and mark the version; a second failure is reported and hides nothing."""
    try:
        _report_error(run, error)
    except (GateError, OSError) as second:
        run.tell(f"the report could not be written: {second}")
    ref = run.ref
    if not run.request.mark or ref is None or isinstance(error, RegistryError):
        return
    try:
        withdraw(run.registry, ref, str(error), run.tell, run.pulled.digest if run.pulled else None)
    except KeyboardInterrupt:
        run.tell(f"{ref} was not marked: interrupted again")
    except GateError as second:
        run.tell(f"{ref} could not be marked flagged: {second}")


def _report_error(run: _Run, error: GateError) -> None:
    """Write the report of a check without a verdict, unless an earlier check's is still complete there."""
    if not run.begun and (earlier := run.files.concluded()) is not None:
        decision = f"{earlier.decision.value} {earlier.model_digest[:19]}…"
        run.tell(f"{run.request.report_dir} keeps the reports of an earlier check: {decision}")
        return
    write_reports(error_report(run.context, error), run.files)
