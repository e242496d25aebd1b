"""A policy's YAML text with the line of each key, and its ambiguities; only `yaml.safe_load`'s constructor is used."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from gate.policies.packaged import packaged_name
from gate.records.errors import PolicyError
from gate.records.report import PolicySource

BOOLEAN_WORDS = "which reads the bare words on, off, yes and no as true and false: put it in quotes"


class PolicyText:
    """A YAML text with the line of each key; `name` is the file's, for errors."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        try:
            self.root = yaml.compose(text, Loader=yaml.SafeLoader)
            nodes = list(_nodes(self.root))
            for line, fault in (found for node in nodes for found in _faults(node)):
                raise PolicyError(f"{name}:{line}: {fault}")
            self.value: Any = yaml.safe_load(text)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, int(error.position)) + 1
            raise PolicyError(f"{name}:{line}: not YAML: {error.reason}") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            problem = getattr(error, "problem", None) or "the text cannot be parsed"
            raise PolicyError(f"{name}:{line}: not YAML: {problem}") from None
        except RecursionError:
            raise PolicyError(f"{name}:1: the policy is nested too deeply; expected a few levels") from None

    def line(self, where: Sequence[str | int]) -> int:
        """Return the line, from 1, of the deepest existing node on a path of keys."""
        node, line = self.root, 1
        for part in where:
            if isinstance(node, yaml.MappingNode):
                hit = next(((k, v) for k, v in node.value if k.value == str(part)), None)
                if hit is None:
                    continue
                line, node = hit[0].start_mark.line + 1, hit[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
        return line

    def error(self, where: Sequence[str | int], message: str, *, what_to_do: str = "") -> PolicyError:
        """Return an error at a path of keys."""
        return PolicyError(
            f"{self.name}:{self.line(where)}: {message}",
            what_to_do=what_to_do or "`gate schema policy` prints every key that a policy may have.",
        )


def _nodes(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """Yield every node once, despite aliases."""
    waiting, seen = [root] if root is not None else [], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        children = (part for pair in node.value for part in pair) if isinstance(node, yaml.MappingNode) else node.value
        waiting += [] if isinstance(node, yaml.ScalarNode) else list(children)


def _faults(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """Yield line and reason of each ambiguity of a node."""
    if isinstance(node, yaml.ScalarNode) and node.tag != "tag:yaml.org,2002:str":
        try:
            yaml.SafeLoader("").construct_object(node)
        except ValueError as error:  # a date such as 2026-13-01
            yield node.start_mark.line + 1, f"'{node.value:.80}' cannot be read: {error}"
    seen: set[str] = set()
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            yield line, "a list or mapping stands where a key is expected"
            continue
        if key.tag == "tag:yaml.org,2002:bool":
            yield line, f"the key '{key.value}' is no word to YAML, {BOOLEAN_WORDS}; expected a key of the policy"
        if key.value in seen:
            yield line, f"the key '{key.value}' stands twice; expected it once"
        seen.add(key.value)


def got(value: Any) -> str:
    """Return the value found in place of the expected one, unless it is long."""
    if isinstance(value, dict | list):
        return "" if len(repr(value)) > 80 else f"; got {value!r}"
    return f"; got {value!r:.80}" + (f" (YAML, {BOOLEAN_WORDS})" if isinstance(value, bool) else "")


def policy_source(path: Path) -> PolicySource:
    """Return the path and lines of a policy that has been read; a file that is no YAML any more has no lines.

    It never raises: a report without lines is better than none. A packaged policy is no file of the user's: no path.
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
    """Yield key, line from 1 and value of a mapping's entries."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode):
            yield key.value, key.start_mark.line + 1, value
