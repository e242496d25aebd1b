"""Writes the pages of docs/reference that say what the code says: `make reference`; a test compares the two.

One page a detector, from its docstring and declarations; the commands, from their help; the policy's keys, from the
schema and the docstrings of its records; ONNX's operators and the service's metrics, from the gate's tables of them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from prometheus_client.metrics import MetricWrapperBase

from gate import detectors
from gate.cli.explain import judged
from gate.cli.formatting import Context
from gate.cli.main import main
from gate.cli.meanings import meanings
from gate.detectors.contract import PARTS, Detector, parts, summary
from gate.programs.readers.onnx.graph import OPSETS
from gate.programs.readers.onnx.table import OPERATORS
from gate.service import metrics
from tests.reference.keys import policy_keys

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
MADE = "<!-- Made by `make reference`: change {0}, not this page. -->"
WIDTH = 78
"""Columns of the text of help."""


def pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    found = {REFERENCE / "detectors" / f"{name}.md": detector_page(name) for name in detectors.names()}
    found[REFERENCE / "detectors" / "README.md"] = detectors_page()
    found[REFERENCE / "cli.md"] = "\n".join(commands_page())
    found[REFERENCE / "metrics.md"] = "\n".join(metrics_page())
    found[REFERENCE / "onnx.md"] = "\n".join(onnx_page())
    found[REFERENCE / "policy.md"] = "\n".join(policy_keys(MADE))
    return {path: text.rstrip("\n") + "\n" for path, text in found.items()}


def detectors_page() -> str:
    """Return the list of all detectors."""
    rows = [f"| [`{name}`]({name}.md) | {_cell(summary(detectors.load(name).module))} |" for name in detectors.names()]
    head = [
        "# Detectors",
        "",
        MADE.format("the docstrings of gate/detectors"),
        "",
        "What each looks at is on its page; `gate explain ID` prints the same. How they work together is in",
        "[detection](../../explanation/detection.md), and what they find in [efficacy](../../results/efficacy.md).",
        "",
        "| detector | what it does |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows])


def onnx_page() -> Iterator[str]:
    """Yield the lines of the list of ONNX operators."""
    yield from ("# ONNX operators that are mapped", "", MADE.format("gate/programs/readers/onnx"), "")
    yield (
        f"{len(OPERATORS)} operators of the default domain, in versions {OPSETS[0]} to {OPSETS[-1]} of the operator "
        "set. Each is compared with onnxruntime (`tests/programs/onnx/test_operators.py`). Another operator or domain "
        "is refused, all of them named at once; so is an attribute that is not listed, and a value of one that torch "
        "does not have exactly, with its node. How to log such a model is in [ONNX models](../how-to/onnx.md)."
    )
    yield from ("", "| operator | since | attributes that are read |", "|---|---|---|")
    for name, one in sorted(OPERATORS.items()):
        since = "" if one.since == OPSETS[0] else str(one.since)
        yield f"| {name} | {since} | {_cell(', '.join(sorted(one.attributes)))} |"


def metrics_page() -> Iterator[str]:
    """Yield the lines of the list of the service's metrics."""
    yield from ("# Metrics of the service", "", MADE.format("gate/service/metrics.py"), "")
    yield (
        "`GET /metrics` of `gate serve` answers in Prometheus's text format. Each process counts for itself, since it "
        "started. What they are read for is in [the service](../how-to/serve.md#metrics)."
    )
    yield from ("", "| metric | kind | labels | meaning |", "|---|---|---|---|")
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            kind, name = metric._type, metric._name + ("_total" if metric._type == "counter" else "")
            yield f"| `{name}` | {kind} | {labels} | {_cell(metric._documentation)} |"


def detector_page(name: str) -> str:
    """Return a detector's page."""
    return "\n".join(_detector(detectors.load(name)))


def _detector(detector: Detector[Any]) -> Iterator[str]:
    module = detector.module
    text = parts(module)
    yield from (f"# `{detector.id}`: {detector.title}", "")
    yield from (MADE.format(f"the docstring of {module.replace('.', '/')}.py"), "", _linked(summary(module)), "")
    for part in PARTS:
        yield from (f"**{part}.** {_linked(text[part])}", "")
    needs = ", ".join(str(need.name).lower().replace("_", " ") for need in detector.needs)
    yield from (
        f"**Needs.** {needs or 'nothing'}.",
        "",
        f"**For.** Models that take {' or '.join(sorted(detector.spaces))}.",
        "",
    )
    yield from ("## Metrics", "")
    yield from ("| metric | unit | worse | meaning |", "|---|---|---|---|")
    for metric in detector.metrics:
        yield f"| `{metric.id}` | {_cell(metric.unit)} | {metric.worse} | {_cell(metric.meaning)} |"
    yield from _limits(detector)
    yield from _options(detector)


def _limits(detector: Detector[Any]) -> Iterator[str]:
    said = [(metric.id, *line) for metric in detector.metrics for line in judged(detector, metric)]
    yield from ("", "## Limits of the gate's own policies", "")
    if not said:
        yield "None: its numbers are shown and judge nothing by themselves."
    for metric, label, text in said:
        yield f"- `{metric}`, {label.lower()}: {_linked(text)}"


def _options(detector: Detector[Any]) -> Iterator[str]:
    options = detector.options.model_json_schema(by_alias=True).get("properties", {})
    if options:
        told = meanings(detector.options)
        yield from ("", "## Options in the policy", "", "| option | default | meaning |", "|---|---|---|")
        for name, schema in options.items():
            yield f"| `{name}` | `{schema.get('default')}` | {_cell(told.get(name.replace('-', '_'), ''))} |"


def commands_page() -> Iterator[str]:
    """Yield the help of every command."""
    yield from ("# Commands", "", MADE.format("the commands of gate/cli"), "")
    yield "What each command prints for `--help`. Exit codes: [contracts](contracts.md#1-decisions-and-exit-codes)."
    for context in _contexts(main, "gate", None):
        yield from ("", f"## {context.command_path}", "", "```text", context.get_help().rstrip(), "```")


def _contexts(command: click.Command, name: str, above: click.Context | None) -> Iterator[click.Context]:
    """Yield the contexts in which commands are asked for help, without a run that variables or streams could change."""
    here = Context(command, info_name=name, parent=above, terminal_width=WIDTH, **command.context_settings)
    yield here
    if isinstance(command, click.Group):
        for below, inner in command.commands.items():
            yield from _contexts(inner, below, here)


def _linked(text: str) -> str:
    """Turn the names of pages into links, as seen from a detector's page, and keep what Markdown would take."""
    return re.sub(r"\bdocs/([\w/-]+\.md)", r"[docs/\1](../../\1)", re.sub(r"([*<])", r"\\\1", text))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    written = pages()
    for old in set((REFERENCE / "detectors").glob("*.md")) - written.keys():
        old.unlink()
    for page, content in written.items():
        page.parent.mkdir(exist_ok=True)
        page.write_text(content, encoding="utf-8")
