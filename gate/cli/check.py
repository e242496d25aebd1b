"""`gate check`: all four steps."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gate.cli.given import given_of
from gate.cli.options import AUDIT_LOG, BANK, POLICY, REGISTRY, REPORT_DIR, SAMPLES, SCAN, SIGNING_KEY, many, option
from gate.cli.progress import progress_bars
from gate.cli.signing import signing
from gate.cli.terminal import fail, show_result, tell
from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.check.check import Checked
    from gate.check.publish import Signing
    from gate.records.bank import OpenBank
    from gate.records.policy import Policy
    from gate.registries import RegistrySettings


def registry_settings(options: dict[str, Any]) -> "RegistrySettings":
    """Take the registry's options out of a command's."""
    from gate.registries import RegistrySettings

    return RegistrySettings(
        tracking_uri=options.pop("tracking_uri") or None,
        registry_uri=options.pop("registry_uri") or None,
        timeout_seconds=options.pop("registry_timeout"),
        retries=options.pop("registry_retries"),
        experiment=options.pop("experiment"),
    )


def require_samples(samples: str | None) -> None:
    """Refuse a path of samples that does not exist or cannot be read, before anything is pulled."""
    if samples is None or ":/" in samples:
        return
    if not Path(samples).exists():
        raise UsageError(f"there are no samples at {samples}", what_to_do="Name an .npz file or a folder of images.")
    if not os.access(samples, os.R_OK | (os.X_OK if Path(samples).is_dir() else 0)):
        raise UsageError(f"the samples {samples} cannot be read", what_to_do="Give this user the right to read them.")


def named_bank(given: Path | None, rules: "Policy", policy: Path) -> "OpenBank | None":
    """Open the bank that `--bank` or the policy names, the latter's path being relative to the policy's folder."""
    from gate.records.bank import open_bank

    if given is not None:
        return replace(open_bank(given), by_option=True)
    if rules.bank is None:
        return None
    return open_bank(policy.parent / rules.bank.path, sha256=rules.bank.sha256, source=rules.bank.path)


@click.command()
@click.argument("uri")
@many(POLICY, SAMPLES, BANK, REPORT_DIR)
@option("--mark/--no-mark", default=True, help="Mark the version and log the reports, or look only.")
@many(SIGNING_KEY, AUDIT_LOG, SCAN, REGISTRY)
def check(
    uri: str, policy: Path, samples: str | None, bank: Path | None, report_dir: Path, mark: bool, **options: Any
) -> int:
    """Pull a model version, scan it, judge it, report, and mark it.

    URI is models:/NAME/VERSION, models:/NAME@ALIAS (looked up once), models:/NAME/latest, or a model folder on disk
    (with --no-mark). Reports are written unless the command itself is wrong (exit 2). A verdict that cannot be put on
    the version is shown, and the command that publishes it later is printed (exit 3). Beside the reports stands
    `bundle/` where the model could be read without code of its own, or was converted: the MLflow folder that the gate
    wrote from what it read. It is what the detectors measure and what `gate promote` copies into production. With
    --signing-key the decision is signed: only a signed approval can be promoted. The policy's `serve` says whether an
    approval covers the candidate's own bytes too (`candidate`) or the bundle alone (`bundle`).
    """
    from gate.check.check import CheckRequest
    from gate.check.check import check as run_check
    from gate.check.files import CheckFiles
    from gate.check.pull import PullRequest
    from gate.jail.launch import protect_parent
    from gate.policies.lines import policy_source
    from gate.policies.packaged import policy_word
    from gate.policies.read import read_policy
    from gate.records.clock import today
    from gate.registries import open_registry, require_known, require_registered

    protect_parent()
    registry_options, signs = registry_settings(options), signing(options)
    rules = read_policy(policy, on=today())
    require_samples(samples)
    require_known(uri, registry_options)
    if mark:
        require_registered(uri)
    request = CheckRequest(
        pull=PullRequest(uri=uri, policy=rules, samples=samples),
        settings=scan_settings(options),
        report_dir=report_dir,
        policy_path=policy_word(policy),
        mark=mark,
        bank=named_bank(bank, rules, policy),
        signing=signs if mark else None,
        policy_source=policy_source(policy),
        given=given_of(click.get_current_context(), marks=mark),
    )
    CheckFiles.create(report_dir)  # tried before the registry is opened, and again by the check
    registry = open_registry(uri, registry_options)
    with progress_bars() as progress:
        checked = run_check(registry, request, progress, tell)
    if mark and checked.unmarked is None:
        tell_signed(signs)
    return show_checked(checked, report_dir)


def show_checked(checked: "Checked", report_dir: Path) -> int:
    """Print the result of a check, and how to publish it later where that failed; return the exit code."""
    from gate.cli.later import publish_command
    from gate.records.errors import StoppedError, UnknownVersionError
    from gate.records.finding import Decision

    error = checked.unmarked
    but = f"not {'published whole' if checked.in_part else 'marked'} ({error})" if error else ""
    show_result(checked.report, report_dir, checked.reports_at, but)
    if error is None:
        return 0 if checked.report.decision is Decision.APPROVED else 1
    fail(f"the verdict is not published: {error}", error.what_to_do)
    if not isinstance(error, UnknownVersionError):
        click.echo(f"publish  {publish_command(report_dir)}")
    return error.exit_code if isinstance(error, StoppedError) else 3


def tell_signed(signs: "Signing | None") -> None:
    """Say under which key the verdict was signed, or plainly that it was not."""
    if signs is None:
        tell("the verdict is unsigned: it cannot be promoted (--signing-key)")
    else:
        tell(f"the verdict is signed by key {signs.key.key_id}")


def scan_settings(options: dict[str, Any]) -> Any:
    """Take the scan's options out of a command's."""
    from gate.check.evidence import ScanSettings

    return ScanSettings(
        seed=options.pop("seed"),
        device=options.pop("device"),
        deadline_seconds=options.pop("deadline"),
        allow_code=options.pop("allow_code"),
        memory_gib=options.pop("memory"),
        threads=options.pop("threads"),
        isolation=options.pop("isolation"),
    )
