"""`gate bank make`: a bank of copies of the candidate's own program, for teams without clean models."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gate.cli.bank_lines import describe
from gate.cli.option_values import registry_settings, require_samples, scan_settings
from gate.cli.options import POLICY, REGISTRY, SAMPLES, SCAN, many, option
from gate.cli.progress import progress_bars
from gate.cli.terminal import tell
from gate.jail.interruption import explained
from gate.records.errors import UsageError

if TYPE_CHECKING:
    from gate.banks.sources import MakeRequest

_FILE = click.Path(path_type=Path, dir_okay=False)
MOST_COPIES = 1000
"""The record's own bound, which help must not import."""

COPIES = many(
    option(
        "--data",
        type=click.Path(path_type=Path),
        required=True,
        help="Data that you trust, to train the copies on: an .npz of `inputs` and `labels`, or a folder of images by "
        "class, with images of every class. What the candidate's own run logged as its training set is refused.",
    ),
    option("--to", type=_FILE, required=True, help="The bank's JSON file."),
    option(
        "--from",
        "weights",
        type=_FILE,
        help="Weights that you trust (.safetensors, .npz or .pt2), such as public ones, for all copies to start from. "
        "Names and shapes are those of the candidate's program; the last layer is drawn anew. Without it, every value "
        "is.",
    ),
    option("--count", type=click.IntRange(1, MOST_COPIES), default=20, help="Copies to make."),
    option(
        "--jobs",
        type=click.IntRange(1, 256),
        default=1,
        help="Copies that are made at the same time; they share the cores, unless --threads says how many each has.",
    ),
    option(
        "--tolerance",
        type=click.FloatRange(0, 1),
        default=0.02,
        help="By how much a copy's accuracy on the clean samples may lie below the candidate's.",
    ),
    option(
        "--epochs",
        type=click.IntRange(1, 100_000),
        show_default="30, or more where the data is little",
        help="The most passes over the data for one copy.",
    ),
    option(
        "--seconds",
        type=click.FloatRange(1, 30 * 86400),
        default=3600.0,
        help="The most seconds of one copy's training.",
    ),
    option("--large-images", is_flag=True, help="Train on cores though images have more than 64 pixels a side."),
    option("--nice", type=click.IntRange(0, 19), default=0, help="Give other programs precedence, as nice does."),
    option("--name", help="The bank's name; the file's by default."),
    option(
        "--work",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where copies and their evidence are kept, so that the same command goes on there; TO.copies by default.",
    ),
)


@click.command()
@click.argument("uri", metavar="MODEL")
@COPIES
@many(POLICY, SAMPLES, SCAN, REGISTRY)
def make(uri: str, **options: Any) -> int:
    """Train copies of MODEL's own program on data that you trust, and write a bank of what they measure.

    \b
    gate bank make models:/credit/7 --data trusted.npz --samples clean.npz \\
      --to bank.json
    gate bank make ./model --data trusted.npz --samples clean.npz \\
      --to bank.json --from imagenet.safetensors --jobs 4 --nice 10
    gate check models:/credit/7 --samples clean.npz --bank bank.json

    For teams that have no nineteen clean models of a task (`gate bank build` is for those that have). MODEL is pulled
    and read in the jail, without running its code; of it the copies have the network alone, none of its values. Each is
    drawn and trained by a seed and a recipe of its own (first weights, learning rate, batch, shifts, noise), until it
    is as good as MODEL on the clean samples, within --tolerance, or --epochs or --seconds are over. One that falls
    short is left out, and the bank says so. The others are scanned like any model of a bank.

    What is finished is kept in --work: an ended command goes on there, and loses the copies in training at most. The
    bank is marked self-made, and so is every verdict beside it. A verdict is only as good as the data: copies that are
    trained on poisoned data calibrate the poison away.

    Exit 0: the bank was written. Exit 1: too few copies are good enough for the policy to judge by, or MODEL cannot be
    copied. Exit 2: the command, the data or the samples are wrong.
    """  # noqa: D301  # \b is click's own sign
    import os

    from gate.banks.making import make as run_make
    from gate.check.files import CheckFiles
    from gate.jail.launch import protect_parent
    from gate.registries import open_registry, require_known

    protect_parent()
    settings, nice = registry_settings(options), options.pop("nice")
    request = _request(uri, options)
    require_known(uri, settings)
    for folder in (request.to.absolute().parent, request.work):
        CheckFiles.create(folder)  # tried before a registry is asked
    os.nice(nice)
    kept = f"the command was interrupted, and no bank was written; finished copies are kept in {request.work}"
    with progress_bars() as progress, explained(kept, "Run the same command again: it goes on there."):
        made = run_make(open_registry(uri, settings), request, progress, tell)
    for line in describe(made):
        click.echo(line)
    return 0


def _request(uri: str, options: dict[str, Any]) -> "MakeRequest":
    """Return the options as a request; a wrong one is a `UsageError` before anything is pulled."""
    from gate.banks.making import processors
    from gate.banks.sources import WEIGHTS, MakeRequest
    from gate.policies.read import read_policy
    from gate.records.clock import today

    settings, to, weights = scan_settings(options), options["to"], options["weights"]
    if settings.allow_code:
        raise UsageError(
            "--allow-code has no use here: of the candidate a copy has the network alone, without its code"
        )
    require_samples(options["samples"])
    _require_trusted(options["data"])
    if weights is not None and (not weights.is_file() or weights.suffix not in WEIGHTS):
        raise UsageError(
            f"there are no weights at {weights}", what_to_do=f"Name a file that ends in {', '.join(WEIGHTS)}."
        )
    return MakeRequest(
        uri=uri,
        policy=read_policy(options["policy"], on=today()),
        data=options["data"],
        to=to,
        work=options["work"] or to.with_name(f"{to.name}.copies"),
        name=(options["name"] or to.stem)[:100],
        settings=settings,
        threads=settings.threads or max(1, processors() // options["jobs"]),
        samples=options["samples"],
        weights=weights,
        large=options["large_images"],
        **{name: options[name] for name in ("count", "jobs", "tolerance", "epochs", "seconds")},
    )


def _require_trusted(data: Path) -> None:
    """Refuse data that is no file or folder on disk: whoever trains a candidate can write to its registry."""
    if ":/" in str(data):
        raise UsageError(
            f"--data takes data on disk, and {data} is an address; what lies in a registry can be written by those who "
            "train",
            what_to_do="Fetch the data from a source that you trust, and name the file.",
        )
    require_samples(str(data))
