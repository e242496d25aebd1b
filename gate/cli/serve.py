"""`gate serve`: the service that stands in front of production."""

import os
from pathlib import Path

import click

from gate.cli.options import option
from gate.cli.signing import PASSPHRASE
from gate.errors import UsageError


@click.command()
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
    help="Read configuration, policies and keys, and stop.",
)
def serve(config: Path, only_check: bool) -> int:
    """Hear the registry, scan what comes, mark it, guard production, and let people review.

    \b
    data = "/var/lib/gate"            # database, files of checks, review log
    listen = "127.0.0.1:8200"
    [registry]
    tracking-uri = "https://mlflow.example"
    [[models]]
    name = "cand"                     # whose versions are candidates
    policy = "policies/cand.yml"       # or one that comes with the gate: "default", "strict"
    samples = "/srv/samples/cand.npz" # the service's word, never the candidate's
    production = "prod"               # whose aliases are guarded

    \b
    Secrets come from the environment alone:
    GATE_WEBHOOK_SECRET    what MLflow's webhook was made with; two with a space while it is being changed
    GATE_SIGNING_KEY       Ed25519, PEM text or path (GATE_SIGNING_KEY_PASSPHRASE)
    GATE_DATABASE_URL      postgresql://… where several hosts work together; SQLite in `data` otherwise
    MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD    the gate's own account

    \b
    POST /webhooks/mlflow  MLflow's webhooks         GET /health   the process lives
    GET  /reviews          what waits for people     GET /ready    the registry answers
    GET  /metrics          Prometheus                (GATE_METRICS_TOKEN asks for a bearer token)

    Each check is a durable workflow: a crash or an upgrade breaks off nothing for good, and a webhook that never came
    is made up for by a poll. docs/serve.md says every key and every limit.
    """  # noqa: D301  # \b is click's own sign
    from gate.decisions.keys import read_signing_key
    from gate.jail.launch import protect_parent

    try:
        from gate.service.run import serve as run
        from gate.service.settings import read_settings
    except ModuleNotFoundError as error:
        raise UsageError(
            f"`gate serve` needs the package {error.name!r}, which is not installed",
            what_to_do="Install the extra: pip install 'model-promotion-gate[service]'.",
        ) from None
    settings = read_settings(config)
    where = os.environ.get("GATE_SIGNING_KEY", "")
    if not where:
        raise UsageError(
            "no signing key is set, and an unsigned decision lets nothing through; expected GATE_SIGNING_KEY",
            what_to_do="`gate keys generate` makes a pair.",
        )
    key = read_signing_key(where, os.environ.get(PASSPHRASE))
    if only_check:
        from gate.service.jobs import read_rules

        for model in settings.file.models:
            click.echo(f"{model.name}: {model.policy} {read_rules(model).policy.digest}")
        return 0
    protect_parent()
    run(settings, key)
    return 0
