"""Takes out of an image what names the container it was built in: `python3 docker/unnamed.py DIR`, a folder `dir:DIR`.

buildah writes that container's number and host name, both drawn anew in each build, into a configuration of Docker's
format. Nothing reads them; with them no two builds would have one digest.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any


def write(folder: Path, value: Any) -> tuple[str, bytes]:
    """Write a value as JSON under its own hash, as a blob of the folder is named; return hash and bytes."""
    text = json.dumps(value, separators=(",", ":")).encode()
    name = hashlib.sha256(text).hexdigest()
    (folder / name).write_bytes(text)
    return name, text


def unname(folder: Path) -> None:
    """Write configuration and manifest anew; the manifest last, so that a folder which has it is whole."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").unlink()
    former = folder / manifest["config"]["digest"].removeprefix("sha256:")
    configuration = json.loads(former.read_bytes())
    for key in ("container", "container_config"):  # the second is a copy of "config" as that container had it
        configuration.pop(key, None)
    configuration["config"].pop("Hostname", None)
    former.unlink()
    name, text = write(folder, configuration)
    manifest["config"] |= {"digest": f"sha256:{name}", "size": len(text)}
    made, _ = write(folder, manifest)
    (folder / made).rename(folder / "manifest.json")


if __name__ == "__main__":
    unname(Path(sys.argv[1]))
