"""`gate fleet`: many checks over a registry, planned by bytes, done once each, and shown while they run."""

from pathlib import Path
from typing import Any

import click

from gate.cli.fleet_run import (
    address_of,
    fleet_run,
    publish,
    queued,
    seconds_given,
    shard_given,
    shares,
    supervised,
    worked,
)
from gate.cli.fleet_scaled import kubernetes, simulate
from gate.cli.option_values import registry_settings, require_samples, scan_settings
from gate.cli.options import (
    AUDIT_LOG,
    BANK,
    BASE,
    DIRECTORY,
    MEASURING,
    MODEL_SIGNING_KEY,
    POLICY,
    PROBE_SEED,
    REGISTRY,
    SAMPLES,
    SIGNING_KEY,
    many,
    option,
)
from gate.cli.terminal import tell


@click.group()
def fleet() -> None:
    """Check many versions of a registry: plan, run, report.

    \b
    gate fleet plan out --alias champion         what is in production
    gate fleet run out --workers 4 --memory 48   resumed by the same command
    gate fleet report out                        while it runs, and afterwards
    gate fleet simulate out                      what more workers would bring

    A plan gathers the versions by their bytes: two with the same are one task. What was done by the same policy, bank,
    samples and detectors is not done again, in this run or a later plan in the same DIRECTORY. A run can be killed at
    any time and started again: it goes on where it was, and decides nothing twice.
    """  # noqa: D301  # \b is click's own sign for lines that are not to be wrapped


@fleet.command()
@DIRECTORY
@option(
    "--registered-model",
    "models",
    multiple=True,
    group="fleet",
    metavar="NAME",
    help="Only versions of this model.",
)
@option(
    "--alias",
    "aliases",
    multiple=True,
    group="fleet",
    help="The versions behind this alias; may be repeated.",
)
@option("--stage", "stages", multiple=True, group="fleet", help="The versions in this stage; may be repeated.")
@option("--latest", is_flag=True, group="fleet", help="The newest version of each model.")
@option(
    "--most-versions",
    type=click.IntRange(1, 100_000),
    default=10_000,
    help="The most versions that the registry may list; more are refused, since anybody may register some.",
)
@many(POLICY, SAMPLES, BANK, BASE, MEASURING, REGISTRY)
def plan(directory: Path, policy: Path, samples: str | None, **options: Any) -> int:
    """Hash the chosen versions and plan their checks, in DIRECTORY/plan.json.

    \b
    gate fleet plan out                                all of every model
    gate fleet plan out --registered-model credit      all of one
    gate fleet plan out --alias champion --stage Production
    gate fleet plan out --latest --policy files-only   quickly: by bytes alone

    Each version is downloaded once to be hashed, within the policy's bounds, and no file of it is opened otherwise. One
    that cannot be read stands in the plan as such, and keeps the fleet from ending with 0. The longest tasks come
    first, by what finished ones took; before any is finished, by size.

    Exit 0: planned. Exit 3: planned, but a version could not be read, or there is none; or nothing is planned, since
    the registry did not answer, or a name, an alias or a stage chooses no version.
    """  # noqa: D301  # \b is click's own sign
    from gate.check.base_model import asked_base
    from gate.check.rules import read_rules
    from gate.cli.fleet_lines import plan_lines
    from gate.jail.launch import protect_parent
    from gate.promotion.fleet.choose import Choice
    from gate.promotion.fleet.folder import FleetFolder
    from gate.promotion.fleet.plan import PlanRequest, make_plan
    from gate.promotion.fleet.status import status_of
    from gate.promotion.verification import now
    from gate.registries import open_production

    protect_parent()
    rules = read_rules(policy, samples).beside(options.pop("bank"))
    require_samples(samples)
    base = asked_base(options.pop("base"))
    choice = Choice(
        models=options.pop("models"),
        aliases=options.pop("aliases"),
        stages=options.pop("stages"),
        latest=options.pop("latest"),
        most=options.pop("most_versions"),
    )
    settings = registry_settings(options)
    scan = scan_settings({"memory_gib": 12.0, "threads": 0, **options})
    folder = FleetFolder(directory.absolute())
    request = PlanRequest(folder, rules, scan, choice, address_of(settings), base)
    made = make_plan(open_production(settings), request, now(), tell)
    status = status_of(folder, made)
    done = {row.key for row in status.rows if row.ended}
    for line in plan_lines(made, done, directory):
        click.echo(line)
    return 3 if made.unread or not made.tasks else 0


@fleet.command()
@DIRECTORY
@option("--workers", type=click.IntRange(1, 256), default=1, help="Checks at a time, each in a process of its own.")
@option(
    "--memory",
    type=click.FloatRange(1, 65536),
    default=12.0,
    help="GiB of address space that the scans of all workers together may use; each has its equal share.",
)
@option(
    "--threads",
    type=click.IntRange(0, 1024),
    default=0,
    show_default="the cores, shared",
    help="Threads of each worker's scan.",
)
@option(
    "--time-limit",
    group="fleet",
    help="How long the run may take, such as 90m or 8h; the next one goes on.",
)
@option(
    "--attempts",
    type=click.IntRange(1, 20),
    default=3,
    help="Attempts at a task that fails within the gate, or whose process is killed, before it is recorded as failed.",
)
@option("--retry", is_flag=True, group="fleet", help="Begin tasks anew that ended without a verdict.")
@option(
    "--shard",
    metavar="I/N",
    help="Do only the I-th of N parts of the plan, from 0, as a job of many pods or a matrix does.",
)
@option(
    "--mark/--no-mark",
    default=False,
    group="fleet",
    help="Sign each decision and mark the versions, as `gate check` does, those with the same bytes too; or look only.",
)
@option(
    "--queue",
    is_flag=True,
    group="fleet",
    help="Share the tasks with other hosts through the PostgreSQL database in GATE_DATABASE_URL, each with a copy of "
    "plan.json in a DIRECTORY of its own. Needs the extra 'service'.",
)
@option("--executor", help="Name of this host among those of --queue; the host's own by default.")
@click.option("--as-worker", type=int, hidden=True)
@many(PROBE_SEED, SIGNING_KEY, MODEL_SIGNING_KEY, AUDIT_LOG, REGISTRY)
def run(directory: Path, as_worker: int | None, **options: Any) -> int:
    """Do the tasks of a plan that are not done, and go on after whatever ended an earlier run.

    \b
    gate fleet run out --workers 4 --memory 48 --time-limit 8h

    Each task is a check in jailed workers, with its reports in DIRECTORY/tasks. A task is recorded before it begins,
    and held by a lock that ends with its process: after `kill -9` of a worker, or of the whole run, what was measured
    is kept, another one goes on, and no decision is made twice. Several runs may share a DIRECTORY on one machine.
    DIRECTORY/report.html is written anew every ten seconds.

    With --queue several hosts share one plan: each task is done by one of them, its result is known to all, and what a
    lost host had begun is done by another. After --time-limit no task begins there; those that run have twenty seconds
    left, and go on in the next run.

    Without --mark nothing in the registry changes. With it a flagged version gets flagged as its decision, also one in
    production: `gate verify` refuses it from then on.

    Exit 0: every task is judged, and all are approved. Exit 1: every task is judged, and one is flagged. Exit 3: a task
    has no verdict yet, or could not get one, or a version has not the mark that was asked for; run it again, or read
    the report. So does a plan of nothing. Exit 2: the command is wrong, or policy,
    bank, base, probe seed or detectors are not those of the plan.
    """  # noqa: D301  # \b is click's own sign
    from gate.jail.launch import protect_parent
    from gate.promotion.fleet.folder import open_fleet
    from gate.promotion.fleet.local import shard_of

    protect_parent()
    folder, planned = open_fleet(directory)
    tasks = shard_of(planned.tasks, shard_given(options.pop("shard")))
    seconds = seconds_given(options.pop("time_limit"))
    workers, memory = options.pop("workers"), options.pop("memory")
    options |= shares(workers, memory, options.pop("threads"))
    queue, executor = options.pop("queue"), options.pop("executor")
    made = fleet_run(folder, planned, options, opens=queue or as_worker is not None)
    if queue:
        return queued(made, tasks, workers, seconds, executor)
    if as_worker is not None:
        return worked(made, tasks)
    return supervised(made, tasks, workers, seconds)


@fleet.command()
@DIRECTORY
@option(
    "--json",
    "as_json",
    is_flag=True,
    group="fleet",
    help="Print the status as JSON instead (`gate schema fleet-status`).",
)
def report(directory: Path, as_json: bool) -> int:
    """Show what is known of a fleet now, and write DIRECTORY/report.html and status.json.

    \b
    gate fleet report out
    gate fleet report out --json | jq '.rows[] | select(.state == "flagged")'

    It works while a fleet runs, asks no registry, and changes nothing but these two files. Exit codes are those of
    `gate fleet run`.
    """  # noqa: D301  # \b is click's own sign
    from gate.cli.fleet_lines import status_lines
    from gate.promotion.fleet.folder import open_fleet
    from gate.promotion.fleet.status import exit_code, status_of

    folder, planned = open_fleet(directory)
    status = status_of(folder, planned)
    publish(folder, status, set(), quiet=True)
    if as_json:
        click.echo(status.pretty_json(), nl=False)
        return exit_code(status)
    for line in status_lines(status, directory):
        click.echo(line)
    click.echo(f"report   {directory / 'report.html'}")
    return exit_code(status)


fleet.add_command(simulate)
fleet.add_command(kubernetes)
