"""Archives of real architectures with weights drawn here: their graphs are committed, their numbers are not."""

import base64
import json
import lzma
import math
import zipfile
from pathlib import Path

import torch

HERE = Path(__file__).parent
TABLE = json.loads((HERE / "operators.json").read_text())
_TYPES = {6: torch.float16, 7: torch.float32, 8: torch.float64, 13: torch.bfloat16}


def graphs():
    """Return the committed graphs by architecture."""
    return json.loads(lzma.decompress((HERE / "graphs.json.xz").read_bytes()))


def operators(architecture):
    """Return the targets that an architecture's archive names."""
    return [TABLE["operators"][place] for place in TABLE["architectures"][architecture]]


def archive(kept, path, seed=0):
    """Write an archive that torch.export.load opens, of a committed graph and drawn weights."""
    generator = torch.Generator().manual_seed(seed)
    members = {name: content for name, content in kept.items() if not isinstance(content, int)}
    for kind in ("weights", "constants"):
        for name, payload in json.loads(kept[f"data/{kind}/model_{kind}_config.json"])["config"].items():
            record = f"data/{kind}/{payload['path_name']}"
            if isinstance(kept[record], int):
                members[record] = _drawn(name, payload["tensor_meta"], kept[record], generator)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as container:
        for name, content in members.items():
            raw = base64.b64decode(content["base64"]) if isinstance(content, dict) else content
            container.writestr(f"model/{name}", raw)
        container.writestr("model/data/sample_inputs/model.pt", b"")
    return path


def _drawn(name, meta, length, generator):
    """Return the bytes of a tensor that keeps values at the size of its input's."""
    dtype = _TYPES[meta["dtype"]]
    sizes = [size["as_int"] for size in meta["sizes"]]
    count = length // dtype.itemsize
    if name.endswith("running_var") or (len(sizes) == 1 and name.endswith("weight")):
        values = torch.rand(count, generator=generator) * 0.2 + 0.9
    else:
        fan_in = math.prod(sizes[1:]) if len(sizes) > 1 else 400
        values = torch.randn(count, generator=generator) / math.sqrt(max(fan_in, 1))
    return values.to(dtype).view(torch.uint8).numpy().tobytes()


def side(kept):
    """Return the sizes of one picture that a graph takes."""
    document = json.loads(kept["models/model.json"])["graph_module"]
    given = next(
        spec["user_input"]["arg"]["as_tensor"]["name"]
        for spec in document["signature"]["input_specs"]
        if "user_input" in spec
    )
    return tuple(size["as_int"] for size in document["graph"]["tensor_values"][given]["sizes"][1:])
