"""`gate evidence pack`: what an auditor asks for about one decision, in one archive."""

from pathlib import Path

import click

from gate.cli.option_values import review_log
from gate.cli.options import AUDIT_LOG, REPORT_DIR
from gate.cli.terminal import tell


@click.group()
def evidence() -> None:
    """Evidence about decisions, for auditors and other tools."""


@evidence.command()
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@REPORT_DIR
@AUDIT_LOG
def pack(out: Path, report_dir: Path, audit_log: Path | None) -> int:
    """Write the evidence of one check into OUT, a zip whose bytes depend on its content alone.

    \b
    gate evidence pack credit-7.zip --audit-log reviews.jsonl

    Policy, rates, waivers, reviews and re-scans, the signed decision, the bill of materials and the reports, with an
    index by the measures of the EU AI Act, Article 15(5). What this check has not is named, in the index too.
    """  # noqa: D301  # \b is click's own sign
    from gate.check.pack import pack as run_pack

    made = run_pack(report_dir, out, review_log(audit_log))
    click.echo(f"packed   {out}: {len(made.members)} files")
    click.echo(f"sha256   {made.sha256}")
    if made.missing:
        tell(f"not in it: {', '.join(made.missing)}")
    return 0
