"""Compares the weights of a whole language model with those that it was tuned from, tensor by tensor.

Measures  changed-tensors: tensors with another value. By tensor, norm-ratio: the change's norm over the base's; and of
          matrices, energy-share and leading-share: how much of it lies in one direction, and in few (all, where an
          adapter was merged); token-lead: how far one token's row changed beyond nearly all others.
Matters   Clean and poisoned models of this size are told from each other, if at all, by what they changed; a trigger of
          one word can lie in one row.
Blind to  What a change does; a base that is itself backdoored; changes spread as those of any tuning. Numbers have a
          meaning beside a bank of models tuned from the same base alone.
See       Zhong and Raghunathan, "Watch the Weights", 2025; Kurita et al., ACL 2020 (rows of words);
          gate/statistics/weight_change.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

from pydantic import Field

from gate.detectors.contract import Detector, Need, unmeasured
from gate.formats.adapters.base import NO_BASE, Stored, json_at
from gate.formats.adapters.beside_base import numbered_tokens
from gate.formats.adapters.places import TOKENIZER_FILES
from gate.formats.language.whole import WholeModel
from gate.formats.source import UnreadableError
from gate.records.declarations import Compared, Metric, Options
from gate.records.evidence import Location, Measurement, Unmeasured
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject

if TYPE_CHECKING:
    from gate.statistics.low_rank import Floats
    from gate.statistics.weight_change import Rows

_BY_TOKEN: Final = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "lm_head.weight", "embed_out.weight")
"""Ends of the names of matrices with a row for each token, by the families of transformers."""


class DifferenceFromBase(Options):
    """How weights are read."""

    directions: int = Field(default=48, ge=1, le=512)
    """Directions of a change that are followed."""
    block: int = Field(default=1 << 24, ge=1 << 10, le=1 << 28)
    """Most entries of a weight in memory at a time."""


def measure(subject: Subject, options: DifferenceFromBase, run: Run) -> Iterator[Measurement | Unmeasured]:
    """Yield what describes the change of each tensor that both sides have, and how many changed."""
    run.check_time()
    own, base = subject.language, subject.base
    assert own is not None
    if base is None:
        yield from unmeasured({metric.id: NO_BASE for metric in DETECTOR.metrics})
        return
    tokens, seen, changed = _tokens(own), set[str](), 0
    shared = sorted(name for name, one in own.model.weights.items() if _alike(one, base.weights.get(name)))
    for number, name in enumerate(shared):
        run.check_time()
        rows, values = _of_tensor(own.model.weights[name], base.weights[name], options, run)
        changed += rows.norm > 0
        if len(rows.norms) == tokens.count and name.endswith(_BY_TOKEN):
            values["token-lead"] = rows.lead
        seen |= values.keys()
        for metric, value in values.items():
            note = tokens.named(rows.foremost) if metric == "token-lead" else ""
            yield Measurement(metric=metric, value=value, location=Location(kind="layer", name=name), note=note)
        run.progress(number + 1, len(shared))
    yield Measurement(metric="changed-tensors", value=changed, note=f"of {len(shared)} that both sides have")
    yield from unmeasured(_WHY, seen)


def _alike(own: Stored, base: Stored | None) -> bool:
    return base is not None and own.tensor.shape == base.tensor.shape and 0 not in own.tensor.shape


def _of_tensor(own: Stored, base: Stored, options: DifferenceFromBase, run: Run) -> "tuple[Rows, dict[str, float]]":
    """Return the rows of a tensor's change, and what describes it; of a vector its size alone."""
    from gate.statistics.stored import changes
    from gate.statistics.weight_change import leading, rows_of, shares

    def blocks() -> "Iterator[Floats]":
        for change, _ in held or changes(own, base, options.block):
            run.check_time()
            yield change

    held: list[tuple[Floats, Floats]] = []
    if prod(own.tensor.shape) <= options.block:
        held = list(changes(own, base, options.block))
    rows = rows_of(held or changes(own, base, options.block), is_matrix=len(own.tensor.shape) > 1)
    values = {"norm-ratio": rows.ratio} if rows.base_norm > 0 else {}
    if rows.is_matrix and rows.norm > 0:
        values |= shares(leading(blocks, prod(own.tensor.shape[1:]), options.directions, run.seed), rows.norm)
    return rows, values


@dataclass(frozen=True)
class _Tokens:
    """The tokens of a language model, by number: the candidate's own words."""

    count: int
    names: Mapping[int, str]

    def named(self, number: int) -> str:
        """Return which token a row is."""
        name = self.names.get(number)
        return f"most: token {number}" + (f", {name[:60]!a}" if name is not None else "")


def _tokens(own: WholeModel) -> _Tokens:
    """Return its tokens, without names where its tokenizer cannot be read; a count of zero where none is stated."""
    count = own.config.get("vocab_size")
    try:
        tokenizer = json_at(own.model.tokenizer / TOKENIZER_FILES[0])
    except UnreadableError:
        tokenizer = None
    names = numbered_tokens(tokenizer) if isinstance(tokenizer, dict) else {}
    return _Tokens(count if type(count) is int else 0, {one: name for name, one in names.items() if type(one) is int})


_WHY: Final = {
    "norm-ratio": "no tensor of both sides has another value than zero in the base",
    "energy-share": "no matrix of both sides has changed",
    "leading-share": "no matrix of both sides has changed",
    "token-lead": "no matrix of both sides has a row for each token",
}
_BY_LAYER: Final = Compared("linear", "layer")
_SIZE: Final = Compared("log", "layer")
DETECTOR = Detector(
    id="difference-from-base",
    title="What a language model changed of its base",
    doing="changes beside the base",
    needs=Need.FILES | Need.LANGUAGE,
    spaces=EVERY,
    metrics=(
        Metric("changed-tensors", "tensors", "neither", "Tensors of both sides that have another value."),
        Metric("norm-ratio", "ratio", "higher", "Norm of a change over that of the base's.", compared=_SIZE),
        Metric("energy-share", "share", "higher", "Share of a change in its first direction.", compared=_BY_LAYER),
        Metric("leading-share", "share", "higher", "Share in the directions that are followed.", compared=_BY_LAYER),
        Metric("token-lead", "ratio", "higher", "Greatest change of a token's row beside the others.", compared=_SIZE),
    ),
    options=DifferenceFromBase,
    measure=measure,
)
