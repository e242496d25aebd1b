"""The code that a candidate carries, by what the inspector counted, and how its trainer gets it judged nevertheless.

A pickled network is no attack but MLflow's default before 3.14 and on Databricks: the advice is to log it again, never
to scan it again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gate.formats.log_again import CALL, EXTRA
from gate.formats.mlflow_model import UNKNOWN
from gate.formats.pickle_names import LIBRARIES, is_of_a_library
from gate.records.evidence import Measured, Measurement, Outcome

_LIBRARY: Final = "library-globals"
_UNSAFE: Final = "unsafe-globals"
_MAX_NAMES: Final = 3
_MACHINERY: Final = frozenset(
    {"__builtin__", "builtins", "cloudpickle", "copyreg", "functools", "types", "typing", "_operator"}
)
"""Modules that pickles of any class import, above all those of cloudpickle, which hold a notebook's class whole."""
_AGAIN: Final = f"Log it again with {CALL} on MLflow 3.13 or later"
ABSENT: Final = "the folder is no MLflow model"
NO_MODEL: Final = f"{ABSENT}, for it has no file MLmodel"
OTHER_FLAVOUR: Final = "the gate reads MLflow's flavours 'pytorch' and 'onnx', and the model is of another"
"""Reason for which no permission to run code would help."""
_LEVEL: Final = "that is level B, for which the policy says 'assurance: B'"


@dataclass(frozen=True)
class Carried:
    """Why a candidate was not loaded, and what to do."""

    what: str
    """The reason in a few words: every detector that did not run repeats it."""
    advice: str = ""
    named: str = ""
    """Names of the classes that were found."""

    @property
    def sentence(self) -> str:
        """The whole sentence, as listed among a scan's problems."""
        named = f": {self.named}" if self.named else ""
        return f"The model was not loaded: {self.what}{named}. {self.advice}".strip()


PLAIN: Final = Carried(
    "it carries code, or its files are not what MLflow writes, as the findings say",
    "What each finding names is to be left out, or logged again as MLflow writes it.",
)


def carried(outcomes: Mapping[str, Outcome]) -> Carried:
    """Return why a candidate was not loaded, by the inspector's outcomes, whose findings forbid it."""
    missing = _found(outcomes.get("artifact-integrity"), "missing-files")
    if any(ABSENT in one.note for one in missing):
        return Carried(NO_MODEL, f"Log the network with {CALL}, and check what that writes.")
    if any(UNKNOWN in one.note for one in _found(outcomes.get("consumer-hazards"), "foreign-loaders")):
        return Carried(OTHER_FLAVOUR, f"Log the network itself with {CALL}.")
    pickled, formats = outcomes.get("unsafe-pickle"), outcomes.get("unsafe-format")
    named = tuple(_names(pickled, _UNSAFE))
    classes = [name for name in _names(pickled, _LIBRARY) if name.partition(".")[0] in LIBRARIES]
    classes.sort(
        key=lambda name: ".models." not in name
    )  # libraries keep networks among their models, layers elsewhere
    if classes and _count(pickled, _LIBRARY) == _count(pickled, _UNSAFE) > 0:
        libraries = " and ".join(sorted({name.partition(".")[0] for name in classes}))
        what = f"it is a pickled network of {libraries}, and unpickling it runs code"
        return Carried(what, f"{_AGAIN}, or check it with --allow-code after {EXTRA}; {_LEVEL}.", _shown(classes))
    if any("torchscript" in one.note.lower() for one in _found(formats, "code-constructs")):
        what = "it is TorchScript, whose archive holds code"
        return Carried(what, f"{_AGAIN}, from the network before torch.jit, or check it with --allow-code; {_LEVEL}.")
    own = [name for name in named if not is_of_a_library(*name.rpartition(".")[::2])]
    if own and _is_network(pickled):
        what = "it is a pickled network with classes of its own, and unpickling it runs code"
        finding = "which finds classes in the pickle or by code_paths"
        shown = _shown([name for name in own if name.partition(".")[0] not in _MACHINERY])
        return Carried(what, f"{_AGAIN}, or check it with --allow-code, {finding}; {_LEVEL}.", shown)
    return PLAIN


def _is_network(outcome: Outcome | None) -> bool:
    """Tell whether a pickle also imports layers or tensors of torch: without them it may be anything."""
    names = (*_names(outcome, _UNSAFE), *_names(outcome, "module-globals"))
    return _count(outcome, "module-globals") > 0 or any(name.startswith("torch.") for name in names)


def _found(outcome: Outcome | None, metric: str) -> list[Measurement]:
    measurements = outcome.measurements if isinstance(outcome, Measured) else ()
    return [one for one in measurements if one.metric == metric]


def _count(outcome: Outcome | None, metric: str) -> float:
    return sum(one.value for one in _found(outcome, metric))


def _names(outcome: Outcome | None, metric: str) -> Iterator[str]:
    """Yield the names in a metric's notes, the first few of each file; a place in the file may precede a name."""
    for note in filter(None, (one.note for one in _found(outcome, metric))):
        yield from (part.rpartition(": ")[2].strip() for part in note.split("; ") if not part.startswith("and "))


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(name[:100] for name in names[:_MAX_NAMES]) + more
