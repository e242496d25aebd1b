"""`gate schema`: the JSON schemas of the files."""

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gate.records.record import Record


@click.command()
@click.argument(
    "kind",
    metavar="KIND",
    type=click.Choice(["policy", "evidence", "report", "remediation", "fleet-plan", "fleet-status"]),
)
def schema(kind: str) -> None:
    """Print the JSON schema of a policy, of evidence.json, report.json or remediation.json, or of a fleet's files.

    The files of a fleet are plan.json and status.json.
    """
    click.echo(schema_text(kind), nl=False)


def schema_text(kind: str) -> str:
    """Return a schema as indented JSON with a final newline."""
    from gate.records.evidence import Evidence
    from gate.records.fleet import FleetPlan, FleetStatus
    from gate.records.policy import Policy
    from gate.records.remediation import RemediationReport
    from gate.records.report import Report

    records: dict[str, type[Record]] = {
        "policy": Policy,
        "evidence": Evidence,
        "report": Report,
        "remediation": RemediationReport,
        "fleet-plan": FleetPlan,
        "fleet-status": FleetStatus,
    }
    body = records[kind].model_json_schema(by_alias=True)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **body}, indent=2) + "\n"
