"""The rows that were tried, and the table of the page from what came out."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent.parent / "docs" / "reference" / "served-bundle.md"
START, END = "<!-- opens: begin -->", "<!-- opens: end -->"
OPENED = ("equal", "close")
TITLES = {"torch": "`torch.export.load`", "pytorch": "`mlflow.pytorch`", "pyfunc": "`mlflow.pyfunc`"}


@dataclass(frozen=True)
class Row:
    """One environment: a torch, and an MLflow or none."""

    torch: str
    mlflow: str = ""
    beside: tuple[str, ...] = ()
    """What this MLflow needs in older releases than the index gives."""

    @property
    def name(self):
        """The row's name, and its environment's."""
        return f"torch-{self.torch}" + (f"-mlflow-{self.mlflow}" if self.mlflow else "")

    @property
    def packages(self):
        """What is installed."""
        chosen = (f"mlflow=={self.mlflow}", "setuptools<81", *self.beside) if self.mlflow else ("numpy",)
        return (f"torch=={self.torch}", *chosen)

    @property
    def loaders(self):
        """What opens the bundles."""
        return ("pytorch", "pyfunc") if self.mlflow else ("torch",)


ROWS = (
    *(
        Row(torch)
        for torch in ("2.5.1", "2.6.0", "2.7.1", "2.8.0", "2.9.0", "2.10.0", "2.11.0", "2.12.1", "2.13.0", "2.14.1")
    ),
    Row("2.9.1", "2.22.4", ("sqlalchemy<2.1",)),
    Row("2.9.1", "3.1.4", ("sqlalchemy<2.1",)),
    Row("2.9.1", "3.7.0"),
    Row("2.9.1", "3.8.1"),
    Row("2.9.1", "3.9.0"),
    Row("2.9.1", "3.13.0"),
    Row("2.13.0", "3.17.2"),
)


def read_results():
    """Return by row and program what each loader made of it."""
    return json.loads(RESULTS.read_text())


def opens(result, loader):
    """Whether a loader opened every program of a row that its outputs can hold."""
    return all(word in OPENED for word in _words(result, loader))


def _words(result, loader):
    """Return what a loader said, without the one thing that no release can do: arrays of bfloat16."""
    return [said[loader] for name, said in result.items() if (name, loader) != ("bfloat16", "pyfunc")]


def cell(result, loader):
    """Return a loader's cell: how many programs it opened, and its usual error."""
    if loader not in next(iter(result.values())):
        return ""
    words = _words(result, loader)
    if opens(result, loader):
        close = words.count("close")
        return f"{len(words)} of {len(words)} open" + (f", {close} not to the bit" if close else "")
    failed = [word for word in words if word not in OPENED]
    return f"{len(words) - len(failed)} of {len(words)} open; `{Counter(failed).most_common(1)[0][0]}`"


def table(results):
    """Return the lines of the table."""
    lines = [f"| torch | MLflow | {' | '.join(TITLES.values())} |", "|---|---|---|---|---|"]
    for row in ROWS:
        if row.name in results:
            cells = " | ".join(cell(results[row.name], loader) for loader in TITLES)
            lines.append(f"| {row.torch} | {row.mlflow} | {cells} |")
    return "\n".join(lines)


def with_table(page, results):
    """Return the page with the table between its marks."""
    before, _, rest = page.partition(START)
    return f"{before}{START}\n{table(results)}\n{END}{rest.partition(END)[2]}"


def oldest(results, part, loaders):
    """Return the oldest release (major and minor) from which on every row opens all programs by these loaders."""
    tried = {}
    for row in ROWS:
        version = getattr(row, part)
        if row.name in results and set(loaders) <= set(row.loaders):
            key = tuple(int(number) for number in version.split(".")[:2])
            tried[key] = tried.get(key, True) and all(opens(results[row.name], loader) for loader in loaders)
    failing = [key for key, opened in tried.items() if not opened]
    return ".".join(str(number) for number in min(key for key in tried if key > max(failing)))
