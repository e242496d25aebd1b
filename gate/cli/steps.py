"""`gate pull`, `scan`, `judge`, `publish`: the check in four steps that hand files to each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gate.cli.option_values import (
    against_of,
    base_of,
    registry_settings,
    require_samples,
    scan_settings,
    signing,
    tell_signed,
)
from gate.cli.options import (
    AGAINST,
    AUDIT_LOG,
    BANK,
    BASE,
    DIRECTORY,
    MODEL_SIGNING_KEY,
    POLICY,
    PUBLIC_KEY,
    REGISTRY,
    SAMPLES,
    SCAN,
    SIGNING_KEY,
    many,
    option,
)
from gate.cli.progress import progress_bars
from gate.cli.terminal import show_result, tell
from gate.jail.interruption import explained
from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.records.evidence import Evidence
    from gate.records.report import Given


@click.command()
@click.argument("uri")
@option(
    "--to", type=click.Path(path_type=Path, file_okay=False), required=True, help="Directory for the check's files."
)
@many(POLICY, SAMPLES, BASE, AGAINST, PUBLIC_KEY, SIGNING_KEY, AUDIT_LOG, REGISTRY)
def pull(uri: str, to: Path, policy: Path, samples: str | None, **options: Any) -> int:
    """Download a version, its samples and the versions before it, hash them, write manifest.json; needs read access.

    With a signing key commitment.json binds the policy, in a signature from before anything is measured.
    """
    from gate.check.commit import commit
    from gate.check.files import CheckFiles
    from gate.check.pull import pull as run_pull
    from gate.check.rules import read_rules
    from gate.registries import open_registry, require_known

    signs = signing(options)
    rules, settings = read_rules(policy, samples), registry_settings(options)
    require_samples(samples)
    require_known(uri, settings)
    against, base = against_of(uri, options, settings, signs), base_of(uri, options, settings)
    with (
        CheckFiles.claim(to) as files,
        explained("interrupted; what was pulled is not whole", "Run the same command again: it begins anew."),
        progress_bars(),
    ):
        registry = open_registry(uri, settings)
        ref = registry.resolve(uri)
        pulled = run_pull(registry, rules.pull_of(uri, against, base), files, files.root, ref)
        commit(files, pulled, rules.policy, signs)
    tell(f"pulled {ref}: {len(pulled.files)} files, {pulled.manifest.size_bytes} bytes, {pulled.digest}")
    return 0


@click.command()
@DIRECTORY
@many(POLICY, BANK, SCAN)
def scan(directory: Path, policy: Path, bank: Path | None, **options: Any) -> int:
    """Scan what `gate pull` brought; needs no credential and no network.

    Writes evidence.json and, where the model could be read or converted, bundle/.
    """
    from gate.check.files import CheckFiles
    from gate.check.rules import read_rules
    from gate.check.scan import scan_into
    from gate.jail.launch import protect_parent

    protect_parent()
    rules = read_rules(policy).beside(bank)
    pulled = CheckFiles(directory.absolute()).pulled()
    interrupted = explained(
        f"interrupted; what was measured is kept in {directory}", "Run the same command again: it goes on there."
    )
    with CheckFiles.claim(directory) as files, interrupted, progress_bars() as progress:
        request = rules.scan_of(pulled, files.root, scan_settings(options))
        evidence = scan_into(files, request, progress, tell)
    tell(f"scanned {pulled.model}: evidence {evidence.digest}")
    return 0


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@POLICY
@option(
    "--report-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where verdict and reports are written; a directory as SOURCE is its own.",
)
def judge(source: Path, policy: Path, report_dir: Path | None) -> int:
    """Judge evidence against a policy, without scanning again.

    SOURCE is the directory of a check, whose verdict and reports are written anew, or an evidence.json, of which
    nothing is written unless --report-dir says where.
    """
    from gate.check.files import EVIDENCE, CheckFiles, read_input
    from gate.check.report import Context, conclude
    from gate.check.rules import read_rules
    from gate.records.evidence import Evidence
    from gate.records.finding import Decision

    rules = read_rules(policy)
    folder = source if source.is_dir() else source.parent
    evidence = read_input(folder / EVIDENCE if source.is_dir() else source, Evidence, "gate scan")
    pulled = CheckFiles(folder.absolute()).pulled() if (folder / "manifest.json").exists() else None
    if pulled is not None and pulled.digest != evidence.manifest_digest:
        raise UsageError(f"manifest.json and the evidence in {folder} are of different models")
    target = report_dir or (source if source.is_dir() else None)
    context = Context(
        uri=pulled.uri if pulled else evidence.model.uri,
        model=evidence.model,
        rules=rules,
        pulled=pulled,
        directory=str(target or folder),
        given=_given_before(folder, evidence),
    )
    report = conclude(evidence, context, CheckFiles.create(target) if target is not None else None)
    show_result(report, target, "")
    return 0 if report.decision is Decision.APPROVED else 1


def _given_before(folder: Path, evidence: "Evidence") -> "Given":
    """Return the options of the folder's earlier report of the same evidence; the new verdict is not marked."""
    from gate.check.files import REPORT, read_input
    from gate.records.errors import GateError
    from gate.records.report import Given, Report

    try:
        earlier = read_input(folder / REPORT, Report, "gate judge") if (folder / REPORT).exists() else None
    except GateError:
        earlier = None
    about = earlier.evidence.manifest_digest if earlier and earlier.evidence else ""
    if earlier is not None and earlier.manifest is not None:
        about = earlier.manifest.digest  # all that an interrupted check has
    if earlier is None or about != evidence.manifest_digest:
        return Given()
    return earlier.given.model_copy(update={"marks": False})


@click.command()
@DIRECTORY
@many(SIGNING_KEY, MODEL_SIGNING_KEY, AUDIT_LOG, REGISTRY)
def publish(directory: Path, **options: Any) -> int:
    """Sign the decision, keep the bundle, log the reports, mark the version; needs write access and the key."""
    from gate.check.files import CheckFiles
    from gate.check.publish import publish as run_publish
    from gate.records.finding import Decision
    from gate.registries import open_registry
    from gate.registries.uris import unmarkable

    signs = signing(options)
    files = CheckFiles(directory.absolute())
    model = files.evidence().model
    registry = open_registry(str(model), registry_settings(options))
    if not registry.marks:
        raise unmarkable(model, what_to_do="")
    with progress_bars():
        verdict, where = run_publish(registry, files, signs, tell)
    tell_signed(signs)
    tell(f"marked {model} {verdict.decision.value}; reports at {where}")
    return 0 if verdict.decision is Decision.APPROVED else 1
