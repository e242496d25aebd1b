"""`gate check`: all four steps."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gate.cli.asked import registry_settings, require_samples, scan_settings
from gate.cli.given import given_of
from gate.cli.options import AUDIT_LOG, BANK, POLICY, REGISTRY, REPORT_DIR, SAMPLES, SCAN, SIGNING_KEY, many, option
from gate.cli.progress import progress_bars
from gate.cli.signing import signing
from gate.cli.terminal import fail, show_result, tell

if TYPE_CHECKING:
    from gate.check.check import Checked
    from gate.check.publish import Signing
    from gate.registries import RegistrySettings


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
    from gate.check.rules import read_rules
    from gate.jail.launch import protect_parent
    from gate.registries import open_registry

    protect_parent()
    registry_options, signs = registry_settings(options), signing(options)
    rules = read_rules(policy, samples)
    require_samples(samples)
    _require_uri(uri, registry_options, mark=mark)
    rules, given = rules.beside(bank), given_of(click.get_current_context(), marks=mark)
    settings = scan_settings(options)
    request = CheckRequest(uri, rules, settings, report_dir, mark, signs if mark else None, given)
    CheckFiles.create(report_dir)  # tried before the registry is opened, and again by the check
    registry = open_registry(uri, registry_options)
    with progress_bars() as progress:
        checked = run_check(registry, request, progress, tell)
    if mark and checked.unmarked is None:
        tell_signed(signs)
    return show_checked(checked, report_dir)


def _require_uri(uri: str, settings: "RegistrySettings", *, mark: bool) -> None:
    """Refuse what names no model, or one that cannot be marked where it is to be."""
    from gate.registries import require_known
    from gate.registries.uris import require_registered

    require_known(uri, settings)
    if mark:
        require_registered(uri)


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
