"""What the check of an adapter costs, stage by stage, in processor seconds; the target is 5 s on a quiet machine.

    python -m benchmarks.adapter_cost [--rank 8] [--layers 30] [--base FOLDER] [--registry]

An adapter of q, v and o of each layer of a model of SmolLM2's sizes, at random, beside a base of those sizes at random
or the one in a folder (`python -m benchmarks.adapter_zoo data` makes it). Each stage is the gate's own code: imports in
an interpreter of their own, the pull, each jailed worker, and what judges and writes the reports. The clock stands
beside each: on a busy machine it says nothing, the processor time a little too much. With `--registry` the import of
MLflow's client is told too, which a check of `models:/…` needs and a folder does not.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.bundle_cost import worker_seconds
from gate.check.base_model import asked_base
from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.rules import read_rules
from gate.policies.packaged import ADAPTER
from gate.records.evidence import Measured
from gate.registries.directory import DirectoryRegistry

WIDTH, NARROW, INNER, VOCABULARY = 576, 192, 1536, 49_152
ATTENTION = {"q_proj": (WIDTH, WIDTH), "v_proj": (NARROW, WIDTH), "o_proj": (WIDTH, WIDTH)}
OTHERS = {
    "gate_proj": (INNER, WIDTH),
    "up_proj": (INNER, WIDTH),
    "down_proj": (WIDTH, INNER),
    "k_proj": (NARROW, WIDTH),
}
IMPORTS = {"start: interpreter and imports": "import gate.cli.main, gate.check.check"}
OF_REGISTRY = {
    "start: the same with MLflow's client": "import gate.cli.main, gate.check.check; from mlflow import MlflowClient"
}


def write_adapter(folder: Path, layers: int, rank: int) -> Path:
    """Write an adapter at random as PEFT does, and return its folder."""
    from safetensors.numpy import save_file

    chance, found = np.random.default_rng(1), {}
    for name, (outputs, inputs) in ATTENTION.items():
        for layer in range(layers):
            at = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            found[f"{at}.lora_A.weight"] = chance.normal(size=(rank, inputs)).astype(np.float32)
            found[f"{at}.lora_B.weight"] = chance.normal(size=(outputs, rank)).astype(np.float32) * 0.01
    folder.mkdir()
    save_file(found, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": list(ATTENTION)}
    (folder / "adapter_config.json").write_text(json.dumps(config | {"task_type": "CAUSAL_LM"}))
    return folder


def write_base(folder: Path, layers: int) -> Path:
    """Write weights at random of SmolLM2's sizes, two bytes each, as `save_pretrained` does."""
    from safetensors.numpy import save_file

    chance = np.random.default_rng(2)
    found = {"model.embed_tokens.weight": chance.normal(size=(VOCABULARY, WIDTH)).astype(np.float16)}
    for layer in range(layers):
        for name, shape in {**ATTENTION, **OTHERS}.items():
            part = "self_attn" if name[0] in "qkvo" else "mlp"
            found[f"model.layers.{layer}.{part}.{name}.weight"] = chance.normal(size=shape).astype(np.float16)
    folder.mkdir()
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@contextmanager
def told(name: str, rows: list[tuple[str, float, float]]) -> Iterator[None]:
    """Add processor and clock seconds of what is done meanwhile, in this process and its children, to the rows."""
    before, began = os.times(), time.monotonic()
    yield
    after = os.times()
    rows.append((name, sum(after[:4]) - sum(before[:4]), time.monotonic() - began))


def imports(wanted: dict[str, str]) -> list[tuple[str, float, float]]:
    """Return what it costs to import what a check needs, each in an interpreter of its own."""
    rows: list[tuple[str, float, float]] = []
    for name, line in wanted.items():
        subprocess.run([sys.executable, "-c", line], check=True)  # once before, so that files are in memory
        with told(name, rows):
            subprocess.run([sys.executable, "-c", line], check=True)
    return rows


def checked(adapter: Path, base: Path, to: Path) -> list[tuple[str, float, float]]:
    """Check the adapter beside the base, and return the rows of pull, workers, detectors and the rest."""
    whole: list[tuple[str, float, float]] = []
    rules = read_rules(ADAPTER)
    request = CheckRequest(str(adapter), rules, ScanSettings(device="cpu"), to, mark=False, base=asked_base(str(base)))
    with worker_seconds() as spent, told("the whole check, after the start", whole):
        done = check(DirectoryRegistry(), request, lambda *_: None, lambda _: None)
    evidence = done.report.evidence
    assert evidence is not None
    assert evidence.unbundled == "", evidence.unbundled
    workers = [(f"worker: {role} {place}", one) for role, own in spent.items() for place, one in enumerate(own, 1)]
    own = whole[0][1] - sum(seconds for _, seconds in workers)
    rows = [("pull, judge and reports (this process)", own, float("nan"))]
    rows += [(name, seconds, float("nan")) for name, seconds in workers]
    rows += [
        (f"of inspector 1: {name}", float("nan"), outcome.seconds)
        for name, outcome in evidence.outcomes.items()
        if isinstance(outcome, Measured)
    ]
    rows.append(("of the pull, by the clock", float("nan"), evidence.seconds.get("pull", float("nan"))))
    return [*rows, *whole]


def main() -> None:
    """Print a table of stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--base", type=Path, help="a base in the place of one at random")
    parser.add_argument("--registry", action="store_true", help="also the import of MLflow's client")
    options = parser.parse_args()
    rows = imports(IMPORTS | (OF_REGISTRY if options.registry else {}))
    with tempfile.TemporaryDirectory(prefix="adapter-cost-") as name:
        folder = Path(name)
        base = options.base or write_base(folder / "base", options.layers)
        rows += checked(
            write_adapter(folder / "adapter", options.layers, options.rank), base.absolute(), folder / "out"
        )
    print("| stage | processor s | clock s |\n|---|---|---|")
    for stage, processor, clock in rows:
        print(f"| {stage} | {_shown(processor)} | {_shown(clock)} |")


def _shown(seconds: float) -> str:
    return "–" if seconds != seconds else f"{seconds:.2f}"  # noqa: PLR0124  # what was not measured is not a number


if __name__ == "__main__":
    main()
