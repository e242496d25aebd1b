"""What code a candidate carries, by what the inspector counted, and how its trainer has it judged all the same.

Pure: outcomes in, two sentences out. A pickled network is no attack but MLflow's default before 3.14 and on Databricks;
whoever logged one is told to log it again, never to scan it again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gate.formats.log_again import CALL, EXTRA
from gate.formats.mlflow_model import UNKNOWN
from gate.formats.pickle_names import LIBRARIES, is_of_a_library
from gate.records.evidence import Measured, Outcome

_LIBRARY: Final = "library-globals"
_UNSAFE: Final = "unsafe-globals"
_MAX_NAMES: Final = 3
_MACHINERY: Final = frozenset(
    {"__builtin__", "builtins", "cloudpickle", "copyreg", "functools", "types", "typing", "_operator"}
)
"""What pickles of any class import, cloudpickle's above all, which holds a notebook's class whole."""
_AGAIN: Final = f"Log it again with {CALL} on MLflow 3.13 or later"
NO_MODEL: Final = "the folder is no MLflow model, for it has no file MLmodel"
OTHER_FLAVOUR: Final = "the gate reads MLflow's flavour 'pytorch', and the model is of another"
"""Why no permission to run code would help."""
_LEVEL: Final = "that is level B, for which the policy says 'assurance: B'"


@dataclass(frozen=True)
class Carried:
    """Why a candidate was not loaded, and what to do."""

    what: str
    """In a few words, since every detector that did not run repeats them."""
    advice: str = ""
    named: str = ""
    """Which classes were met."""

    @property
    def sentence(self) -> str:
        """All of it, as it stands among a scan's problems."""
        named = f": {self.named}" if self.named else ""
        return f"The model was not loaded: {self.what}{named}. {self.advice}".strip()


PLAIN: Final = Carried(
    "it carries code, or its files are not what MLflow writes, as the findings say",
    "What each finding names is to be left out, or logged again as MLflow writes it.",
)


def carried(outcomes: Mapping[str, Outcome]) -> Carried:
    """Return what the inspector's outcomes say of a candidate that its findings forbid loading."""
    if "MLmodel" in _files(outcomes.get("artifact-integrity"), "missing-files"):
        return Carried(NO_MODEL, f"Log the network with {CALL}, and check what that writes.")
    if any(UNKNOWN in text for text in _texts(outcomes.get("consumer-hazards"), "foreign-loaders")):
        return Carried(OTHER_FLAVOUR, f"Log the network itself with {CALL}.")
    pickled, formats = outcomes.get("unsafe-pickle"), outcomes.get("unsafe-format")
    named = tuple(_names(pickled, _UNSAFE))
    classes = tuple(sorted(filter(_is_class, _names(pickled, _LIBRARY)), key=_is_part))
    if classes and _count(pickled, _LIBRARY) == _count(pickled, _UNSAFE) > 0:
        libraries = " and ".join(sorted({name.partition(".")[0] for name in classes}))
        what = f"it is a pickled network of {libraries}, and unpickling it runs code"
        return Carried(what, f"{_AGAIN}, or check it with --allow-code after {EXTRA}; {_LEVEL}.", _shown(classes))
    if any("torchscript" in text.lower() for text in _texts(formats, "code-constructs")):
        what = "it is TorchScript, whose archive holds code"
        return Carried(what, f"{_AGAIN}, from the network before torch.jit, or check it with --allow-code; {_LEVEL}.")
    own = tuple(name for name in named if not is_of_a_library(*name.rpartition(".")[::2]))
    if own and _is_network(pickled):
        told = tuple(name for name in own if name.partition(".")[0] not in _MACHINERY)
        advice = (
            f"{_AGAIN}, or check it with --allow-code, which finds classes in the pickle or by code_paths; {_LEVEL}."
        )
        return Carried(
            "it is a pickled network with classes of its own, and unpickling it runs code", advice, _shown(told)
        )
    return PLAIN


def _is_class(name: str) -> bool:
    return name.partition(".")[0] in LIBRARIES


def _is_part(name: str) -> bool:
    """Tell a layer from the network itself, which libraries keep among their models."""
    return ".models." not in name


def _is_network(outcome: Outcome | None) -> bool:
    """Tell whether a pickle also imports layers or tensors of torch: others may be anything."""
    return _count(outcome, "module-globals") > 0 or any(
        name.startswith("torch.") for name in (*_names(outcome, _UNSAFE), *_names(outcome, "module-globals"))
    )


def _count(outcome: Outcome | None, metric: str) -> float:
    found = outcome.measurements if isinstance(outcome, Measured) else ()
    return sum(one.value for one in found if one.metric == metric)


def _texts(outcome: Outcome | None, metric: str) -> Iterator[str]:
    found = outcome.measurements if isinstance(outcome, Measured) else ()
    yield from (one.note for one in found if one.metric == metric)


def _files(outcome: Outcome | None, metric: str) -> set[str]:
    found = outcome.measurements if isinstance(outcome, Measured) else ()
    return {one.location.name for one in found if one.metric == metric and one.value and one.location is not None}


def _names(outcome: Outcome | None, metric: str) -> Iterator[str]:
    """Yield what a metric's notes name, the first few of each file; a place inside the file stands before a name."""
    for note in filter(None, _texts(outcome, metric)):
        yield from (part.rpartition(": ")[2].strip() for part in note.split("; ") if not part.startswith("and "))


def _shown(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(name[:100] for name in names[:_MAX_NAMES]) + more
