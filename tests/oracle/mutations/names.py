"""Names of files that are the same one for somebody's disk, store or loader."""

from tests.oracle.draft import Draft, InapplicableError
from tests.oracle.mutations.mutation import hostile

KIND = "name"


def _twin(draft: Draft, *paths: str) -> None:
    """Put the twin under one of these names."""
    draft.program  # noqa: B018  # the name is near that of an exported program
    draft.add(draft.dice.choice(paths), draft.hidden)


def _pickle(draft: Draft, *paths: str) -> None:
    """Put another network, as a pickle, under one of these names, with the file that MLflow's loader wants."""
    draft.program  # noqa: B018  # MLflow's loader takes it before an exported program
    draft.add(draft.dice.choice(paths), draft.base.pickled)


@hostile(KIND, "names")
def full_width_solidus(draft: Draft) -> None:
    """A full-width solidus in a file's name, which a store normalises to a folder's: MLflow's loader takes it first."""
    _pickle(draft, "data/..\uff0fdata\uff0fmodel.pth", "data/\uff0fmodel.pth")
    draft.add("data\uff0fpickle_module_info.txt", b"mlflow.pytorch.pickle_module")


@hostile(KIND, "names")
def compatibility_letters(draft: Draft) -> None:
    """Letters that normalise to those of the name that MLflow's loader takes first."""
    _pickle(draft, "data/\uff4dodel.pth", "data/mode\u2113.pth", "dat\U0001d41a/model.pth")
    draft.add("data/\uff50ickle_module_info.txt", b"mlflow.pytorch.pickle_module")


@hostile(KIND)
def solidus_and_twin(draft: Draft) -> None:
    """The twin under the program's own name with a full-width solidus."""
    _twin(draft, "data\uff0fmodel.pt2", "data/\uff4dodel.pt2", "data/model.pt\u00b2")


@hostile(KIND)
def compatibility_ending(draft: Draft) -> None:
    """An ending that normalises to that of the file that MLflow's loader takes first."""
    _pickle(draft, "data/model.\uff50th", "data/model.pt\u02b0")
    draft.add("data/pickle_module_\uff49nfo.txt", b"mlflow.pytorch.pickle_module")


@hostile(KIND)
def other_case(draft: Draft) -> None:
    """The program's name in another case."""
    _twin(draft, "data/Model.pt2", "DATA/model.pt2", "data/model.PT2")


@hostile(KIND)
def long_s(draft: Draft) -> None:
    """A letter that is another one where case does not count."""
    draft.add(draft.dice.choice(("requirement\u017f.txt", "REQUIREMENTS.TXT", "Conda.yaml")), b"charger==1.0\n")


@hostile(KIND)
def mlmodel_of_other_case(draft: Draft) -> None:
    """A second `MLmodel` in another case."""
    raw = draft.files["MLmodel"].replace(b"data: data", b"data: other")
    draft.add(draft.dice.choice(("mlmodel", "MLModel", "MLMODEL")), raw)
    draft.add("other/model.pt2", draft.hidden)


@hostile(KIND)
def dots(draft: Draft) -> None:
    """A leader of dots that normalises to a step up."""
    _twin(draft, "data/\u2025/data/model.pt2", "data/\u2024/model.pt2", "other/\uff0e\uff0e/data/model.pt2")


@hostile(KIND)
def trailing_dot(draft: Draft) -> None:
    """A dot or a blank at the end, which some disks drop."""
    _twin(draft, "data/model.pt2.", "data/model.pt2 ", "data./model.pt2", "data /model.pt2")


@hostile(KIND)
def backslash(draft: Draft) -> None:
    """A backslash, which is a folder's sign elsewhere."""
    _twin(draft, "data\\model.pt2", ".\\data\\model.pt2")


@hostile(KIND)
def stream(draft: Draft) -> None:
    """A second stream of the program's file, where disks have such."""
    _twin(draft, "data/model.pt2::$DATA", "data/model.pt2:hidden")


@hostile(KIND)
def invisible(draft: Draft) -> None:
    """A name with a character that nobody sees."""
    _twin(draft, "data/model\u200b.pt2", "data/\u202emodel.pt2", "data/model\u00ad.pt2", "data/mo\u0301del.pt2")


@hostile(KIND)
def control(draft: Draft) -> None:
    """A name with a line's end or an escape sequence."""
    _twin(draft, "data/model\n.pt2", "data/\x1b[2Jmodel.pt2", "data/model.pt2\r")


@hostile(KIND)
def percent(draft: Draft) -> None:
    """A name that a store decodes."""
    _twin(draft, "data%2Fmodel.pt2", "data/%6dodel.pt2")


@hostile(KIND)
def moved_program(draft: Draft) -> None:
    """The program's folder in another case, with nothing in its place."""
    raw = draft.files.pop("data/model.pt2", None)
    if raw is None:
        raise InapplicableError("no exported program")
    draft.add("Data/model.pt2", raw)
