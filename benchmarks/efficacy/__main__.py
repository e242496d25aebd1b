"""The command `python -m benchmarks.efficacy`.

It measures (run, packaged, peers, check, cost), reads (status, collect, and in five ways: table, by-detector, by-model,
each, asked), makes banks (bank) and asks what banks are worth that are too small or of another task (small-banks,
other-task).
The top of the harness's flow; prints, and turns errors into an exit code.
"""

import sys

import click

from benchmarks.efficacy import banking, measuring_commands, other_task, reporting_commands, small_banks
from gate.records.errors import GateError


@click.group()
def efficacy() -> None:
    """Measure how well the gate tells backdoored models of the zoo from clean ones."""


for command in (
    measuring_commands.run_command,
    measuring_commands.packaged_command,
    measuring_commands.peers,
    measuring_commands.check,
    measuring_commands.cost_command,
    reporting_commands.status,
    reporting_commands.collect_command,
    reporting_commands.table,
    reporting_commands.by_detector,
    reporting_commands.by_model,
    reporting_commands.each,
    reporting_commands.asked_command,
    banking.bank_command,
    small_banks.small_banks,
    other_task.other_task,
):
    efficacy.add_command(command)


if __name__ == "__main__":
    try:
        efficacy()
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
