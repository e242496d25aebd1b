"""`gate fleet simulate` and `gate fleet kubernetes`: a plan on more workers than this machine has."""

from pathlib import Path
from typing import Any

import click

from gate.cli.options import DIRECTORY, option
from gate.records.errors import UsageError


@click.command()
@DIRECTORY
@option("--to", "most", type=click.IntRange(1, 4096), default=256, group="fleet", help="The most workers.")
@option(
    "--start",
    type=click.FloatRange(0, 3600),
    default=10.0,
    group="fleet",
    help="Seconds until a worker begins.",
)
def simulate(directory: Path, most: int, start: float) -> int:
    """Print how long the finished tasks would take with more workers: a simulation, and no measurement.

    The lengths are those that were measured in DIRECTORY, in the order of the plan. That workers on one machine slow
    each other, and that a registry answers one after the other, is not in it: real fleets are slower.
    """
    from gate.promotion.fleet.folder import open_fleet
    from gate.promotion.fleet.simulate import doublings
    from gate.promotion.fleet.simulate import simulate as simulated
    from gate.promotion.fleet.status import status_of
    from gate.renderers.text import count, duration

    folder, planned = open_fleet(directory)
    took = {row.key: row.seconds for row in status_of(folder, planned).rows if row.seconds is not None}
    lengths = [took[task.key] for task in planned.tasks if task.key in took]
    if not lengths:
        raise UsageError("no task has been measured yet", what_to_do=f"`gate fleet run {directory}` does some.")
    click.echo(f"simulated from {count(len(lengths), 'measured task')}; no fleet of these sizes was run")
    click.echo(f"{'workers':>8} {'would take':>14} {'speedup':>9} {'busy':>6}")
    for workers in doublings(most):
        one = simulated(lengths, workers, start)
        click.echo(f"{workers:>8} {duration(one.seconds):>14} {one.speedup:>9.1f} {one.busy:>6.0%}")
    longest = max(lengths)
    click.echo(f"No number of workers is quicker than the longest task, {duration(start + longest)}.")
    return 0


@click.command()
@DIRECTORY
@option("--image", group="fleet", required=True, help="The gate's image, by digest: NAME@sha256:….")
@option(
    "--claim",
    group="fleet",
    required=True,
    help="Volume claim that all pods mount (ReadWriteMany), with the plan on its root.",
)
@option("--name", group="fleet", default="gate-fleet", help="The job's name.")
@option(
    "--indexes",
    group="fleet",
    type=click.IntRange(1, 100_000),
    help="Parts of the plan; a task each by default.",
)
@option("--parallel", group="fleet", type=click.IntRange(1, 10_000), default=4, help="Pods at a time.")
@option(
    "--memory",
    group="fleet kubernetes",
    type=click.IntRange(1, 4096),
    default=12,
    help="GiB of each pod.",
)
@option("--tries", group="fleet", type=click.IntRange(0, 20), default=3, help="Further tries of an index.")
@option(
    "--secret",
    group="fleet",
    default="",
    help="Secret with the registry's variables, and GATE_SIGNING_KEY for --mark.",
)
@option("--kueue", group="fleet", default="", help="Kueue's local queue, which starts the suspended job.")
@option("--mark", group="fleet", is_flag=True, help="Sign and mark, as `gate fleet run --mark` does.")
def kubernetes(directory: Path, image: str, claim: str, indexes: int | None, **options: Any) -> None:
    """Print an Indexed Job that does the plan in DIRECTORY, for `kubectl apply -f -`.

    \b
    gate fleet kubernetes /fleet --image gate@sha256:… --claim fleet \\
        --secret mlflow --parallel 16 | kubectl apply -f -

    Each index does its part of the plan in a pod. An index whose part flags fails without another try: it is in
    `status.failedIndexes`. Exit code 2 ends the job, 3 and signals are tried again, an eviction costs no try. Plan with
    the claim mounted at /fleet, so that pods find the same paths.
    """  # noqa: D301  # \b is click's own sign
    from gate.promotion.fleet.folder import open_fleet
    from gate.promotion.fleet.kubernetes import Deployment, job_text

    _, planned = open_fleet(directory)
    if not planned.tasks:
        raise UsageError("the plan has no task", what_to_do="`gate fleet plan` says what was chosen.")
    wanted = Deployment(
        name=options["name"],
        image=image,
        claim=claim,
        indexes=min(indexes or len(planned.tasks), len(planned.tasks)),
        parallel=options["parallel"],
        memory_gib=options["memory"],
        tries=options["tries"],
        secret=options["secret"],
        queue=options["kueue"],
        marks=options["mark"],
    )
    click.echo(job_text(planned, wanted), nl=False)
