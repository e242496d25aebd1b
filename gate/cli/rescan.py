"""`gate rescan`: production under today's policy."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gate.cli.option_values import days_of, public_keys, registry_settings, require_samples, review_log, scan_settings
from gate.cli.options import (
    AUDIT_LOG,
    BANK,
    BASE,
    POLICY,
    PUBLIC_KEY,
    REGISTRY,
    REPORT_DIR,
    SAMPLES,
    SCAN,
    many,
    option,
)
from gate.cli.progress import progress_bars
from gate.cli.terminal import tell
from gate.jail.inert import inert_line

if TYPE_CHECKING:
    from gate.promotion.rescan import Rescan, Rescanned

_WHY = {
    "policy": "the earlier evidence would be flagged by today's policy too",
    "measurements": "the earlier evidence would still be approved: today's scan measured something else",
    "unknown": "the earlier evidence is not there to compare with",
}


@click.command()
@option("--registered-model", required=True, help="The production model.")
@option("--older-than", default="0d", help="Only what was last scanned so long ago, such as 30d.")
@many(POLICY, SAMPLES, BANK, BASE, PUBLIC_KEY, AUDIT_LOG, REPORT_DIR, SCAN, REGISTRY)
def rescan(registered_model: str, older_than: str, policy: Path, samples: str | None, **options: Any) -> int:
    """Scan what is in production again, by today's policy, and compare.

    \b
    gate rescan --registered-model prod --older-than 30d

    Every version behind an alias is scanned, beside --bank or the policy's bank and, of adapters and language models,
    --base, unless a signed approval of its bytes, or its last re-scan, is newer. With --audit-log the log says when
    that was, else the tag gate.rescan. Nothing is taken out of production: the version gets the tag, the log an entry.
    Exit 0: all would be approved today. Exit 1: a once-approved model would be flagged today. Exit 3: one could not be
    scanned.
    """  # noqa: D301  # \b is click's own sign
    from gate.check.files import CheckFiles
    from gate.jail.launch import protect_parent
    from gate.promotion.rescan import rescan as run_rescan
    from gate.promotion.verification import now
    from gate.registries import open_production

    protect_parent()
    request = _request(registered_model, days_of(older_than, digits=5), policy, samples, options)
    CheckFiles.create(request.report_dir)  # tried before the registry is opened
    registry = open_production(registry_settings(options))
    with progress_bars() as progress:
        done = run_rescan(registry, request, now(), progress, tell)
    if not done:
        click.echo(f"nothing of {registered_model} is older than {request.older_than.days} days")
    for one in done:
        _show(one)
    return 1 if any(one.would_be_flagged for one in done) else 3 if any(one.error for one in done) else 0


def _request(model: str, days: int, policy: Path, samples: str | None, options: dict[str, Any]) -> "Rescan":
    """Return the options as a request; a wrong one is a `UsageError` before the registry is asked."""
    from gate.check.base_model import asked_base
    from gate.check.rules import read_rules
    from gate.promotion.rescan import Rescan
    from gate.promotion.verification import Trust

    rules = read_rules(policy, samples).beside(options.pop("bank"))
    require_samples(samples)
    base = asked_base(options.pop("base"))
    log = review_log(options.pop("audit_log"))
    if log is not None:
        log.require_writable()
    keys, own = public_keys(options.pop("public_key")), rules.policy
    return Rescan(
        model=model,
        older_than=dt.timedelta(days=days),
        rules=rules,
        settings=scan_settings(options),
        trust=Trust(keys, own.digest, log=log, stores=own.artifact_stores, download=own.download),
        report_dir=options.pop("report_dir"),
        base=base,
    )


def _show(one: "Rescanned") -> None:
    names = f"{one.ref} ({', '.join(one.aliases)})"
    if one.verdict is None:
        click.echo(inert_line(f"NOT SCANNED  {names}: {one.error}", limit=600))
        return
    approved = f"approved on {one.earlier.predicate.decided_at:%Y-%m-%d}" if one.earlier else ""
    then = approved or "no signed approval of these bytes"
    word = "WOULD BE FLAGGED" if one.would_be_flagged else "STILL APPROVED" if approved else "WOULD BE APPROVED"
    unmarked = f", but not marked ({one.error})" if one.error else ""
    click.echo(inert_line(f"{word}{unmarked}  {names}, {then}", limit=900))
    if one.would_be_flagged:
        click.echo(f"  {_WHY[one.cause]}")
        for finding in one.verdict.open_findings[:10]:
            click.echo(f"  - {inert_line(f'{finding.rule}: {finding.message}', limit=400)}")
