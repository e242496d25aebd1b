"""`gate bank`: build reference banks from trusted clean models or copies made for it, and show one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gate.cli import bank_make
from gate.cli.bank_lines import describe
from gate.cli.option_values import base_of, registry_settings, require_samples, scan_settings
from gate.cli.options import BASE, POLICY, REGISTRY, SAMPLES, SCAN, many, option
from gate.cli.progress import progress_bars
from gate.cli.terminal import tell
from gate.jail.interruption import explained
from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.banks.build import BuildRequest
    from gate.check.base_model import AskedBase
    from gate.registries import RegistrySettings
    from gate.registries.contract import Registry

_MAX_REASON = 1000


@click.group()
def bank() -> None:
    """Make and read reference banks: what clean models of a task measure."""


bank.add_command(bank_make.make)


SOURCES = many(
    option("--model", "models", multiple=True, metavar="URI", help="A clean model, as for check; may be repeated."),
    option("--registered-model", metavar="NAME", help="Every version of a registered model."),
    option(
        "--approved-only",
        is_flag=True,
        help="Only versions with the tag gate.decision = approved. The tag is no proof.",
    ),
    option(
        "--evidence-dir",
        "folders",
        multiple=True,
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="Directory of a finished check of a clean model, not scanned again; may be repeated.",
    ),
    option(
        "--accept-flagged",
        metavar="REASON",
        help="Take models that are flagged, were rejected or have no verdict, and say why they are clean all the same: "
        "it stands in the bank, and in every report beside it. Without it they are refused.",
    ),
)


_BESIDE = ("adapter", "language")
"""Kinds of models that are measured beside a base, each by the policy of its name."""


@bank.command()
@option(
    "--kind",
    type=click.Choice(["model", *_BESIDE]),
    default="model",
    help="What the bank holds: whole models; or adapters of low rank, or language models tuned from it, of one "
    "--base, by the policy 'adapter' or 'language' unless --policy names another.",
)
@SOURCES
@option("--to", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The bank's JSON file.")
@option("--name", help="The bank's name; the file's by default.")
@option("--provenance", default="", help="Where the models come from: data, recipe, who trained them.")
@option(
    "--references",
    type=click.IntRange(0, 64),
    default=4,
    help="Models whose programs are kept beside the bank, to try suspects' triggers on.",
)
@option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where each model's evidence is kept, so that a build goes on where it was; TO.measured by default.",
)
@many(POLICY, SAMPLES, BASE, SCAN, REGISTRY)
def build(to: Path, policy: Path, samples: str | None, **options: Any) -> int:
    """Measure trusted clean models and write a bank of what was measured.

    Models are pulled and scanned in jailed workers, as by check, with the policy's detectors that look at every
    class. A model measured already by the same settings is not scanned again. What a limit of the policy flags, a
    reviewer rejected, or a finished check's verdict does not approve (signed or not) is refused, unless
    --accept-flagged says why it is clean; being flagged for want of a bank alone counts as nothing.
    """
    from gate.banks.build import build as run_build
    from gate.check.files import CheckFiles
    from gate.jail.launch import protect_parent
    from gate.registries import require_known

    protect_parent()
    policy, base = _of_kind(options.pop("kind"), policy, options.pop("base"))
    settings = registry_settings(options)
    request = _request(to, policy, samples, options, base_of("", {"base": base}, settings))
    for uri in options["models"]:
        require_known(uri, settings)
    for folder in (to.absolute().parent, request.work):
        CheckFiles.create(folder)  # tried before a registry is asked
    kept = f"the build was interrupted, and no bank was written; what was measured is kept in {request.work}"
    with progress_bars() as progress, explained(kept, "Run the same command again: it goes on there."):
        models = _sources(options, settings)
        made = run_build(models, options["folders"], request, progress, tell)
    for line in describe(made):
        click.echo(line)
    return 0


def _of_kind(kind: str, policy: Path, base: str | None) -> tuple[Path, str | None]:
    """Return the policy and the base of a bank of this kind; a base where there is none to be is a `UsageError`."""
    from gate.policies.packaged import policy_at

    if kind in _BESIDE and not base:
        raise UsageError(
            f"a bank of the kind {kind} is of one base, and none is named", what_to_do="Name it with --base."
        )
    if kind not in _BESIDE and base:
        raise UsageError(
            "--base is of adapters and language models",
            what_to_do="Add --kind adapter or --kind language, or leave --base out.",
        )
    unnamed = click.get_current_context().get_parameter_source("policy") is ParameterSource.DEFAULT
    return (policy_at(kind) if kind in _BESIDE and unnamed else policy), base


def _request(
    to: Path, policy: Path, samples: str | None, options: dict[str, Any], base: "AskedBase | None"
) -> "BuildRequest":
    from gate.banks.build import BuildRequest
    from gate.policies.read import read_policy
    from gate.records.clock import today

    rules = read_policy(policy, on=today())
    require_samples(samples)
    return BuildRequest(
        policy=rules,
        samples=samples,
        settings=scan_settings(options),
        to=to,
        work=options["work"] or to.with_name(f"{to.name}.measured"),
        name=(options["name"] or to.stem)[:100],
        provenance=options["provenance"],
        most_references=options["references"],
        base=base,
        accept_flagged=_accepted_because(options["accept_flagged"]),
    )


def _accepted_because(reason: str | None) -> str:
    """Return the reason for taking flagged models; an empty or too long one is a `UsageError`."""
    if reason is not None and not reason.strip():
        raise UsageError("--accept-flagged needs a reason", what_to_do="Say how it is known that the models are clean.")
    if reason is not None and len(reason) > _MAX_REASON:
        raise UsageError(f"--accept-flagged has {len(reason)} characters; at most {_MAX_REASON} stand in a bank")
    return (reason or "").strip()


def _sources(options: dict[str, Any], settings: "RegistrySettings") -> "list[tuple[str, Registry]]":
    from gate.banks.build import versions_of
    from gate.registries import open_registry

    found = [(uri, open_registry(uri, settings)) for uri in options["models"]]
    name = options["registered_model"]
    if name is not None:
        registry = open_registry(f"models:/{name}/latest", settings)
        uris = versions_of(registry, name, approved_only=options["approved_only"])
        found += [(uri, registry) for uri in uris]
    elif options["approved_only"]:
        raise UsageError("--approved-only chooses among the versions of a --registered-model, and none is named")
    if not found and not options["folders"]:
        raise UsageError("no model was named", what_to_do="Use --model, --registered-model or --evidence-dir.")
    return found


@bank.command()
@click.argument("file", type=click.Path(path_type=Path))
def show(file: Path) -> None:
    """Print what a bank holds; its references are hashed."""
    from gate.records.bank import open_bank

    opened = open_bank(file)
    for line in describe(opened.bank):
        click.echo(line)
    click.echo(f"sha256: {opened.sha256}")
