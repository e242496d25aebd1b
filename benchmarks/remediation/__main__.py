"""The command `python -m benchmarks.remediation`: run, table, story.

The top of the flow; prints, and turns errors into an exit code. Ended at any time, a run loses at most the attempt
under way; begun again, it goes on with what is missing.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from benchmarks.efficacy import summaries
from benchmarks.efficacy.page import between
from benchmarks.efficacy.subjects import models_of
from benchmarks.remediation import rows, table
from benchmarks.zoo.__main__ import SPLITS
from benchmarks.zoo.recipe import Split
from benchmarks.zoo.store import Store
from gate.records.errors import GateError
from gate.worker.repair import for_space, load

ORDER = for_space("images")

ATTACKS = ("badnets", "blended", "wanet", "input-aware")
"""The families that the target speaks of."""
PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "remediation.md"
SPLIT = click.option("--split", type=SPLITS, default="fit", show_default=True, help="Which models.")


@click.group()
def remediation() -> None:
    """Measure what repairs do to backdoors of the zoo."""


@remediation.command()
@SPLIT
@click.option("--attack", "attacks", multiple=True, default=ATTACKS, show_default=True, help="May be repeated.")
@click.option("--model", "names", multiple=True, help="Only this model; may be repeated.")
@click.option("--method", "methods", multiple=True, default=ORDER, type=click.Choice(ORDER), help="May be repeated.")
@click.option("--auto", is_flag=True, help="As `gate remediate` does: the methods of auto in turn, until one holds.")
@click.option("--options", "given", default="{}", help="The method's options as JSON; default its own.")
@click.option("--limit", type=click.IntRange(0), help="At most so many models.")
@click.option("--seed", type=int, default=1, show_default=True, help="The attempts'; the inversion's is 0.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder of the models; default ~/.cache/gate-zoo.")
@click.option("--to", type=click.Path(path_type=Path), help="File of the results; default results/SPLIT.jsonl.")
def run(  # noqa: PLR0917  # an option is an argument
    split: Split,
    attacks: tuple[str, ...],
    names: tuple[str, ...],
    methods: tuple[str, ...],
    auto: bool,  # click names it
    given: str,
    limit: int | None,
    seed: int,
    threads: int,
    cache: Path | None,
    to: Path | None,
) -> None:
    """Repair each model by each method, or until one holds, and append a row for each attempt."""
    import torch

    from benchmarks.remediation.running import parent_of, repaired_row

    torch.set_num_threads(threads)
    store, path = Store.at(cache), to or rows.path_of(split)
    tried = ORDER if auto else methods
    options = {method: _stated(method, json.loads(given)) for method in tried}
    done = {row.key: row for row in rows.read(path)}
    known = {summary.name: summary for summary in summaries.read(summaries.path_of(split))}
    entries = [entry for entry in models_of(store, split).counting if entry.recipe.row.attack in attacks]
    for entry in [entry for entry in entries if not names or entry.name in names][:limit]:
        parent = None
        for method in tried:
            row = done.get(rows.key_of(entry.name, method, options[method], seed))
            if row is None:
                parent = parent or parent_of(store, entry, known.get(entry.name), seed=0)
                row = repaired_row(store, parent, method, options[method], seed)
                rows.append(path, row)
                click.echo(_said(row))
                sys.stdout.flush()
            if auto and row.holds:
                break


def _said(row: rows.Row) -> str:
    return (
        f"{row.model} {row.attack} {row.architecture} {row.method}: {row.status} {row.reason[:100]} "
        f"true {row.true_before:.3f} → {row.true_after} accuracy {row.accuracy_before:.3f} → "
        f"{row.accuracy_after} {'holds' if row.holds else ''} {row.processor_seconds:.0f} s"
    )


def _stated(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return all of a method's options, defaults too."""
    stated: dict[str, Any] = load(method).options.model_validate(given).model_dump(mode="json", by_alias=True)
    return stated


@remediation.command("table")
@SPLIT
@click.option("--write", is_flag=True, help="Into docs/results/remediation.md, model by model too.")
def show(split: Split, write: bool) -> None:
    """Print the results as a table, by method and for what `auto` would have chosen."""
    found = rows.read(rows.path_of(split))
    summary = "\n".join(table.table(found)) + "\n\n" + "\n".join(table.sentences(found))
    click.echo(summary)
    if write:
        between(PAGE, f"remediation-{split}", summary + "\n\n" + "\n".join(table.each(found)) + "\n")


@remediation.command()
@click.option(
    "--to", type=click.Path(path_type=Path), default=Path("story"), show_default=True, help="Folder of it all."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The demo's.")
def story(to: Path, seed: int) -> None:
    """Repair the demo's poisoned version, check what was registered, and try the planted patch on it."""
    from benchmarks.remediation.story import tell

    click.echo(tell(to, seed))


if __name__ == "__main__":
    try:
        remediation()
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
