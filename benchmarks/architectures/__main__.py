"""Export image classifiers and write their operators by architecture, and the graphs of a few."""

import argparse
import json
import lzma
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.architectures.exporting import exported, operators, skeleton
from benchmarks.architectures.networks import FAMILIES, Network

TABLE = "operators.json"
GRAPHS = "graphs.json.xz"
KEPT = (
    "torchvision/mobilenet_v3_small", "torchvision/mnasnet0_5", "torchvision/shufflenet_v2_x0_5",
    "torchvision/squeezenet1_0", "torchvision/efficientnet_b0", "timm/eca_halonext26ts", "timm/efficientvit_b0",
    "transformers/ViTForImageClassification", "transformers/BitForImageClassification",
    "transformers/SwinForImageClassification",
)  # fmt: skip
"""Those whose graphs tests read and run, with weights that they draw themselves."""
_FREE = {"torchvision": (False, True), "timm": (False,), "transformers": (False, True)}
"""Whether a library's networks are exported for one picture, for any number, or both; timm has many."""


def main() -> None:
    """Go through the libraries; a table that is there already is gone on with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="folder of the table and the graphs")
    parser.add_argument("--libraries", nargs="+", choices=sorted(FAMILIES), default=sorted(FAMILIES))
    parser.add_argument("--only", nargs="+", help="architectures to export, as library/name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = _read(options.to / TABLE) or {"versions": {}, "operators": [], "architectures": {}, "not-exported": {}}
    graphs = _read(options.to / GRAPHS) or {}
    for library in options.libraries:
        table["versions"] |= {name: version(name) for name in ("torch", library)}
        for network in FAMILIES[library]():
            known = network.name in table["architectures"] or network.name in table["not-exported"]
            if options.only and network.name not in options.only:
                continue
            if known and (network.name not in KEPT or network.name in graphs):
                continue
            _add(network, table, graphs)
            _write(options.to, table, graphs)


def _add(network: Network, table: dict[str, Any], graphs: dict[str, Any]) -> None:
    started, found = time.monotonic(), set()
    for free in _FREE[network.name.partition("/")[0]]:
        try:
            program = exported(network, free=free)
        except Exception as error:  # noqa: BLE001  # whatever a library or the exporter raises is what is noted
            table["not-exported"][f"{network.name}{' with a free batch' if free else ''}"] = (
                f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            )
            continue
        found |= set(operators(program))
        if network.name in KEPT:
            graphs[network.name] = skeleton(program)
    if found:
        known = sorted({*table["operators"], *found})
        named = {
            name: {table["operators"][place] for place in places} for name, places in table["architectures"].items()
        }
        named[network.name] = found
        table["operators"] = known
        table["architectures"] = {name: [known.index(one) for one in sorted(named[name])] for name in sorted(named)}
    print(f"{network.name}: {len(found)} operators, {time.monotonic() - started:.0f} s", flush=True)


def _read(path: Path) -> Any:
    if not path.is_file():
        return None
    content = path.read_bytes()
    return json.loads(lzma.decompress(content) if path.suffix == ".xz" else content)


def _write(folder: Path, table: dict[str, Any], graphs: dict[str, Any]) -> None:
    rows = ",\n".join(f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in table["architectures"].items())
    head = {key: value for key, value in table.items() if key != "architectures"}
    text = json.dumps(head, indent=2)[:-2] + f',\n  "architectures": {{\n{rows}\n  }}\n}}\n'
    (folder / TABLE).write_text(text, encoding="utf-8")
    (folder / GRAPHS).write_bytes(lzma.compress(json.dumps(graphs, sort_keys=True).encode(), preset=9))


if __name__ == "__main__":
    main()
