"""Options of several commands, each with a `GATE_…` environment variable of its name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gate.policies.packaged import policy_at

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def option(name: str, *parameter: str, group: str = "", **settings: Any) -> Callable[[CommandT], CommandT]:
    """Return a click option with environment variable and default in its help.

    `parameter` names the argument; `group`, the group of commands whose name stands before the option's in the
    variable, where that means something of its own there.
    """
    words = [group, name.split("/", maxsplit=1)[0].removeprefix("--")]
    settings.setdefault("envvar", "_".join(["GATE", *filter(None, words)]).replace("-", "_").replace(" ", "_").upper())
    default = settings.get("default")
    settings.setdefault("show_default", bool(default) and not isinstance(default, bool))
    return click.option(name, *parameter, show_envvar=True, **settings)


def many(*decorators: Callable[[CommandT], CommandT]) -> Callable[[CommandT], CommandT]:
    """Return one decorator that applies several, the first outermost, so that --help keeps their order."""

    def apply(command: CommandT) -> CommandT:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return apply


def _policy(_context: click.Context, _parameter: click.Parameter, value: str) -> Path:
    """Return the file of a policy's name or path, which need not exist."""
    # A string until here: a `Path` would forget that ./default is no bare name.
    return policy_at(value)


DIRECTORY = click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
POLICY = option(
    "--policy",
    type=click.Path(),
    callback=_policy,
    default="default",
    metavar="[default|files-only|text|adapter|language|FILE]",
    help="Every limit, waiver and setting: the bare name of a policy that comes with the gate, or a policy file. A "
    "file of your own called 'default' is ./default.",
)
SAMPLES = option(
    "--samples",
    help="Clean samples: an .npz of `inputs` and `labels`, a folder of images by class, texts as .jsonl or .csv, or an "
    "artifact URI such as runs:/ID/samples.npz. Overrides what the policy pins; the override is recorded.",
)
BANK = option(
    "--bank",
    type=click.Path(path_type=Path),
    help="The reference bank's JSON file, with its models beside it. Overrides what the policy pins; the override is "
    "recorded.",
)
BASE = option(
    "--base",
    metavar="URI",
    help="The language model that an adapter of low rank is for, or that a whole one was tuned from: "
    "models:/NAME/VERSION, models:/NAME@ALIAS or a folder. Its weights' digest says which bank is the candidate's.",
)
AGAINST = option(
    "--against",
    metavar="URI",
    help="The version to compare with: models:/NAME@ALIAS, models:/NAME/VERSION, a model folder, or 'none'. By default "
    "the one that serves: the alias champion (GATE_ALIAS) of GATE_PROMOTE_TO or, without it, of the model itself. "
    "An alias that names nothing yet is no error.",
)
REGISTRY = many(
    option(
        "--tracking-uri",
        envvar=["GATE_TRACKING_URI", "MLFLOW_TRACKING_URI"],
        help="The MLflow tracking server or embedded store.",
    ),
    option(
        "--registry-uri",
        envvar=["GATE_REGISTRY_URI", "MLFLOW_REGISTRY_URI"],
        help="The MLflow model registry, where it differs from the tracking server.",
    ),
    option(
        "--registry-timeout",
        "timeout_seconds",
        type=click.IntRange(1, 3600),
        default=30,
        help="Seconds that one request to the registry may take; MLFLOW_HTTP_REQUEST_TIMEOUT, where set, wins.",
    ),
    option(
        "--registry-retries",
        "retries",
        type=click.IntRange(0, 20),
        default=3,
        help="How often a failed request is tried again; MLFLOW_HTTP_REQUEST_MAX_RETRIES, where set, wins.",
    ),
    option("--experiment", default="gate", help="The gate's own experiment, for its reports and bundles."),
)
_MEASURED = (
    option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        help="Seed of everything random in the scan; the policy's by default.",
    ),
    option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        help="Where the scan computes; cuda never falls back to the CPU. The policy's by default.",
    ),
    option(
        "--arithmetic",
        type=click.Choice(["auto", "as-read"]),
        default="auto",
        show_default=True,
        help="How searches and probes run a large model: in the quickest form that agrees with it (layers folded, "
        "bfloat16), which a short timing chooses and so may differ between machines; or as it was read. What they find "
        "is measured again by the model itself.",
    ),
    option(
        "--deadline",
        "deadline_seconds",
        type=click.FloatRange(1, 7 * 86400),
        help="Seconds that the scan may take. What cannot end in them is left out where something else can, and "
        "recorded as skipped, which flags; the scan says beforehand how long it expects to take. The policy's by "
        "default.",
    ),
)
_RESOURCES = (
    option(
        "--memory",
        "memory_gib",
        type=click.FloatRange(1, 4096),
        default=12.0,
        help="GiB of address space that a worker without a GPU may use; a quarter of it bounds the images in one pass.",
    ),
    option(
        "--threads",
        type=click.IntRange(0, 1024),
        default=0,
        show_default="all cores",
        help="Threads of the scan worker.",
    ),
)
_ALLOWED = (
    option(
        "--allow-code",
        is_flag=True,
        help="Let a model that carries code of its own run it in the jailed converter, which turns it into a "
        "program that the gate writes as a bundle: level B, where only the bundle can be approved. What cannot be "
        "converted is measured alive: level C, always flagged.",
    ),
    option(
        "--isolation",
        type=click.Choice(["full", "partial", "none"]),
        help="The least isolation in which the scan may run at all; what was achieved is judged by the policy.",
    ),
)
PROBE_SEED = option(
    "--probe-seed",
    help="A secret from which probe-grid draws a tenth more probes (`openssl rand -hex 32`): a path, or its 64 "
    "digits in the environment. A bank and its candidates need the same one; no worker that may run a candidate's "
    "code gets it.",
)
MEASURING = many(*_MEASURED, *_ALLOWED, PROBE_SEED)
"""What decides the measurements of a scan."""
SCAN = many(*_MEASURED, *_RESOURCES, *_ALLOWED, PROBE_SEED)
SIGNING_KEY = option(
    "--signing-key",
    help="An Ed25519 private key (PEM) that signs the decision: a path, or the text itself in the environment. Without "
    "one the verdict is unsigned and can never be promoted. GATE_SIGNING_KEY_PASSPHRASE opens an encrypted key.",
)
MODEL_SIGNING_KEY = option(
    "--model-signing-key",
    help="A P-256 private key (PEM) that signs the files of an approved bundle in model.sig, for `model_signing "
    "verify key`: a path, or the text itself in the environment.",
)
AUDIT_LOG = option(
    "--audit-log",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The review log: signed decisions, reviews and promotions, one JSON line each, chained by their hashes.",
)
PUBLIC_KEY = option(
    "--public-key",
    type=click.Path(),
    multiple=True,
    help="A trusted public key (PEM): a path, or the text itself in the environment. Give it several times, or several "
    "keys in one file, while keys are being changed.",
)
REPORT_DIR = option(
    "--report-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("gate-report"),
    help="Directory for the files of this check.",
)
