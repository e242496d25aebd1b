"""Reads chat templates as syntax trees and counts what they do that public ones, and the base's own, do not.

Measures  content-conditions: where a template asks for what comes of messages, documents or tools, or for the date, by
          anything but documented structure and marks. hidden-strings: literals with invisible or packed characters, or
          made of others; words that only messages with a mark get, or that the base's template does not say.
          unknown-variables and unknown-calls: what nothing hands to a template, functions that none needs.
          template-changes: files whose tree is another than the base's. unreadable-templates: texts that Jinja does
          not parse, or that take too many steps to read.
Matters   A template stands before every answer: a condition in it plants a backdoor without a changed weight.
Blind to  Conditions on structure alone, as on the order of roles; words that a template says to every message, where no
          base shows others; and what a base's own template does.
See       CycloneDX issue 862; `adapter-files` for the tokenizer.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.formats.hazards import Hazard, measurements
from gate.formats.source import UnreadableError
from gate.formats.templates.findings import METRICS, Read, beyond, read_template
from gate.formats.templates.places import may_hold_templates, templates_in
from gate.records.declarations import Metric, Options
from gate.records.evidence import Measurement
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject

_CHANGES, _UNREADABLE = "template-changes", "unreadable-templates"


class ChatTemplate(Options):
    """How many templates are read."""

    most: int = Field(default=100, ge=1, le=1000)
    """The most templates of an artifact; more count as unreadable."""


def measure(subject: Subject, options: ChatTemplate, run: Run) -> Iterator[Measurement]:
    """Yield the counts of what templates do, by file."""
    base = _of_base(subject, run)

    def hazards() -> Iterator[Hazard]:
        read: Counter[str] = Counter()
        for path in (file.path for file in subject.artifact.manifest.files if may_hold_templates(file.path)):
            run.check_time()
            read["templates"] += 1
            if read.total() > options.most:
                yield Hazard(_UNREADABLE, path, f"more than {options.most} files that may hold templates")
                return
            yield from _of_file(subject.artifact.root / path, path, base, run)

    yield from measurements(hazards(), (*METRICS, _CHANGES, _UNREADABLE))
    run.check_time()


def _of_file(file: Path, path: str, base: Mapping[str, Read] | None, run: Run) -> Iterator[Hazard]:
    """Yield what the templates of one file do beyond the base's of the same name."""
    try:
        for name, text in templates_in(file):
            own = read_template(text, run.check_time)
            beside = base.get(name) if base is not None else None
            if base is not None and (beside is None or beside.form != own.form):
                yield Hazard(_CHANGES, path, f"the template {name[:60]!r} is not the base's")
            yield from (Hazard(one.metric, path, one.sentence) for one in beyond(own, beside))
    except UnreadableError as error:
        yield Hazard(_UNREADABLE, path, str(error))


def _of_base(subject: Subject, run: Run) -> Mapping[str, Read] | None:
    """Return the base's templates by name; None without a base. One that cannot be read is compared with nothing."""
    if subject.base is None:
        return None
    found: dict[str, Read] = {}
    for path in sorted(subject.base.tokenizer.glob("*")):
        if path.is_file() and may_hold_templates(path.name):
            try:
                found |= {name: read_template(text, run.check_time) for name, text in templates_in(path)}
            except UnreadableError:
                continue
    return found


DETECTOR = Detector(
    id="chat-template",
    title="What a chat template does to messages",
    doing="what chat templates do",
    needs=Need.FILES,
    spaces=EVERY,
    metrics=(
        Metric("content-conditions", "places", "higher", "Places that ask for the text of a message, or the date."),
        Metric("hidden-strings", "literals", "higher", "Literals that hide, or speak where the base's does not."),
        Metric("unknown-variables", "names", "higher", "Variables that nothing hands to a template."),
        Metric("unknown-calls", "calls", "higher", "Calls and filters that no public template needs."),
        Metric(_CHANGES, "files", "neither", "Templates whose tree is another than the base's."),
        Metric(_UNREADABLE, "files", "higher", "Templates that could not be read."),
    ),
    options=ChatTemplate,
    measure=measure,
)
