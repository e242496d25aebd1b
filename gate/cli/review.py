"""`gate review`: what waits for a reviewer, and the reviewer's decision."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from gate.cli.option_values import days_of, public_keys, registry_settings, signing
from gate.cli.options import AUDIT_LOG, MODEL_SIGNING_KEY, POLICY, PUBLIC_KEY, REGISTRY, SIGNING_KEY, many, option
from gate.cli.progress import progress_bars
from gate.cli.rows import covered_lines
from gate.cli.terminal import tell
from gate.cli.wrapping import columns, inert
from gate.jail.inert import inert_line
from gate.records.errors import UsageError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from gate.attestations.keys import PublicKey
    from gate.attestations.statement import Statement
    from gate.check.files import CheckFiles
    from gate.promotion.review import Reviewed
    from gate.promotion.waiting import Waiting
    from gate.registries.contract import Credentials, ProductionRegistry

_REASONS = 20
"""Newest versions that are listed with their reason, each from a report that is fetched."""
_DECIDING = many(
    click.argument("uri"),
    option("--reason", required=True, group="review", help="What was looked at, and why it decides."),
    option("--reviewer", help="The reviewer's name; only where the policy says `reviewers: {identity: stated}`."),
    option(
        "--digest",
        metavar="sha256:DIGEST",
        group="review",
        help="The decision that was looked at, as `gate review show` prints it. Where another stands by now, nothing "
        "is signed. Without it, whichever stands is decided about.",
    ),
    POLICY,
    SIGNING_KEY,
    MODEL_SIGNING_KEY,
    option(
        "--evidence-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Write the signed decision, its verification summary and the signature over an approved bundle there too; "
        "the registry keeps them under the tag gate.review_evidence.",
    ),
    PUBLIC_KEY,
    AUDIT_LOG,
    REGISTRY,
)


@click.group()
def review() -> None:
    """List, show and decide what waits for human review.

    \b
    gate review list                   flagged versions
    gate review show models:/cand/7    what is known of one, and the commands
    gate review approve models:/cand/7 --reason "the brand's logo" --expires 30d
    gate review reject models:/cand/7 --reason "class 7 has a planted patch"

    Reviewers stand in the policy (`reviewers: {names: [ann, bob], approvals: 2}`). Who one is, the registry's own
    authentication says: GATE_REVIEWER_USERNAME and GATE_REVIEWER_PASSWORD are the reviewer's account, while the gate's
    account (MLFLOW_TRACKING_USERNAME) writes the tags. Whoever may change the candidate may not review it.
    """  # noqa: D301  # \b is click's own sign


@review.command(name="list")
@option("--registered-model", help="Only versions of this registered model.")
@many(PUBLIC_KEY, REGISTRY)
def list_(registered_model: str | None, **options: Any) -> int:
    """List the flagged versions, how far their review is, how old they are and why they were flagged.

    Without --public-key nothing is verified, and what the tags claim is shown as a claim. Reasons are taken from the
    reports of the newest versions; `gate review show` has any version's.
    """
    from gate.promotion.reading import ago
    from gate.promotion.verification import now
    from gate.promotion.waiting import waiting
    from gate.registries import open_production

    keys = _keys_to_look(options.pop("public_key"))
    registry = open_production(registry_settings(options))
    with progress_bars():
        rows = [_Row.of(seen, keys) for seen in waiting(registry, registered_model, keys)]
        rows.sort(key=lambda row: -row.at.timestamp() if row.at else 0.0)
        reasons = [row.reason(registry) if number < _REASONS else "" for number, row in enumerate(rows)]
    for row, reason in zip(rows, reasons, strict=True):
        age = ago(row.at, now()) if row.at else "at no known time"
        click.echo(f"{row.state:11} {inert_line(str(row.seen.ref), limit=200)}  {age}")
        for line in inert(reason, 500, columns(), " " * 12, " " * 12) if reason else ():
            click.echo(line)
    if not rows:
        click.echo("nothing waits")
    return 0


@review.command()
@click.argument("uri")
@many(PUBLIC_KEY, REGISTRY)
def show(uri: str, **options: Any) -> int:
    """Show why a version was flagged, the signed decision, its reviewers' reasons, its reports, and what can be done.

    Without --public-key nothing is verified, and what the version's tag claims is shown as a claim.
    """
    from gate.promotion.reading import ago
    from gate.promotion.verification import now
    from gate.promotion.waiting import look
    from gate.registries import open_production

    keys = _keys_to_look(options.pop("public_key"))
    registry = open_production(registry_settings(options))
    with progress_bars():
        row = _Row.of(look(registry, uri, keys), keys)
        reason = row.reason(registry)
    seen, statement = row.seen, row.statement
    click.echo(
        f"{row.state.upper()}  {inert_line(str(seen.ref), limit=200)}{f'  {ago(row.at, now())}' if row.at else ''}"
    )
    for line in inert(reason, 500, columns(), "reason   ", " " * 9) if reason else ():
        click.echo(line)
    for against in seen.found.reasons if keys else ():
        click.echo(f"- {inert_line(against, limit=500)}")
    if statement is not None:
        _show_decision(statement)
    click.echo(inert_line(f"reports  {seen.tags.get('gate.report', 'none')}  (as the version's tag says)", limit=300))
    if seen.found.statement is None and statement is None:
        command = "gate publish DIR --signing-key KEY"
        click.echo(f"then     {command}   signs the finished check in DIR, which a review is about")
        return 0
    uri, shown = shlex.quote(str(seen.ref)), f"--digest {seen.digest}"
    click.echo(inert_line(f'then     gate review approve {uri} --reason "…" --expires 30d {shown}', limit=1000))
    click.echo(inert_line(f'or       gate review reject {uri} --reason "…" {shown}', limit=1000))
    return 0


def _show_decision(statement: "Statement") -> None:
    predicate = statement.predicate
    click.echo(f"decision {predicate.decision.value}, level {predicate.assurance or 'none'}")
    for line in covered_lines(statement):
        click.echo(line)
    click.echo(inert_line(f"policy   {predicate.policy_name}@{predicate.policy_digest}", limit=300))
    click.echo(f"evidence {predicate.evidence_digest}")
    click.echo(f"valid    {predicate.decided_at:%Y-%m-%d %H:%M} to {predicate.expires_at:%Y-%m-%d %H:%M} UTC")
    for voice in predicate.review.voices if predicate.review else ():
        click.echo(inert_line(f"{voice.outcome} by {voice.reviewer}, {voice.at:%Y-%m-%d}: {voice.reason}", limit=900))


@review.command()
@_DECIDING
@option("--expires", default="30d", group="review", help="Days it holds, such as 30d.")
@option("--lift", multiple=True, help="Take back the rejection of a reviewer whom the policy no longer names.")
def approve(uri: str, expires: str, **options: Any) -> int:
    """Approve a flagged version for a time; with a four-eyes count it waits for the other reviewers.

    A rejection of the same bytes counts against it, whatever version or scan it was about, until its reviewer approves
    them.
    An approval covers the bytes that `gate review show` lists. Exit 0: approved and signed. Exit 1: it waits for
    another reviewer, or may not be approved.
    """
    return _decide(uri, "approved", days_of(expires), options)


@review.command()
@_DECIDING
def reject(uri: str, **options: Any) -> int:
    """Reject a version: it stays flagged, and the rejection is signed and logged. Exit 0 when that is done."""
    return _decide(uri, "rejected", None, options)


def _decide(uri: str, outcome: Literal["approved", "rejected"], days: int | None, options: dict[str, Any]) -> int:
    from gate.policies.read import read_policy
    from gate.promotion.review import Review
    from gate.promotion.review import review as run_review
    from gate.promotion.verification import now
    from gate.records.clock import today
    from gate.registries import open_production

    rules = read_policy(options.pop("policy"), on=today())
    signs = signing(options)
    if signs is None:
        raise UsageError("a review is signed", what_to_do="Name the gate's key with --signing-key or GATE_SIGNING_KEY.")
    longest = rules.reviewers.longest if rules.reviewers else 1
    request = Review(
        uri=uri,
        outcome=outcome,
        reason=options.pop("reason"),
        days=longest if days is None else days,
        policy=rules,
        keys=public_keys(options.pop("public_key"), signs.key),
        stated=options.pop("reviewer"),
        credentials=_credentials(),
        lifts=options.pop("lift", ()),
        shown=options.pop("digest"),
    )
    kept = _folder(options.pop("evidence_dir"))
    registry = open_production(registry_settings(options))
    with progress_bars():
        reviewed = run_review(registry, request, signs, now())
    _tell_kept(reviewed, kept)
    predicate = reviewed.statement.predicate
    done = predicate.review
    assert done is not None
    by = ", ".join(voice.reviewer for voice in done.voices)
    click.echo(inert_line(f"{done.outcome.upper()}  {predicate.model} by {by}", limit=1000))
    if done.outcome == "waiting":
        click.echo(f"{len(done.voices)} of {done.needed} approvals; it stays flagged until then")
    if done.outcome == "approved":
        click.echo(f"until {predicate.expires_at:%Y-%m-%d %H:%M} UTC")
    return 0 if done.outcome == outcome else 1


def _folder(path: Path | None) -> "CheckFiles | None":
    """Make the directory for a review's files, before anything is signed."""
    from gate.check.files import CheckFiles

    return CheckFiles.create(path) if path is not None else None


def _tell_kept(reviewed: "Reviewed", folder: "CheckFiles | None") -> None:
    """Write a review's files where they were asked for, and say where they are."""
    if folder is not None:
        for name, text in reviewed.files.items():
            folder.write(name, text)
    if reviewed.problem:
        tell(f"the review stands, and the registry could not keep its files: {inert_line(reviewed.problem, limit=500)}")
    names = ", ".join(reviewed.files)
    places = [str(folder.root)] if folder is not None else []
    for place in [*places, reviewed.where]:
        if place:
            tell(f"{names} in {inert_line(place, limit=300)}")


def _credentials() -> "Credentials | None":
    """Return the reviewer's own account from the environment; half of it is a `UsageError`."""
    from gate.registries.contract import Credentials

    name, password = os.environ.get("GATE_REVIEWER_USERNAME"), os.environ.get("GATE_REVIEWER_PASSWORD")
    if name is None and password is None:
        return None
    if not name or not password:
        raise UsageError("expected both GATE_REVIEWER_USERNAME and GATE_REVIEWER_PASSWORD, got one")
    return Credentials(name, password)


def _keys_to_look(places: tuple[str, ...]) -> "tuple[PublicKey, ...]":
    """Return the trusted keys; without any, a line says that nothing is verified."""
    if places:
        return public_keys(places)
    tell("nothing is verified: no --public-key (GATE_PUBLIC_KEY) was given, so this is what the tags claim")
    return ()


@dataclass(frozen=True)
class _Row:
    """A version with its trusted decision, or without keys the claim in its tag."""

    seen: "Waiting"
    statement: "Statement | None"
    state: str
    at: "dt.datetime | None"

    @classmethod
    def of(cls, seen: "Waiting", keys: "Sequence[PublicKey]") -> "_Row":
        from gate.attestations.envelope import claimed
        from gate.promotion.reading import checked_at
        from gate.promotion.verification import ATTESTATION_TAG

        if keys:
            return cls(seen, seen.found.statement, seen.state, checked_at(seen))
        statement = claimed(seen.tags.get(ATTESTATION_TAG, ""))
        if statement is None or statement.predicate.model != seen.ref:
            return cls(seen, None, "unsigned", checked_at(seen))
        return cls(seen, statement, "unverified", statement.predicate.decided_at)

    def reason(self, registry: "ProductionRegistry") -> str:
        """Return in a sentence why the version was flagged, from the decision's report; empty without one."""
        from gate.promotion.reading import reason_of, report_of

        report = report_of(registry, self.seen, self.statement, ())
        return reason_of(report) if report else ""
