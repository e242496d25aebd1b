"""What to do about a program that the reader refuses, by cause: one sentence each.

Advice that was followed already costs trust, so `model.eval()` is named only where training mode was seen, and an
operator by its kind: of another library, quantised, random, dependent on values, or a choice of branches.
"""

import re
from typing import Final

from gate.formats.log_again import CALL as LOG

TRAINING: Final = f"It was exported in training mode: call model.eval() and log it again with {LOG}."
BATCH: Final = (
    "Call model.eval(), keep running statistics in its batch normalisation (track_running_stats=True), and log it "
    f"again with {LOG}."
)
COUNTING: Final = (
    "A model that changes while it answers cannot be judged: take the change out of forward (a running statistic is "
    f"training's: call model.eval() first) and log it again with {LOG}."
)
RANDOM: Final = (
    "A model whose answers are drawn cannot be judged: take the random numbers out of forward (those of dropout go by "
    f"model.eval()) and log it again with {LOG}."
)
BRANCHES: Final = (
    "Write the choice as arithmetic on both results, such as torch.where(condition, a, b), or without one, and log the "
    f"model again with {LOG}."
)
AUTOCAST: Final = (
    "Log the model without torch.autocast in forward, in the type that production uses, such as by model.bfloat16(): "
    f"autocast chooses types where the model runs; then log it again with {LOG}."
)
VALUES: Final = (
    "Sizes that depend on the values of a picture are not examined: write the step with fixed sizes, such as "
    f"torch.where or a mask that multiplies, and log the model again with {LOG}."
)
QUANTISED: Final = (
    "Log the network of floating numbers that it was quantised from: that one is judged, and quantised afterwards."
)
FOREIGN: Final = (
    "Operators of other libraries run code that the archive does not hold: replace the layer by one of torch's own and "
    f"log the model again with {LOG}."
)
UNKNOWN: Final = (
    "The operator belongs to torch and is not among those that the gate has reviewed (docs/reference/reader.md lists "
    "what image classifiers export): write the step with other operators, or ask for this one with its name in an "
    "issue."
)
TYPES: Final = (
    "Numbers are read as float16, bfloat16, float32, float64, integers and booleans: convert the model, such as by "
    f"model.float(), and log it again with {LOG}."
)
SPARSE: Final = f"Call .to_dense() on what is sparse before the model is logged, and log it again with {LOG}."
COMPLEX: Final = f"Write the step with real numbers, such as sines and cosines, and log the model again with {LOG}."
INPUTS: Final = (
    "One batch of pictures is examined: log a small module around it whose forward takes that tensor alone and sets "
    f"the other arguments itself, with {LOG}."
)
MASKED: Final = (
    "Log a small module around it whose forward(input_ids, attention_mask) hands both on, or one whose forward takes "
    f"the ids alone, with {LOG}."
)
AS_INT64: Final = (
    "Log a small module around it whose forward takes ids and mask as int64 and makes of them what the network takes, "
    f"with {LOG}."
)
LENGTHS: Final = (
    "Log it with free sizes: signature=ModelSignature(Schema([TensorSpec(numpy.dtype('int64'), (-1, -1), name), …])), "
    "and an example of two texts or more."
)
TRUNCATION: Final = (
    "State how many tokens it takes in tokenizer.json, by tokenizer.enable_truncation(max_length=N), and log it again."
)
TOKENS: Final = (
    "Write the step with the attention mask, or with a second embedding's rows added to the first's, and log the model "
    f"again with {LOG}."
)
CONTAINER: Final = (
    "Log a small module around it that returns the class scores as one tensor: class Scores(torch.nn.Module): "
    "def __init__(self, model): super().__init__(); self.model = model — "
    f"def forward(self, x): return self.model(x).logits. Then {LOG.replace('model,', 'Scores(model).eval(),')}."
)
WHOLE: Final = (
    f"Log it again with {LOG} in one piece: torch.export.export with strict=False writes control flow and hooks out."
)

_NAME: Final = re.compile(r"torch\.ops\.([A-Za-z0-9_]{1,64})\.([A-Za-z0-9_]{1,64})(?:\.[A-Za-z0-9_]{1,64})?")
_QUANTISED: Final = "it computes with quantised numbers"
_OPERATORS: Final = (
    (r"(fake_)?quant.*|dequantize.*|q_(scale|zero_point|per_channel.*)|int_repr", _QUANTISED, QUANTISED),
    (
        r"(rand|randn|randint|randperm|bernoulli|normal|uniform|multinomial|poisson|exponential)(_[a-z]+)?_?",
        "it draws random numbers",
        RANDOM,
    ),
    (
        r"item|_local_scalar_dense|nonzero.*|masked_select|_?unique.*|argwhere|equal|is_nonzero|_assert_async|bincount",
        "its result, or the size of it, depends on values",
        VALUES,
    ),
    (r"_?(to_)?sparse.*", "it computes with sparse tensors", SPARSE),
    (r"complex|view_as_(complex|real)|_?fft_.*|real|imag|polar|_?conj.*", "it computes with complex numbers", COMPLEX),
)
"""Kinds of torch's operators that are never read, by their names, and what to do about them."""
_BRANCHING: Final = re.compile(r"cond|while_loop|map(_impl)?|scan|associative_scan|switch")


def of_operator(target: str) -> tuple[str, str]:
    """Return what kind of operator a target is that is not read, and what to do; the text may be hostile."""
    match = _NAME.fullmatch(target)
    library, name = (match[1], match[2]) if match else ("aten", "")
    if library == "higher_order":
        if _BRANCHING.fullmatch(name):
            return "it runs one of several graphs, or one several times, by a value", BRANCHES
        return "it runs a graph inside the graph", WHOLE
    if re.fullmatch(r"_?quantized.*", library):
        return _QUANTISED, QUANTISED
    if library not in {"aten", "prim", "prims"}:
        return f"it belongs to the library {library!r}, whose code is not in the archive", FOREIGN
    found = next(((what, to_do) for pattern, what, to_do in _OPERATORS if re.fullmatch(pattern, name)), None)
    return found or ("", UNKNOWN)
