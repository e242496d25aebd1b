"""On which line a policy file says what, so that reports can point at the limit that a model broke.

Beside `gate.policies.read`, which reads and checks the same text first; this never raises, since a report without lines
is better than none.
"""

from collections.abc import Iterator
from pathlib import Path

import yaml

from gate.policies.packaged import packaged_name
from gate.records.report import PolicySource


def policy_source(path: Path) -> PolicySource:
    """Return where a policy that has been read says what; a file that changed since has no lines.

    A packaged policy has no path: even where the gate is installed below the working directory, it is no file of the
    tree that a surface shows.
    """
    here, absolute = Path.cwd(), path.absolute()
    inside = absolute.is_relative_to(here) and packaged_name(path) is None
    shown = absolute.relative_to(here).as_posix() if inside else ""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8", errors="replace"), Loader=yaml.SafeLoader)
    except (OSError, RecursionError, yaml.YAMLError):
        return PolicySource(path=shown)
    return PolicySource(path=shown, lines=dict(_lines(root)))


def _lines(root: yaml.Node | None) -> Iterator[tuple[str, int]]:
    for key, line, node in _entries(root):
        yield key, line
        for detector, detector_line, rule in _entries(node) if key == "detectors" else ():
            yield detector, detector_line
            limits = next((part for name, _, part in _entries(rule) if name == "limits"), None)
            for metric, metric_line, _ in _entries(limits):
                yield f"{detector}/{metric}", metric_line


def _entries(node: yaml.Node | None) -> Iterator[tuple[str, int, yaml.Node]]:
    """Yield key, line from 1 and value of a mapping; nothing of anything else."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode):
            yield key.value, key.start_mark.line + 1, value
