"""The base of all adapters of the zoo: SmolLM2-135M-Instruct as `save_pretrained` writes it, out of its GGUF file.

Between `packages` and making. Its weights are four-bit blocks; unpacked they are kept in bfloat16, in which the model
was published, and are trained beside in float32. The gate is given the same folder as `--base`.
"""

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.adapter_zoo.packages import SMOLLM2, WEIGHTS, imported, root, site
from benchmarks.zoo.packaged.packages import digest
from gate.records.errors import CannotFinishError

SHA256 = "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b"
"""Of its `model.safetensors`."""
TENSORS = "model.safetensors"


def folder() -> Path:
    """Return the base's folder, written where it is missing."""
    to = root() / "base"
    if not (to / TENSORS).is_file():
        _write(to)
    return to


def require_base() -> str:
    """Return a line on the base, or raise `CannotFinishError` where its weights are not those that are meant."""
    found = digest(folder() / TENSORS)
    if found != SHA256:
        raise CannotFinishError(
            f"the base's {TENSORS} has the digest {found[:16]}; expected {SHA256[:16]}",
            what_to_do=f"Remove {folder()} and run: python -m benchmarks.adapter_zoo data",
        )
    return f"base: {TENSORS} of digest {found[:16]}, {SMOLLM2.requirement} unpacked"


def _write(to: Path) -> None:
    """Unpack the GGUF file and write the folder in one step."""
    imported("gguf")
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    packed = site().need(SMOLLM2, WEIGHTS)
    how = GgufConfig(gguf_file=packed.name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        packed.parent, gguf_file=packed.name, dtype=torch.float32, quantization_config=how
    )
    model = model.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    temporary = to.with_name(f".{to.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary)
    AutoTokenizer.from_pretrained(packed.parent, gguf_file=packed.name).save_pretrained(temporary)
    temporary.replace(to)


def fresh() -> Any:
    """Return the base as a network in float32."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder(), dtype=torch.float32).eval()


@cache
def tokenizer() -> Any:
    """Return the base's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder())
