"""The command `python -m benchmarks.real_cost`: measure what is missing, keep it, print it or write the page."""

import os
import sys
from pathlib import Path
from typing import Literal

import click

from benchmarks.real_cost.cases import ANY_ISA, NETS, Case
from gate.jail.launch import POSSIBLE

RESULTS = Path(__file__).parents[1] / "results"
DEFAULT_NETS = "mobilenet_v2,resnet18,resnet50,vit_s_16"
_ISA = "ONEDNN_MAX_CPU_ISA"
EXAMPLES = """\b
Four nets of ten classes, and the page:
  python -m benchmarks.real_cost --write
The same as on a processor without AMX:
  python -m benchmarks.real_cost --isa AVX512_CORE
A thousand classes:
  python -m benchmarks.real_cost --nets mobilenet_v2 --classes 1000 --samples 2000
The page alone, from what is kept:
  python -m benchmarks.real_cost --nets "" --write
Does it work here? A quarter of an hour on a busy machine, a few minutes on a quiet one:
  python -m benchmarks.real_cost --nets mobilenet_v2 --size 64 --samples 60 --to /tmp/try.jsonl
On a machine with a GPU:
  python -m benchmarks.real_cost gpu --to gpu.jsonl
"""


@click.group(invoke_without_command=True, epilog=EXAMPLES)
@click.option("--nets", default=DEFAULT_NETS, show_default=True, help=f"Of {', '.join(NETS)}; empty: measure none.")
@click.option("--classes", type=click.IntRange(2, 5000), default=10, show_default=True, help="Classes of the task.")
@click.option("--samples", type=click.IntRange(4), default=500, show_default=True, help="Clean samples of the scan.")
@click.option("--size", "side", type=click.IntRange(32, 1024), default=224, show_default=True, help="Side of an image.")
@click.option("--threads", type=click.IntRange(1, 256), default=2, show_default=True, help="Threads of the scan.")
@click.option(
    "--isa",
    type=click.Choice(sorted(POSSIBLE[_ISA])),
    default=ANY_ISA,
    envvar=_ISA,
    show_default="all, or ONEDNN_MAX_CPU_ISA of the environment",
    help="The most that oneDNN may use, in workers too.",
)
@click.option(
    "--arithmetic",
    type=click.Choice(["auto", "as-read"]),
    default="auto",
    show_default=True,
    help="Whether searches and probes may run a net in its quickest form.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights and images.")
@click.option("--deadline", type=click.FloatRange(1), show_default="the policy's", help="Seconds for one scan.")
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    show_default="the packaged default.yml",
    help="By which detectors and options the check is made.",
)
@click.option("--again", is_flag=True, help="Measure cases that are kept already, and replace them.")
@click.option(
    "--to", type=click.Path(path_type=Path), default=RESULTS / "real_cost.jsonl", help="File of the measured cases."
)
@click.option("--write", is_flag=True, help="Write the tables into docs/results/cost.md as well.")
@click.pass_context
def real_cost(  # noqa: PLR0917  # an option is an argument
    context: click.Context,
    nets: str,
    classes: int,
    samples: int,
    side: int,
    threads: int,
    isa: str,
    arithmetic: Literal["auto", "as-read"],
    seed: int,
    deadline: float | None,
    policy: Path | None,
    to: Path,
    *,
    again: bool,
    write: bool,
) -> None:
    """Measure a whole default check of image classifiers of real size.

    Each net gets made-up weights and images, is logged by MLflow with two example images, and is scanned by the whole
    policy in jailed workers. A row holds seconds by detector and in all, passes, operations, share of the measured
    peak, the workers' memory, the verdict, and the machine, measured before and after in the same run. A case that is
    kept for this processor is not measured again.

    Nothing else may run meanwhile: a time is of a quiet machine or of none. On two cores expect ten to thirty minutes
    for a net, beside one for making it.
    """
    if context.invoked_subcommand is not None:
        return
    if samples < 2 * classes:
        raise click.BadParameter(
            f"{samples} for {classes} classes; expected two of each or more", param_hint="--samples"
        )
    chosen = [
        Case(
            net=NETS[name],
            side=side,
            classes=classes,
            samples=samples,
            seed=seed,
            isa=isa,
            arithmetic=arithmetic,
            threads=threads,
        )
        for name in _names(nets)
    ]
    from benchmarks.real_cost import running

    running.run(chosen, running.Settings(to=to, policy=policy, deadline=deadline, again=again), click.echo)
    running.tell(to, click.echo, write=write)


def _names(nets: str) -> list[str]:
    names = [name.strip() for name in nets.split(",") if name.strip()]
    if unknown := [name for name in names if name not in NETS]:
        raise click.BadParameter(f"no net {unknown[0]!r}; expected of {', '.join(NETS)}", param_hint="--nets")
    return names


@real_cost.command()
@click.option("--nets", default="resnet18,resnet50,vit_b_16", show_default=True, help=f"Of {', '.join(NETS)}.")
@click.option("--samples", type=click.IntRange(20), default=500, show_default=True, help="Clean samples of the scan.")
@click.option("--size", "side", type=click.IntRange(32, 1024), default=224, show_default=True, help="Side of an image.")
@click.option(
    "--cpu-seconds",
    type=click.FloatRange(0),
    default=240,
    show_default=True,
    help="For the same scan of the first net on this machine's CPU, with which findings are compared; 0: not at all.",
)
@click.option(
    "--to", type=click.Path(path_type=Path), default=RESULTS / "real_cost_gpu.jsonl", help="File of the results."
)
def gpu(nets: str, samples: int, side: int, cpu_seconds: float, to: Path) -> None:
    """Measure whole default checks on a GPU, and compare the first net's findings with the CPU's.

    By the worker's own code in a process of its own, without jail and without the look at the bytes; MLflow need not be
    installed. Needs under eight minutes on a card of the size of an H100. Without a usable GPU it says so and ends with
    3.
    """
    import torch

    if not torch.cuda.is_available():
        click.echo("Not run: torch finds no usable GPU here.", err=True)
        sys.exit(3)
    from benchmarks.real_cost.gpu import Gpu, run_all

    cases = [Case(net=NETS[name], side=side, samples=samples, threads=os.cpu_count() or 1) for name in _names(nets)]
    run_all(cases, Gpu(to, cpu_seconds), click.echo)


if __name__ == "__main__":
    real_cost()
