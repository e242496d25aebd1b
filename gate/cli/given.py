"""Options of a command that its report repeats in the commands it prints: never a secret or a key."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gate.records.report import Given

_PEM = "-----BEGIN"


def given_of(context: click.Context, *, marks: bool) -> "Given":
    """Return the check's options from a command's line and environment."""
    from gate.records.probe_seed import is_seed
    from gate.records.report import Given
    from gate.renderers.commands import tellable

    options: dict[str, Any] = context.params
    signing, public = options.get("signing_key") or "", _public_keys(options)
    experiment, seed = options.get("experiment") or "", options.get("probe_seed") or ""
    tracking, registry = options.get("tracking_uri"), options.get("registry_uri")
    return Given(
        samples=options.get("samples") or "",
        bank=str(options.get("bank") or ""),
        base=options.get("base") or "",
        against=options.get("against") or "",
        allow_code=bool(options.get("allow_code")),
        tracking_uri=tellable(tracking),
        registry_uri=tellable(registry) if registry != tracking else "",
        experiment="" if experiment == "gate" else experiment,  # the default needs no option
        signing_key=_path(signing),
        signs=bool(signing),
        marks=marks,
        public_keys=tuple(filter(None, map(_path, public))) or _beside(signing),
        trusts=bool(public),
        audit_log=str(options.get("audit_log") or ""),
        probe_seed="" if is_seed(seed) else seed,
    )


def _public_keys(options: dict[str, Any]) -> tuple[str, ...]:
    """Return the trusted keys; a command without the option reads the variable all the same."""
    keys = os.environ.get("GATE_PUBLIC_KEY", "")
    return tuple(options.get("public_key") or ((keys,) if _PEM in keys else filter(None, keys.split(os.pathsep))))


def _path(key: str) -> str:
    """Return the path of a key; empty for the text of one, which is never printed."""
    return "" if _PEM in key or "\n" in key else key


def _beside(signing: str) -> tuple[str, ...]:
    """Return the public key that `gate keys generate` wrote beside a private one, if it is there."""
    if not _path(signing):
        return ()
    public = Path(signing).with_name(f"{Path(signing).name.removesuffix('.pem')}.pub.pem")
    return (str(public),) if public.is_file() else ()
