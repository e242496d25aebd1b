"""`gate promote`: an approved version becomes production, as bytes of the gate's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gate.cli.option_values import public_keys, registry_settings, review_log, signing_key, trusted_by
from gate.cli.options import AUDIT_LOG, POLICY, PUBLIC_KEY, REGISTRY, SIGNING_KEY, many, option
from gate.cli.progress import progress_bars
from gate.cli.terminal import tell
from gate.jail.inert import inert_line

if TYPE_CHECKING:
    from gate.promotion.promote import Promoted


@click.command()
@click.argument("uri")
@option("--to", required=True, envvar="GATE_PROMOTE_TO", help="The production model; only the gate may write to it.")
@option("--alias", default="champion", help="The alias that production looks at.")
@option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder `bundle` of the check's directory; by default the gate fetches it from its own run.",
)
@option("--head", help="With --audit-log: a hash that a line of the log must have, such as an earlier --audit prints.")
@many(PUBLIC_KEY, SIGNING_KEY, POLICY, AUDIT_LOG, REGISTRY)
def promote(uri: str, to: str, alias: str, bundle: Path | None, policy: Path, **options: Any) -> int:
    """Promote an approved version: copy the gate's bundle of it into production and set the alias.

    \b
    gate promote models:/cand/7 --to prod --alias champion

    The signed decision in the version's tag is verified first: the signature, today's policy, the expiry and, with
    --audit-log, that nothing newer was decided. Then the bundle that the decision names is fetched and hashed. At every
    level that bundle is what is copied, never the candidate's own files: it is stored as a model of the gate's own, a
    version of the production model is made from it and read back, and the alias is set as the last step. What a
    consumer of the candidate loses by it is printed. After an interruption production is as it was, and another run
    completes it. A version of which no bundle could be written cannot be promoted.

    Trainers need READ on the production model and nothing more; the gate's account needs MANAGE
    (docs/how-to/promotion.md).
    """  # noqa: D301  # \b is click's own sign
    from gate.promotion.promote import Promotion
    from gate.promotion.promote import promote as run_promote
    from gate.promotion.verification import Trust, now
    from gate.registries import open_production
    from gate.registries.uris import parse_model_uri

    name, _, _ = parse_model_uri(uri)
    keys = public_keys(options["public_key"], signing_key(options))
    digest, stores, bounds = trusted_by(policy, None, any_policy=False)
    log = review_log(options["audit_log"], options["head"])
    trust = Trust(keys, digest, name, log, stores, options["head"], download=bounds)
    registry = open_production(registry_settings(options))
    with progress_bars():
        done = run_promote(registry, Promotion(uri, to, alias, trust, bundle), now(), tell)
    for line in promoted_lines(done, alias):
        click.echo(line)
    return 0


def promoted_lines(done: "Promoted", alias: str) -> list[str]:
    """Return what was promoted, as which bytes, and what the candidate's consumers lose."""
    before = f", was version {done.before.version}" if done.before and done.before != done.version else ""
    lines = [
        f"PROMOTED  {done.candidate} to {done.version} as {alias}{before}",
        f"bytes     {done.digest}",
        "          the gate's bundle, not the candidate's own files",
    ]
    if done.losses:
        lines += ["what a consumer of the candidate loses:", *(f"- {loss}" for loss in done.losses)]
    return [inert_line(line, limit=1000) for line in lines]
