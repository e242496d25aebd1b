"""The group of commands and the one place where errors become exit codes."""

import sys
import traceback

import click

from gate import VERSION
from gate.cli import (
    bank,
    base,
    check,
    completion,
    doctor,
    evidence,
    explain,
    fleet,
    keys,
    promote,
    remediate,
    report,
    rescan,
    review,
    schema,
    serve,
    steps,
    verify,
)
from gate.cli.formatting import whole_words
from gate.cli.terminal import fail
from gate.jail.interruption import stop_on_termination, stopped
from gate.records.errors import GateError, StoppedError, UnexaminableError, UsageError

_EPILOG = (
    "Exit codes: 0 approved; 1 flagged for human review; 2 your command, policy, directory or samples are wrong, and "
    "nothing was marked; 3 the gate could not finish, or not publish its verdict; 130 interrupted (143 by SIGTERM). "
    "Anything but 0 blocks. `gate completion --help` says how a shell completes all this."
)


@click.group(epilog=_EPILOG)
@click.version_option(VERSION, prog_name="gate", message="%(prog)s %(version)s")
@click.option(
    "--debug", is_flag=True, envvar="GATE_DEBUG", show_envvar=True, help="Show where an internal error arose."
)
def main(debug: bool) -> None:
    """Probe a candidate model for backdoors before it is promoted.

    \b
    gate check models:/credit/7 --samples clean.npz      a version in MLflow
    gate check models:/credit@candidate                  by alias, looked up once
    gate check ./model --no-mark --samples clean.npz     a model folder on disk
    gate promote models:/credit/7 --to prod              what was approved
    gate remediate models:/credit/8 --samples clean.npz  what was flagged
    gate verify models:/prod@champion                    at deploy time
    gate fleet plan out --alias champion                 all that serves
    """  # noqa: D301  # \b is click's own sign for lines that are not to be wrapped
    del debug


_COMMANDS: tuple[click.Command, ...] = (
    *(check.check, steps.pull, steps.scan, steps.judge, steps.publish),
    *(promote.promote, review.review, verify.verify, rescan.rescan, fleet.fleet, remediate.remediate),
    *(serve.serve, keys.keys, doctor.doctor, report.report, evidence.evidence, base.base, bank.bank),
    *(explain.explain, schema.schema, completion.completion),
)
for command in _COMMANDS:
    main.add_command(command)
whole_words(main)


def run() -> int:
    """Run the command line and return its exit code."""
    stop_on_termination()  # for every command; the service sets handlers of its own
    try:
        code = main.main(prog_name="gate", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except GateError as error:
        fail(str(error), error.what_to_do)
        return _exit_code(error)
    except (click.Abort, KeyboardInterrupt):
        ended = stopped("interrupted", "Run the same command again: it goes on where it can, or begins anew.")
        fail(str(ended), ended.what_to_do)
        return ended.exit_code
    except Exception as error:  # noqa: BLE001  # an internal error is one sentence and never looks like a verdict
        fail(f"internal error: {type(error).__name__}: {error}", "Run again with --debug to see where, and report it.")
        if "--debug" in sys.argv:
            traceback.print_exc()
        return 3
    return code if isinstance(code, int) else 0


def _exit_code(error: GateError) -> int:
    if isinstance(error, StoppedError):
        return error.exit_code
    if isinstance(error, UsageError):
        return 2
    return 1 if isinstance(error, UnexaminableError) else 3
