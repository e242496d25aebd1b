"""What a bundle lacks that the candidate has, in sentences for a terminal.

Each was tried with torch 2.13 and MLflow 3.17 (tests/check/bundle/test_losses.py). A network loses everything that is
no program; an exported program is rewritten operator by operator.
"""

from collections.abc import Iterator, Sequence

from gate.records.bundle import Origin
from gate.records.signature import Signature
from gate.records.written_program import Composed, TensorInput, Written, WrittenTokenizer

_MAX_SENTENCE = 1000
"""Characters, since names are candidate-controlled; `Provenance` and `BundleFacts` hold 2,000."""
MOVES = "torch.export.passes.move_to_device_pass(torch.export.load(…), 'cuda')"


def losses_of(written: Written) -> tuple[str, ...]:
    """Return the sentences of what the writer wrote."""
    one = written
    return losses(one.origin, one.inputs, one.signature, one.returned, one.composed, one.tokenizer)


def losses(
    origin: Origin,
    inputs: Sequence[TensorInput],
    signature: Signature | None = None,
    returned: str = "",
    composed: Composed | None = None,
    tokenizer: WrittenTokenizer | None = None,
) -> tuple[str, ...]:
    """Return the sentences; `returned` is the transformers class in which the candidate returns its scores."""
    by_origin = {"pt2": _of_a_program, "repaired": _of_a_program, "onnx": _of_onnx}.get(origin, _of_a_network)
    pipeline = () if composed is None else _of_a_pipeline(composed, inputs)
    rest = (*by_origin(origin, inputs), *_of_the_output(returned), *_of_parameters(signature))
    sentences = (*pipeline, *_of_texts(tokenizer), *rest)
    return tuple(one if len(one) <= _MAX_SENTENCE else f"{one[: _MAX_SENTENCE - 1]}…" for one in sentences)


def _of_a_program(_: Origin, inputs: Sequence[TensorInput]) -> Iterator[str]:
    yield (
        "Stack traces and calls by submodule are left behind, so that torch.export.unflatten does not open the bundle; "
        "example inputs are zeros. Parameters and buffers keep their names."
    )
    if any(one.shape.count(None) for one in inputs):
        yield (
            "A condition that the exporter put on free sizes, such as an even batch, is not checked before the program "
            "runs; an input that breaks it may fail with an operator's error. Fixed sizes are checked as before."
        )
    yield f"The tensors lie on the CPU, wherever it was exported; {MOVES} moves the program."


def _of_a_network(_: Origin, inputs: Sequence[TensorInput]) -> Iterator[str]:
    yield (
        "The network's own class is left behind, with its methods and attributes. Submodules hold parameters and "
        "buffers under the same names; they cannot be called, replaced or hooked one by one."
    )
    yield "train() and eval() raise an error: the program computes what the network did in evaluation mode."
    taken = "; ".join(f"{one.name} takes {_described(one)}" for one in inputs)
    exported = f"Inputs are passed by position, with the number types and sizes that were exported: {taken}."
    yield f"{exported} {_batch(inputs)}".strip()
    yield (
        f"Devices that the network asked for while it ran are fixed to the CPU: .to() moves tensors alone, {MOVES} the "
        f"whole program. {_of_pyfunc(inputs)}"
    )


def _of_pyfunc(inputs: Sequence[TensorInput]) -> str:
    if len(inputs) == 1:
        return "mlflow.pyfunc runs it on the CPU."
    return "mlflow.pytorch loads it; mlflow.pyfunc, which passes one input, does not."


def _of_onnx(_: Origin, inputs: Sequence[TensorInput]) -> Iterator[str]:
    yield (
        "The bundle is a program of torch, which mlflow.pyfunc and mlflow.pytorch load; onnxruntime does not open it. "
        "Parameters have the initializers' names in ASCII letters; names of nodes and metadata are left behind."
    )
    taken = "; ".join(f"{one.name} takes {_described(one)}" for one in inputs)
    yield f"The input is passed by position, in the axes of the ONNX model: {taken}. {_batch(inputs)}".strip()
    yield "Its answers were compared with onnxruntime's on clean samples and noise, and differ by rounding there."
    yield "Of one output mlflow.pyfunc gives an array, where mlflow.onnx gives a dict with the output's name."


def _of_a_pipeline(composed: Composed, inputs: Sequence[TensorInput]) -> Iterator[str]:
    yield _read_texts() if composed.longest else _read_images(composed, inputs)
    yield (
        f"transformers {composed.version} composed {composed.network} here; the candidate names "
        f"{composed.claimed or 'none'}, and whoever loads it as a pipeline runs what is installed there. An approval "
        "is of the bundle alone."
    )


def _read_texts() -> str:
    return (
        "The pipeline's own call is left behind. The bundle takes ids and their mask, both as int64 and by position, "
        "and returns the class scores before the softmax; extra_files/labels.json has the classes' names by number."
    )


def _of_texts(tokenizer: WrittenTokenizer | None) -> Iterator[str]:
    if tokenizer is not None:
        yield (
            "Texts become ids by extra_files/tokenizer.json, which tokenizers.Tokenizer.from_file opens: what the "
            f"candidate's own file says, written anew. It cuts a text to its first {tokenizer.longest} tokens, marks "
            f"included, and fills a batch up with the id {tokenizer.padding}; other settings of cutting and padding "
            "are left behind."
        )


def _read_images(composed: Composed, inputs: Sequence[TensorInput]) -> str:
    taken = "; ".join(" × ".join("any" if size is None else str(size) for size in one.shape) for one in inputs)
    before = f" In the pipeline an image is {composed.resized}: do the same before it." if composed.resized else ""
    return (
        "The pipeline's reading of images is left behind, and so are its labels. The bundle takes pixels from 0 to "
        f"255, channels first ({taken}), rescales and normalises them, and returns the class scores before the "
        f"softmax.{before}"
    )


def _of_the_output(returned: str) -> Iterator[str]:
    if returned:
        yield (
            f"The candidate returns transformers' {returned}, which a process opens after it has imported that class. "
            "The bundle needs no transformers: it returns the class scores as one tensor or, where there are further "
            "tensors, a dict of them by the names of the fields; write scores in place of output.logits."
        )


def _described(one: TensorInput) -> str:
    sizes = " × ".join("any" if size is None else str(size) for size in one.shape)
    return f"{one.dtype} {sizes}" if sizes else f"one {one.dtype} number"


def _batch(inputs: Sequence[TensorInput]) -> str:
    if all(one.free_batch for one in inputs):
        return "Any number of samples can be passed at once."
    sizes = sorted({one.shape[0] for one in inputs if one.shape and one.shape[0] is not None})
    fixed = " and ".join(map(str, sizes))
    return f"The first size is fixed to {fixed}: samples are passed in such batches." if fixed else ""


def _of_parameters(signature: Signature | None) -> Iterator[str]:
    if signature is not None and signature.params:
        names = ", ".join(param.name for param in signature.params[:10])
        more = f" and {len(signature.params) - 10} more" if len(signature.params) > 10 else ""
        yield (
            f"Parameters of the signature ({names}{more}) are left out: an exported program takes tensors alone, and "
            "mlflow.pyfunc ignores them with a warning."
        )
