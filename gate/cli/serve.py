"""`gate serve`: the service that checks versions, guards production and shows reviews."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gate.cli.option_values import PASSPHRASE
from gate.cli.options import option
from gate.cli.rows import show_rows
from gate.cli.terminal import tell
from gate.jail.inert import inert_line
from gate.records.errors import UsageError
from gate.records.logins import without_login

if TYPE_CHECKING:
    from gate.attestations.keys import SigningKey
    from gate.attestations.model_signature import ModelKey
    from gate.registries.contract import ProductionRegistry

WEBHOOK_PATH = "/webhooks/mlflow"
# \b is click's own sign for lines that are not to be wrapped.
_HELP = """Listen to the registry, scan new versions, mark them, guard production, and let people review.

\b
data = "/var/lib/gate"            # database, files of checks, review log
listen = "127.0.0.1:8200"
[registry]
tracking-uri = "https://mlflow.example"
[[models]]
name = "cand"                     # whose versions are candidates
policy = "policies/cand.yml"      # or the packaged one: "default"
samples = "/srv/samples/cand.npz" # set here, never by the candidate
production = "prod"               # whose aliases are guarded

\b
Secrets come from the environment alone:
GATE_WEBHOOK_SECRET    what MLflow's webhook was made with; while it is
                       being changed both, with a space between
GATE_SIGNING_KEY       Ed25519, PEM text or path (GATE_SIGNING_KEY_PASSPHRASE)
GATE_MODEL_SIGNING_KEY P-256, signs the files of approved bundles; optional
GATE_PROBE_SEED        secret probes of every check: 64 digits or a path
GATE_DATABASE_URL      postgresql://… where several hosts work together;
                       otherwise SQLite in `data`
MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD    the gate's own account

\b
POST /webhooks/mlflow  MLflow's webhooks
GET  /reviews          what waits for people
GET  /health           the process lives
GET  /ready            the registry answers
GET  /metrics          Prometheus; GATE_METRICS_TOKEN asks for a bearer token

Each check is a durable workflow: it continues after a crash or an upgrade, and a poll finds what no webhook told.
docs/reference/serve.md lists every key and every limit.
"""


@click.command(help=_HELP)
@option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    envvar="GATE_SERVE_CONFIG",
    help="The service's configuration, a TOML file.",
)
@option(
    "--check",
    "only_check",
    is_flag=True,
    envvar="GATE_SERVE_CHECK",
    help="Look at configuration, secrets, keys, policies, samples, database, port and registry, say what is wrong, and "
    "stop.",
)
@option(
    "--register-webhook",
    "webhook",
    metavar="URL",
    help="Make MLflow's webhook for this service at URL, https://HOST/webhooks/mlflow, try it, and "
    "stop. The account in MLFLOW_TRACKING_USERNAME must be an administrator of the registry.",
)
def serve(config: Path, only_check: bool, webhook: str | None) -> int:
    """Check the configuration, register the webhook, or run the service."""
    from gate.jail.launch import protect_parent

    try:
        from gate.service.run import open_watched
        from gate.service.run import serve as run
        from gate.service.settings import read_settings
    except ModuleNotFoundError as error:
        raise UsageError(
            f"`gate serve` needs the package {error.name!r}, which is not installed",
            what_to_do="Install the extra: pip install 'model-promotion-gate[service]'.",
        ) from None
    settings = read_settings(config)
    if webhook is not None:
        return _register(open_watched(settings), webhook, settings.secrets[0])
    key, model_key = _key(), _model_key()
    if only_check:
        from gate.service.checking import examine

        wrong = show_rows(examine(settings, key.public, lambda: open_watched(settings)))
        click.echo(f"{wrong} wrong: the service would not work as it is configured" if wrong else "ok: it can start")
        return 2 if wrong else 0
    protect_parent()
    run(settings, key, model_key)
    return 0


def _key() -> "SigningKey":
    """Return the service's signing key, which only the environment can name."""
    from gate.attestations.keys import read_signing_key

    where = os.environ.get("GATE_SIGNING_KEY", "")
    if not where:
        raise UsageError(
            "no signing key is set, and an unsigned decision lets nothing through; expected GATE_SIGNING_KEY",
            what_to_do="`gate keys generate` makes a pair.",
        )
    return read_signing_key(where, os.environ.get(PASSPHRASE))


def _model_key() -> "ModelKey | None":
    from gate.attestations.model_signature import read_model_key

    where = os.environ.get("GATE_MODEL_SIGNING_KEY", "")
    return read_model_key(where, os.environ.get(PASSPHRASE)) if where else None


def _register(registry: "ProductionRegistry", url: str, secret: str) -> int:
    """Make the registry's webhook and print the result of its trial; 3 where the service could not be reached."""
    from urllib.parse import urlsplit

    from gate.registries.contract import WEBHOOK_EVENTS

    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path != WEBHOOK_PATH:
        raise UsageError(
            f"--register-webhook is {without_login(url)[:200]!r}; expected the service's address as the registry "
            f"reaches it, with the path {WEBHOOK_PATH}",
            what_to_do=f"Such as https://gate.example{WEBHOOK_PATH}.",
        )
    made = registry.register_webhook(url, secret)
    click.echo(f"{'made' if made.new else 'set right'}  {inert_line(without_login(url), limit=300)}  {made.id}")
    click.echo(f"events  {', '.join(WEBHOOK_EVENTS)}")
    if made.delivered:
        click.echo("tried   the service answered: it believes what the registry signs")
        return 0
    click.echo(inert_line(f"tried   the delivery failed: {made.answer or 'no answer'}", limit=500))
    tell(
        "start `gate serve` with the same GATE_WEBHOOK_SECRET, and run this again; "
        "docs/how-to/serve.md, 'On MLflow's side'"
    )
    return 3
