"""The committed entries as tests want them: what the index says of each, its folder, the keys and files seen."""

import json
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parent
FORMS = FOLDER / "forms.json"
BY_RELEASE = "*.tar.xz"
_EXAMPLES = 4
_LONG = 160


@dataclass(frozen=True)
class Entry:
    """One folder that some MLflow wrote; `holds` and `because` say what a gate must find in it."""

    mlflow: str
    torch: str
    python: str
    name: str
    how: str
    holds: str
    because: tuple[str, ...]
    digest: str
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[float, ...], ...] | None

    @property
    def id(self):
        """The entry's name in a test's id."""
        return f"{self.mlflow}-{self.name}"

    @property
    def form(self):
        """The format that was asked for: pickle or pt2."""
        return self.name.partition("-")[0]

    def unpack(self, to):
        """Write the folder as MLflow left it, and return it."""
        for path, raw in _files(self.mlflow).items():
            if path.startswith(f"{self.name}/"):
                (to / path).parent.mkdir(parents=True, exist_ok=True)
                (to / path).write_bytes(raw)
        return to / self.name

    def input_tensors(self):
        """Return the fixed inputs on which the outputs were recorded: evenly spaced numbers from -1 to 1."""
        import torch

        whole = {5: (2, 5), 8: (2, 1, 8, 8)}  # by the last size; an entry for one picture took the first of two
        sizes = [whole[shape[-1]] for shape in self.inputs]
        spaced = [torch.linspace(-1, 1, torch.Size(size).numel()).reshape(size) for size in sizes]
        return [value[: shape[0]] for value, shape in zip(spaced, self.inputs, strict=True)]


def releases():
    """Return the releases of MLflow that wrote the corpus, oldest first."""
    names = [path.name.removesuffix(".tar.xz") for path in FOLDER.glob(BY_RELEASE)]
    return sorted(names, key=lambda name: [int(part) for part in name.split(".")])


@cache
def entries():
    """Return every entry of the index."""
    return tuple(entry for release in releases() for entry in _of(release))


@cache
def _files(release):
    """Return every file of a release's archive by its path."""
    with tarfile.open(FOLDER / f"{release}.tar.xz") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def _of(release):
    index = json.loads((FOLDER / f"{release}.json").read_text(encoding="utf-8"))
    head = {key: index[key] for key in ("mlflow", "torch", "python")}
    for record in index["entries"]:
        outputs = record["outputs"] and tuple(map(tuple, record["outputs"]))
        lists = {"because": tuple(record["because"]), "inputs": tuple(map(tuple, record["inputs"]))}
        yield Entry(**{**head, **record, **lists, "outputs": outputs})


def forms():
    """Return, by release, the files of the folders and the keys of their `MLmodel` files, with counts and examples."""
    return {release: _forms(release) for release in releases()}


def _forms(release):
    """Return one release's files and keys."""
    files, keys = {}, {}
    for name, raw in _files(release).items():
        entry, _, path = name.partition("/")
        files.setdefault(path, []).append(entry)
        if path == "MLmodel":
            for key, value in _leaves(yaml.safe_load(raw)):
                keys.setdefault(key, []).append(value)
    return {
        "files": {path: len(files[path]) for path in sorted(files)},
        "keys": {key: {"seen": len(keys[key]), "examples": _examples(keys[key])} for key in sorted(keys)},
    }


def _leaves(value, path=""):
    """Yield each key's path with its value; lists are values."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, f"{path}.{key}".lstrip("."))
        return
    yield path, value


def _examples(values):
    """Return a few different values in the order seen, long texts cut."""
    texts = list(dict.fromkeys(json.dumps(value) for value in values))[:_EXAMPLES]
    return [_cut(json.loads(text)) for text in texts]


def _cut(value):
    return f"{value[:_LONG]}…" if isinstance(value, str) and len(value) > _LONG else value


if __name__ == "__main__":
    FORMS.write_text(json.dumps(forms(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
