"""`gate doctor`: every precondition, and how to fix those that do not hold."""

import os
from typing import Any

import click

from gate.cli.option_values import PASSPHRASE, registry_settings
from gate.cli.options import AUDIT_LOG, POLICY, PUBLIC_KEY, REGISTRY, REPORT_DIR, SAMPLES, SIGNING_KEY, many, option
from gate.cli.rows import show_rows


@click.command()
@option("--candidate", help="A candidate model, on which the gate needs EDIT.")
@option("--production", help="The production model, on which the gate needs MANAGE.")
@many(POLICY, SAMPLES, SIGNING_KEY, PUBLIC_KEY, AUDIT_LOG, REPORT_DIR, REGISTRY)
def doctor(candidate: str | None, production: str | None, **options: Any) -> int:
    """Check every precondition of checks, reviews and promotions, and say how to fix what is wrong.

    \b
    gate doctor --candidate credit --production prod

    Platform, policy, keys, samples and bank against their digests, jail, container engine, disk, review log, registry,
    clocks, credentials and rights; what the server's version lacks, and the artifact stores in use. Each line says what
    was found and what was expected, and the lines below it how to fix it, as a whole command or policy line. Nothing is
    changed and no secret is shown. Exit 0: nothing is wrong. Exit 2: something is. What is not configured, or cannot be
    known before it is tried, is marked '-' and is no fault.
    """  # noqa: D301  # \b is click's own sign
    from gate.promotion.preconditions import Setup, examine
    from gate.registries import open_production

    settings = registry_settings(options)
    setup = Setup(
        passphrase=os.environ.get(PASSPHRASE),
        public_keys=options.pop("public_key"),
        candidate=candidate,
        production=production,
        open=lambda: open_production(settings),
        **options,
    )
    wrong = show_rows(examine(setup))
    click.echo(f"{wrong} wrong" if wrong else "nothing is wrong")
    return 2 if wrong else 0
