"""The command `python -m benchmarks.trojai`, with the argument names of NIST's harness; also `… infer`, `… schema`.

The top of the flow. Arguments that the gate has no use for (learned parameters, the round's training set) are taken and
left alone, so that the harness's command line works as it is. The result file is written only by a check that ended.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks.trojai.answer import probability, run_gate, write
from benchmarks.trojai.model_folder import convert
from benchmarks.trojai.settings import Metaparameters
from gate.records.errors import GateError

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
UNUSED = (
    *("round_training_dataset_dirpath", "learned_parameters_dirpath", "schema_filepath"),
    *("scale_parameters_filepath", "source_dataset_dirpath", "tokenizer_filepath", "features_filepath"),
)


def _taking_unused(command: click.Command) -> click.Command:
    """Let a command take the arguments that it leaves alone."""
    command.params += [click.Option([f"--{name}"], hidden=True, expose_value=False) for name in UNUSED]
    return command


@_taking_unused
@click.command()
@click.option("--model_filepath", type=FILE, required=True, help="The model.pt to examine.")
@click.option("--result_filepath", type=FILE, required=True, help="Gets one probability of a backdoor.")
@click.option("--scratch_dirpath", type=FOLDER, required=True, help="Working folder; the gate's report stays in it.")
@click.option("--examples_dirpath", type=FOLDER, required=True, help="Clean example images with labels.")
@click.option("--metaparameters_filepath", type=FILE, help="JSON settings; see `schema`.")
def infer(
    model_filepath: Path,
    result_filepath: Path,
    scratch_dirpath: Path,
    examples_dirpath: Path,
    metaparameters_filepath: Path | None,
) -> None:
    """Examine one TrojAI model folder by the gate, and write one probability."""
    settings = Metaparameters.from_file(metaparameters_filepath) if metaparameters_filepath else Metaparameters()
    scratch_dirpath.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="gate-", dir=scratch_dirpath))
    converted = convert(model_filepath, examples_dirpath, scratch, settings)
    verdict = run_gate(converted, scratch, settings)
    answer = probability(verdict, settings)
    write(answer, result_filepath)
    click.echo(f"{converted.kind}, {verdict.decision}: probability {answer:.3f}; report in {scratch / 'report'}")
    for finding in verdict.open_findings:
        click.echo(f"  {finding.rule}: {finding.message}", err=True)


@click.command()
def schema() -> None:
    """Print the JSON schema of the metaparameters."""
    click.echo(json.dumps(Metaparameters.model_json_schema(), indent=2, sort_keys=True))


def main(arguments: list[str]) -> Any:
    """Run `infer`, named or not as NIST's older rounds had it, or `schema`."""
    if arguments[:1] == ["schema"]:
        return schema.main(arguments[1:], standalone_mode=False)
    rest = arguments[1:] if arguments[:1] == ["infer"] else arguments
    return infer.main(rest, prog_name="python -m benchmarks.trojai", standalone_mode=False)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except GateError as error:
        click.echo(f"{error}\n{error.what_to_do}".strip(), err=True)
        sys.exit(3)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
