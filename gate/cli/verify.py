"""`gate verify`: at deploy time, online or offline; and the check of the review log."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gate.cli.option_values import public_keys, registry_settings, review_log, trusted_by
from gate.cli.options import AUDIT_LOG, POLICY, PUBLIC_KEY, REGISTRY, many, option
from gate.cli.progress import progress_bars
from gate.cli.rows import covered_lines, examined_lines
from gate.cli.terminal import tell
from gate.jail.inert import inert_line
from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.promotion.verification import Looked, Trust


@click.command()
@click.argument("target", required=False)
@option(
    "--attestation",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The signed decision of a model folder; by default attestation.json in it is not looked for.",
)
@PUBLIC_KEY
@POLICY
@option("--policy-digest", help="The policy's digest in place of the file: sha256:…")
@option("--any-policy", is_flag=True, help="Accept a decision under any policy; it is shown, not compared.")
@option(
    "--to",
    "destination",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="GATE_VERIFY_TO",
    help="Copy the verified files of a version to this folder, which is empty or holds what an earlier run left there; "
    "where it does not hold nothing is copied.",
)
@option(
    "--require-commitment",
    is_flag=True,
    help="Accept only a decision whose policy was committed to, signed, before the scan; with --audit-log the log must "
    "hold the commitment too.",
)
@option("--candidate", help="The registered model that the decision's candidate must be a version of; without it, any.")
@option(
    "--audit",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Check this review log: its chain and, with public keys, each signed decision in it.",
)
@option(
    "--head", help="With --audit: the hash that the log's newest line must have; with --audit-log: that any line must."
)
@many(AUDIT_LOG, REGISTRY)
def verify(target: str | None, audit: Path | None, head: str | None, **options: Any) -> int:
    """Verify that a trusted, unexpired approval covers these very bytes.

    \b
    gate verify models:/prod@champion --public-key KEY    in the deploy job
    gate verify models:/prod@champion --to /mnt/models    and hand over what
                                                          was verified
    gate verify --audit reviews.jsonl --public-key KEY    the review log
    gate verify ./model --attestation attestation.json --public-key KEY
                                                          the copy to be served

    TARGET is downloaded, or read where it lies, and hashed; the signature, the digest, the policy (--policy, or
    its digest), the expiry and, with --audit-log, newer decisions are compared. A decision covers the gate's bundle,
    which `gate promote` copies, and under `serve: candidate` the candidate's own files too; the line `covers` says
    which. --require-commitment asks that the policy was bound before the scan. Exit 0: it holds. Exit 1: it does not,
    and every reason is printed. Exit 2: a key or policy cannot be used. Exit 3: the registry did not answer.
    """  # noqa: D301  # \b is click's own sign
    if (target is None) == (audit is None):
        raise UsageError("expected either a version or folder to verify, or --audit LOG", what_to_do="See --help.")
    if audit is not None:
        return _audit(audit, options["public_key"], head)
    assert target is not None
    looked = _look(target, _trust(options, head), options)
    code = _show(looked)
    if looked.verified.statement is not None:
        for what, option, left_out in (
            ("policy", "--any-policy", options["any_policy"]),
            ("candidate's registered model", "no --candidate", options["candidate"] is None),
        ):
            if left_out:
                tell(f"the {what} was not compared ({option})")
    if looked.holds and (to := options["destination"]) is not None:
        click.echo(f"copied   to {to}")
    return code


def _trust(options: dict[str, Any], head: str | None) -> "Trust":
    from gate.promotion.verification import Trust

    keys, any_policy = public_keys(options["public_key"]), options["any_policy"]
    digest, stores, bounds = trusted_by(options["policy"], options["policy_digest"], any_policy=any_policy)
    log, committed = review_log(options["audit_log"], head), options["require_commitment"]
    return Trust(keys, digest, options["candidate"], log, stores, head, committed, download=bounds)


def _look(target: str, trust: "Trust", options: dict[str, Any]) -> "Looked":
    from gate.promotion.verification import now, verify_folder, verify_version
    from gate.records.record import MalformedError, read_bounded
    from gate.registries import open_registry
    from gate.registries.uris import is_registry_uri

    attestation: Path | None = options["attestation"]
    if is_registry_uri(target):
        if attestation is not None:
            raise UsageError("--attestation is for a model folder; a version carries its own in its tag")
        registry = open_registry(target, registry_settings(options))
        with progress_bars():
            return verify_version(registry, target, trust, now(), options["destination"])
    if options["destination"] is not None:
        raise UsageError("--to is for a version, which is downloaded; a folder is verified where it lies")
    if attestation is None:
        raise UsageError(f"{target} is a folder; name its signed decision with --attestation FILE")
    if not Path(target).is_dir():
        raise UsageError(f"there is no model folder at {target}")
    try:
        envelope = read_bounded(attestation, limit=100_001)
    except MalformedError as error:
        raise UsageError(f"the attestation {attestation} cannot be read: {error}") from None
    return verify_folder(Path(target), envelope.decode(errors="replace"), trust, now())


def _show(looked: "Looked") -> int:
    click.echo(f"{'VERIFIED' if looked.holds else 'NOT VERIFIED'}  {inert_line(looked.what, limit=300)}")
    click.echo(f"bytes    {looked.digest}")
    statement = looked.verified.statement
    if statement is not None:
        predicate = statement.predicate
        for line in covered_lines(statement, looked.digest):
            click.echo(line)
        by = ", ".join(voice.reviewer for voice in predicate.review.voices) if predicate.review else ""
        word = (
            predicate.review.outcome
            if predicate.review and predicate.review.outcome != "waiting"
            else predicate.decision.value
        )
        click.echo(inert_line(f"decision {word}{f' by {by}' if by else ''} for {predicate.model}", limit=500))
        click.echo(inert_line(f"policy   {predicate.policy_name}@{predicate.policy_digest}", limit=300))
        for line in examined_lines(statement):
            click.echo(inert_line(line, limit=1000))
        click.echo(f"valid    {predicate.decided_at:%Y-%m-%d %H:%M} to {predicate.expires_at:%Y-%m-%d %H:%M} UTC")
        click.echo(f"key      {looked.verified.key_id}")
    for reason in looked.verified.reasons:
        click.echo(f"- {inert_line(reason, limit=1000)}")
    return 0 if looked.holds else 1


def _audit(path: Path, places: tuple[str, ...], head: str | None) -> int:
    from gate.attestations.auditing import audit as run_audit
    from gate.attestations.log import ReviewLog

    found = run_audit(ReviewLog(path), public_keys(places) if places else (), head)
    click.echo(f"{'WHOLE' if not found.faults else 'BROKEN'}  {path}: {len(found.entries)} entries")
    click.echo(f"head     {found.head}")
    if found.unfinished:
        tell(
            f"{found.unfinished} bytes at its end are a line that was never finished: its writer was ended; not counted"
        )
    if not places:
        tell("without --public-key the chain alone was checked, and no signature in it")
    for fault in found.faults:
        click.echo(f"- {inert_line(fault, limit=1000)}")
    return 1 if found.faults else 0
