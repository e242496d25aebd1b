"""The files that a supported MLflow writes for the flavour that this gate examines, path by path.

A file that this grammar does not know is unexpected, regardless of its content. Beside MLflow's own files it knows
those of the gate's bundles (docs/reference/contracts.md, section 8), and text that no loader reads: if it is inert, it
is accepted and reported as not judged.
"""

import re
from collections.abc import Collection, Iterator
from typing import Final

from gate.formats.mlflow_model import EXAMINED
from gate.formats.mlmodel import MLmodel
from gate.formats.other_flavours import Flavour

MAX_INERT_BYTES: Final = 1 << 20
"""Size of the largest LICENSE, NOTICE, README or extra file that counts as text beside a model."""
ENVIRONMENTS: Final = frozenset(
    {"conda.yaml", "constraints.txt", "environment_variables.txt", "python_env.yaml", "requirements.txt"}
)
MODEL_FILES: Final = ("model.pt2", "model.pth")
"""Files of the flavour's folder, of which there must be exactly one: loaders differ in which they take."""
TOKENIZER: Final = "extra_files/tokenizer.json"
"""The tokenizer of a program of token ids: a consumer loads it, and so it is read and served, unlike other texts."""
LABELS: Final = "extra_files/labels.json"
"""Names of the classes by number, which the gate writes beside a tokenizer; shown, and labels are read by them."""
_COPIED: Final = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")
_EVERY_FLAVOUR: Final = frozenset(
    {"MLmodel", *ENVIRONMENTS, "input_example.json", "serving_input_example.json"}
    | {f"metadata/{name}" for name in _COPIED}  # a managed registry keeps copies there; no loader reads them
)
_WRITTEN: Final = frozenset(
    _EVERY_FLAVOUR
    | {f"data/{name}" for name in MODEL_FILES}
    | {"data/pickle_module_info.txt", "provenance.json", TOKENIZER}
)
_INERT: Final = re.compile(
    r"(extra_files/)?(LICENSE|NOTICE|README)(\.txt|\.md)?"
    r"|extra_files/[A-Za-z0-9_][A-Za-z0-9_. -]{0,200}\.(txt|md|json|csv|tsv|yaml|yml|png|jpg|jpeg)",
    flags=re.ASCII,
)
_CODE: Final = re.compile(r"code/.+", flags=re.DOTALL)


def is_inert(path: str) -> bool:
    """Tell whether a path is that of a text beside a model that no loader reads."""
    return path != TOKENIZER and _INERT.fullmatch(path) is not None


def unexpected_files(
    paths: Collection[str], model: MLmodel | None, flavour: Flavour | None = None
) -> Iterator[tuple[str, str]]:
    """Yield each file that MLflow does not write for this model, and why, in one sentence.

    `flavour` is another than pytorch. Without a readable `MLmodel`, or with a flavour that is neither
    examined nor judged, that is the finding, and no file is. The files of a code folder that `MLmodel` names are
    reported there, as one entry.
    """
    if model is None or (flavour is None and EXAMINED not in model.flavors):
        return
    names_code = any(True for _ in model.code())
    name = EXAMINED if flavour is None else flavour.name
    for path in sorted(paths):
        if path in (_WRITTEN if flavour is None else _EVERY_FLAVOUR):
            yield from ((path, why) for why in _misplaced(path, paths))
        elif flavour is not None and flavour.files.fullmatch(path) is not None:
            continue
        elif not is_inert(path) and not (names_code and _CODE.fullmatch(path)):
            surplus = "" if flavour is None else flavour.surplus(path)
            yield path, surplus or f"MLflow writes no such file for the {name} flavour: log the model again without it"


def _misplaced(path: str, paths: Collection[str]) -> Iterator[str]:
    """Yield why a file of the examined flavour does not go with the others."""
    name, held = path.removeprefix("data/"), [name for name in MODEL_FILES if f"data/{name}" in paths]
    if name in held[1:]:
        yield f"MLflow writes one model, and data/{held[0]} is another: log the model again"
    elif name == "pickle_module_info.txt" and held and held[0] != "model.pth":
        yield f"MLflow writes it beside a pickled model alone, and this is data/{held[0]}: log the model again"
