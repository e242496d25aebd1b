"""`gate remediate`: from a flagged version to a repaired one that is worth a scan."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gate.cli.check import show_checked
from gate.cli.given import given_of
from gate.cli.option_values import registry_settings, require_samples, scan_settings
from gate.cli.options import BANK, POLICY, REGISTRY, REPORT_DIR, SAMPLES, SCAN, many, option
from gate.cli.progress import progress_bars
from gate.cli.terminal import tell
from gate.jail.inert import inert_line

if TYPE_CHECKING:
    from gate.records.artifact import ModelRef
    from gate.registries.contract import Registry
    from gate.remediation.flow import Remediated, Remediation

_BOUNDS = many(
    option(
        "--max-loss",
        type=click.FloatRange(0, 1),
        default=0.02,
        help="Clean accuracy that a repair may cost, beyond one standard error on the held-out samples.",
    ),
    option(
        "--max-success",
        type=click.FloatRange(0, 1),
        default=0.1,
        help="Share of held-out samples that a trigger of the parent may still move.",
    ),
    option(
        "--min-size-ratio",
        type=click.FloatRange(0, 10),
        default=0.31,
        help="A fresh trigger of a suspect below this share of the median class's size counts as a trigger found.",
    ),
)


@click.command()
@click.argument("uri")
@option(
    "--method", default="auto", help="One method, or auto: trigger-unlearning, which leaves least "
    "of a backdoor, then sharpness-aware-tuning, which needs no trigger, until one holds; of texts word-unlearning.",
)  # fmt: skip
@option(
    "--set", "settings", multiple=True, help="An option of a method, METHOD.OPTION=VALUE; may be given several times."
)
@option(
    "--from",
    "earlier",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The directory of a check of this version; its evidence and triggers are taken, and nothing is scanned again.",
)
@option(
    "--register/--no-register",
    default=True,
    help="Register what holds as a new version, without a decision; or write it to --report-dir alone.",
)
@option(
    "--check", "then_check", is_flag=True, help="Have the gate check the new version at once; its exit code counts."
)
@option("--even-if-approved", is_flag=True, help="Try although nothing stands against the version.")
@many(POLICY, SAMPLES, BANK, REPORT_DIR, _BOUNDS, SCAN, REGISTRY)
def remediate(uri: str, then_check: bool, **options: Any) -> int:
    """Repair a flagged version, and register what holds as a new version without a decision.

    \b
    gate remediate models:/cand/8 --samples clean.npz --report-dir out/
    gate remediate models:/cand/8 --from gate-report --no-register
    gate remediate models:/cand/8 --check

    The version is scanned (or --from names a check of it), and a jailed worker tries methods on its code-free program,
    one after another, until one holds: the triggers that the scan found no longer work, fresh ones are no smaller than
    other classes', and clean accuracy is kept. Half of the clean samples, which need labels, is for the repair and half
    for measuring it.

    Nothing here approves: the original is left as it is, and the new version is a candidate like any other. Only `gate
    check` of it decides, its p-value divided by the attempts planned. Exit 0: a repaired version was registered (or
    written). Exit 1: none holds, and remediation.html says what to do. With --check, the check's own.
    """  # noqa: D301  # \b is click's own sign
    from gate.check.files import CheckFiles
    from gate.jail.launch import protect_parent
    from gate.registries import open_production, open_registry, require_known
    from gate.registries.uris import is_registry_uri
    from gate.remediation.flow import remediate as run_remediation
    from gate.remediation.flow import unregistrable

    protect_parent()
    settings = registry_settings(options)
    request = _request(uri, options, then_check=then_check)
    require_known(uri, settings)
    if request.register and not is_registry_uri(uri):
        raise unregistrable(uri)
    CheckFiles.create(request.report_dir)  # tried before the registry is opened, and again by the remediation
    stores = request.parent.rules.policy.artifact_stores
    production = open_production(settings).allowing(stores) if is_registry_uri(uri) else None
    registry: Registry = production if production is not None else open_registry(uri, settings)
    with progress_bars() as progress:
        done = run_remediation(registry, production, request, progress, tell)
    _show(done, request)
    if done.registered is not None:
        return _check(registry, done.registered, request) if then_check else 0
    return 0 if done.report and done.report.outcome == "repaired" else 1


def _request(uri: str, options: dict[str, Any], *, then_check: bool) -> "Remediation":
    """Return the options as a request; a wrong one is a `UsageError` before anything is pulled."""
    from gate.check.rules import read_rules
    from gate.records.errors import UsageError
    from gate.records.repair import RepairBounds
    from gate.remediation.flow import Remediation
    from gate.remediation.parents import ParentRequest
    from gate.remediation.plan import parse_settings, plan_of

    if then_check and not options["register"]:
        raise UsageError("--check needs a new version to check; leave --no-register out")
    rules = read_rules(options["policy"], options["samples"])
    require_samples(options["samples"])
    parent = ParentRequest(
        uri=uri,
        rules=rules.beside(options["bank"]),
        settings=scan_settings(options),
        earlier=options["earlier"],
        even_if_approved=options["even_if_approved"],
    )
    return Remediation(
        parent=parent,
        plan=plan_of(options["method"], parse_settings(options["settings"])),
        report_dir=options["report_dir"],
        bounds=RepairBounds(**{name: options[name] for name in ("max_success", "min_size_ratio", "max_loss")}),
        register=options["register"],
    )


def _show(done: "Remediated", request: "Remediation") -> None:
    from gate.renderers.remediation import view

    report = done.report
    if report is None:
        same = f"REPAIRED before  {done.registered}: the same repair of the same bytes; nothing was registered anew"
        click.echo(inert_line(same, limit=600))
        return
    seen = view(report)
    click.echo(inert_line(f"{seen.word}  {seen.subject}", limit=600))
    for one in seen.tried:
        reason = f": {one.reasons[0]}" if one.reasons else f", accuracy {one.accuracy}"
        line = f"  {one.method} {one.word}{reason}".replace("\N{NARROW NO-BREAK SPACE}", " ")
        click.echo(inert_line(line, limit=400))
    for sentence in (*seen.hidden, *(seen.advice if report.outcome != "repaired" else ())):
        click.echo(inert_line(sentence, limit=800))
    click.echo(f"reports  {request.report_dir}/remediation.html (and .md, .json)")
    if report.commands:
        click.echo(inert_line(f"decides  {report.commands[0]}", limit=1000))


def _check(registry: "Registry", ref: "ModelRef", request: "Remediation") -> int:
    """Check the new version as `gate check` does, unsigned, with the policy's own seed."""
    from dataclasses import replace

    from gate.check.check import CheckRequest
    from gate.check.check import check as run_check

    parent = request.parent
    asked = CheckRequest(
        uri=str(ref),
        rules=parent.rules,
        settings=replace(parent.settings, seed=None, allow_code=False),
        report_dir=request.report_dir / "check",
        given=given_of(click.get_current_context(), marks=True),
    )
    with progress_bars() as progress:
        checked = run_check(registry, asked, progress, tell)
    return show_checked(checked, asked.report_dir)
