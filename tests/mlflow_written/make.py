"""Writes one release's part of the corpus, from within an environment that has that MLflow: see README.md.

    /tmp/m/mlflow-2.9.2/bin/python tests/mlflow_written/make.py [--only WORD,WORD]

It leaves `RELEASE.tar.xz`, one folder for each entry, and `RELEASE.json`, the index: how each was saved, its digest,
what it holds, and the outputs of the network in memory on a fixed input.
"""

import argparse
import getpass
import hashlib
import json
import os
import platform
import shutil
import socket
import sys
import tarfile
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = Path(os.environ.get("WORK", "/tmp/m/work"))
"""A neutral place: MLflow, cloudpickle and torch.export write paths into what they save."""


def main():
    """Write the entries of this environment's release."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", default="", help="words in the names to write, with commas; other entries stay")
    arguments.add_argument("--to", type=Path, default=HERE)
    given = arguments.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    os.chdir(WORK)
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"  # MLflow loads what it saved, to find requirements
    trainer = (HERE / "trainer.py").read_text(encoding="utf-8")
    script = sys.modules["__main__"]
    script.__file__ = "trainer.py"  # cloudpickle keeps the script's path beside its functions
    exec(compile(trainer, "trainer.py", "exec"), vars(script))
    import logged  # noqa: F401  # both register their ways
    import mlflow
    import saved  # noqa: F401
    import ways

    mlflow.set_tracking_uri(f"sqlite:///{WORK}/mlflow.db")
    mlflow.create_experiment("corpus", artifact_location=(WORK / "artifacts").as_uri())
    mlflow.set_experiment("corpus")
    ways.lay_out(HERE)
    entries, failed = [], []
    for way in ways.WAYS:
        if any(word in way.name for word in given.only.split(",")):
            try:
                entries.append(write(way))
                print("written", way.name, flush=True)
            except Exception:  # noqa: BLE001  # every entry is tried, and all failures are told
                failed.append(way.name)
                print("FAILED", way.name, traceback.format_exc()[-1500:], flush=True)
    others = {way.name for way in ways.WAYS} - {entry["name"] for entry in entries}
    kept = earlier(given.to, others) if given.only else []
    pack(given.to, sorted([*kept, *entries], key=lambda entry: entry["name"]))
    print(f"{len(entries)} written, {len(failed)} failed: {' '.join(failed)}")
    return 1 if failed else 0


def write(way):
    """Write one entry's folder, and return its record of the index."""
    from desk import Desk, scored

    desk = Desk(WORK / "folders" / way.name, way.form)
    desk.folder.parent.mkdir(exist_ok=True)
    way.do(desk)
    refuse_local(desk.folder)
    return {
        "name": way.name,
        "how": way.how.strip(),
        "holds": way.holds,
        "because": list(way.because),
        "digest": digest(desk.folder),
        "inputs": [list(value.shape) for value in desk.inputs],
        "outputs": scored(desk.network, *desk.inputs) if desk.inputs else None,
    }


def earlier(to, wanted):
    """Unpack the wanted entries of an earlier run, and return their records."""
    import mlflow

    index = to / f"{mlflow.__version__}.json"
    entries = json.loads(index.read_text(encoding="utf-8"))["entries"] if index.exists() else []
    kept = [entry for entry in entries if entry["name"] in wanted]
    names = {entry["name"] for entry in kept}
    if kept:
        with tarfile.open(to / f"{mlflow.__version__}.tar.xz") as archive:
            chosen = [member for member in archive if member.name.partition("/")[0] in names]
            archive.extractall(WORK / "folders", members=chosen, filter="data")
    return kept


def pack(to, entries):
    """Pack the folders of the entries into one archive, and write the index."""
    import mlflow
    import torch

    folders = WORK / "folders"
    release = mlflow.__version__
    with tarfile.open(to / f"{release}.tar.xz", "w:xz", preset=9) as archive:
        for path in (path for entry in entries for path in files(folders / entry["name"])):
            entry = tarfile.TarInfo(path.relative_to(folders).as_posix())
            entry.size = path.stat().st_size
            with path.open("rb") as stream:
                archive.addfile(entry, stream)
    head = {"mlflow": release, "torch": torch.__version__, "python": platform.python_version()}
    text = json.dumps({**head, "entries": entries}, indent=1, ensure_ascii=False)
    (to / f"{release}.json").write_text(text + "\n", encoding="utf-8")


def files(folder):
    """Return the files below a folder, sorted by their paths."""
    return sorted(
        (path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.relative_to(folder).as_posix()
    )


def digest(folder):
    """Return the digest of all files of a folder, in the form of the gate's manifest."""
    lines = []
    for path in files(folder):
        raw = path.read_bytes()
        name = json.dumps(path.relative_to(folder).as_posix())
        lines.append(f"{hashlib.sha256(raw).hexdigest()}  {len(raw)}  {name}")
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def refuse_local(folder):
    """Refuse a folder that names this machine, its user or a place on it other than the neutral one."""
    host = socket.gethostname()
    words = {str(HERE.parent.parent), str(Path.home()), f"/{getpass.getuser()}/", *([host] if len(host) > 3 else [])}
    for path in files(folder):
        raw = path.read_bytes()
        for word in sorted(words):
            if word.encode() in raw:
                raise ValueError(f"{path.relative_to(folder)} holds {word!r}; run in a neutral place")


if __name__ == "__main__":
    raise SystemExit(main())
