"""`gate keys generate`: a pair of keys for signed decisions."""

import os
from pathlib import Path

import click

from gate.cli.option_values import PASSPHRASE
from gate.cli.options import option


@click.group()
def keys() -> None:
    """Keys that sign decisions."""


@keys.command()
@option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("gate-signing.pem"),
    group="keys",
    help="The private key's file; the public key goes beside it with the ending .pub.pem.",
)
@option(
    "--for-models",
    is_flag=True,
    help="Make a P-256 pair in place of it, for --model-signing-key and `model_signing verify key`.",
)
def generate(to: Path, for_models: bool) -> int:
    """Make an Ed25519 key pair.

    \b
    gate keys generate --to gate-signing.pem
    GATE_SIGNING_KEY=gate-signing.pem   gate check models:/credit/7        signs
    GATE_PUBLIC_KEY=gate-signing.pub.pem gate verify models:/prod@champion  trusts

    The private key belongs to the publish step alone: never into a scan's container, never to trainers. It is
    encrypted where GATE_SIGNING_KEY_PASSPHRASE is set. To change keys, let verifiers trust both public keys
    (--public-key twice, or both in one file) until the last decision under the old one has expired.
    """  # noqa: D301  # \b is click's own sign
    from gate.attestations.keys import generate_key
    from gate.attestations.model_signature import generate_model_key

    public = to.with_name(f"{to.name.removesuffix('.pem')}.pub.pem")
    passphrase = os.environ.get(PASSPHRASE)
    key_id = (
        generate_model_key(to, public, passphrase).hint if for_models else generate_key(to, public, passphrase).key_id
    )
    click.echo(f"private  {to}  (readable by you alone{', encrypted' if passphrase else ''})")
    click.echo(f"public   {public}")
    click.echo(f"key id   {key_id}")
    return 0
