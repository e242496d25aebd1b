"""`gate check`: all four steps, and the command that publishes a verdict later where it could not be published."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gate.cli.given import given_of
from gate.cli.option_values import (
    against_of,
    base_of,
    registry_settings,
    require_samples,
    scan_settings,
    signing,
    tell_signed,
)
from gate.cli.options import (
    AGAINST,
    AUDIT_LOG,
    BANK,
    BASE,
    MODEL_SIGNING_KEY,
    POLICY,
    PUBLIC_KEY,
    REGISTRY,
    REPORT_DIR,
    SAMPLES,
    SCAN,
    SIGNING_KEY,
    many,
    option,
)
from gate.cli.progress import progress_bars
from gate.cli.steps import publish
from gate.cli.terminal import fail, show_result, tell
from gate.records.logins import without_logins

if TYPE_CHECKING:
    from gate.check.check import Checked
    from gate.registries import RegistrySettings

_ADDRESSES = frozenset({"tracking_uri", "registry_uri"})
"""Options whose values may hold a login."""
_GIVEN = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT})


@click.command()
@click.argument("uri")
@many(POLICY, SAMPLES, BANK, BASE, AGAINST, REPORT_DIR)
@option("--mark/--no-mark", default=True, help="Mark the version and log the reports, or look only.")
@many(SIGNING_KEY, MODEL_SIGNING_KEY, PUBLIC_KEY, AUDIT_LOG, SCAN, REGISTRY)
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

    The version that serves now, and up to five earlier approved ones, are pulled too and compared with the candidate
    (`gate explain version-change`). That a version was approved is known by the signature of a --public-key; a tag
    alone is called one.
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
    against = against_of(uri, options, registry_options, signs)
    base = base_of(uri, options, registry_options)
    rules, given = rules.beside(bank), given_of(click.get_current_context(), marks=mark)
    settings = scan_settings(options)
    request = CheckRequest(uri, rules, settings, report_dir, mark, signs if mark else None, given, against, base)
    CheckFiles.create(report_dir)  # tried before the registry is opened, and again by the check
    registry = open_registry(uri, registry_options)
    with progress_bars() as progress:
        checked = run_check(registry, request, progress, tell)
    if mark and checked.unmarked is None:
        tell_signed(signs)
    return show_checked(checked, report_dir)


def _require_uri(uri: str, settings: "RegistrySettings", *, mark: bool) -> None:
    """Refuse a URI that names no model, or one that cannot be marked although it has to be."""
    from gate.registries import require_known
    from gate.registries.uris import require_registered

    require_known(uri, settings)
    if mark:
        require_registered(uri)


def show_checked(checked: "Checked", report_dir: Path) -> int:
    """Print the result of a check, and how to publish it later where that failed; return the exit code."""
    from gate.records.errors import StoppedError, UnknownVersionError
    from gate.records.finding import Decision

    error = checked.unmarked
    but = f"not {'published whole' if checked.in_part else 'marked'} ({error})" if error is not None else ""
    show_result(checked.report, report_dir, checked.reports_at, but)
    if error is None:
        return 0 if checked.decision is Decision.APPROVED else 1
    fail(f"the verdict is not published: {error}", error.what_to_do)
    if not isinstance(error, UnknownVersionError):
        click.echo(f"publish  {_publish_command(report_dir)}")
    return error.exit_code if isinstance(error, StoppedError) else 3


def _publish_command(directory: Path) -> str:
    """Return `gate publish DIRECTORY` with the options of registry and key that the current command was given.

    Those from the environment are included, because they may have been set for that command alone. A secret is not
    printed: its variable is named.
    """
    words, secret = ["gate", "publish", str(directory)], []
    for parameter in publish.params:
        if isinstance(parameter, click.Option) and (value := _given(str(parameter.name))):
            if not _tellable(str(parameter.name), value):
                names = parameter.envvar or str(parameter.name)
                secret.append(names if isinstance(names, str) else names[0])
            else:
                words += [parameter.opts[0], value]
    note = f"  # with {' and '.join(secret)} set, which hold what is not shown" if secret else ""
    return shlex.join(words) + note


def _tellable(name: str, value: str) -> bool:
    """Tell whether the value of an option is neither the text of a key nor an address that may hold a secret."""
    from gate.renderers.commands import tellable

    if "-----BEGIN" in value or without_logins(value) != value:
        return False
    return name not in _ADDRESSES or tellable(value) == value


def _given(name: str) -> str:
    """Return an option of the current command; empty where the command has no such option, or its default."""
    context = click.get_current_context(silent=True)
    if context is None or context.get_parameter_source(name) not in _GIVEN:
        return ""
    return str(context.params.get(name) or "")
