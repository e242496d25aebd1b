"""`MLmodel`, read without MLflow: bounded YAML of plain values, without aliases, into a frozen value.

Aliases are refused since they let a small file unfold into an enormous value, duplicate keys since two readers may take
different ones.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import yaml

from gate.formats.source import UnreadableError

MAX_BYTES = 512 << 10
_MAX_DEPTH = 32
_MAX_NODES = 10_000
"""Scalars, lists and mappings together; what MLflow writes has some hundred."""
_MAX_KEYS = 1_000
"""Keys of one mapping."""
_PATH_KEYS = frozenset(
    {"data", "model_data", "model_path", "pickled_model", "model_binary", "model_file", "artifact_path"}
)
CODE_KEYS = ("code", "code_paths", "code_path", "model_code_path")


@dataclass(frozen=True)
class MLmodel:
    """The content of an `MLmodel` file: its flavours, and everything beside them."""

    flavors: Mapping[str, Mapping[str, Any]]
    top: Mapping[str, Any] = field(default_factory=dict)

    def code(self) -> Iterator[tuple[str, Any]]:
        """Yield each key that names code to import or to run, and what it names."""
        for name, flavor in [("", self.top), *self.flavors.items()]:
            yield from ((f"{name}.{key}".lstrip("."), flavor[key]) for key in CODE_KEYS if flavor.get(key))

    def paths(self) -> Iterator[str]:
        """Yield the files and folders of the artifact that the file declares."""
        for flavor in self.flavors.values():
            yield from (value for key, value in flavor.items() if key in _PATH_KEYS and isinstance(value, str))
            yield from _environment(flavor.get("env"))
            artifacts = flavor.get("artifacts")
            if isinstance(artifacts, Mapping):
                yield from (item["path"] for item in artifacts.values() if isinstance(item, Mapping) and "path" in item)
        example = self.top.get("saved_input_example_info")
        if isinstance(example, Mapping):
            yield from (example[key] for key in ("artifact_path", "serving_input_path") if example.get(key))


def read_mlmodel(raw: bytes) -> MLmodel:
    """Parse the bytes of an `MLmodel` file, or raise `UnreadableError`."""
    value = read_yaml(raw, what="MLmodel")
    if not isinstance(value, dict):
        raise UnreadableError("MLmodel: expected a mapping")
    flavors = value.pop("flavors", {})
    if not isinstance(flavors, dict) or not all(isinstance(flavor, dict) for flavor in flavors.values()):
        raise UnreadableError("MLmodel: expected flavors to be a mapping of mappings")
    named = {str(name): MappingProxyType(flavor) for name, flavor in flavors.items()}
    return MLmodel(MappingProxyType(named), MappingProxyType(value))


def read_yaml(raw: bytes, *, what: str, limit: int = MAX_BYTES) -> Any:
    """Return plain YAML as plain values; size, depth, aliases, tags and duplicate keys are bounded or refused."""
    if len(raw) > limit:
        raise UnreadableError(f"{what}: larger than {limit} bytes")
    if not raw.isascii():
        # MLflow escapes all others; readers of YAML guess encodings by the first bytes, and differ.
        raise UnreadableError(f"{what}: holds characters beyond ASCII, which MLflow does not write there")
    try:
        return yaml.load(raw, Loader=_Loader)  # noqa: S506  # a stricter SafeLoader
    except Exception as error:  # noqa: BLE001  # any failure of a parser of hostile bytes is what was found
        reason = " ".join(str(error).split())[:200]
        raise UnreadableError(f"{what}: not acceptable YAML: {type(error).__name__}: {reason}") from None


class _Loader(yaml.SafeLoader):
    """SafeLoader without aliases, duplicate keys and deep nesting."""

    depth = 0
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise UnreadableError("an alias")
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise UnreadableError(f"more than {_MAX_NODES} values")
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise UnreadableError(f"nested deeper than {_MAX_DEPTH}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        if len(node.value) > _MAX_KEYS:
            raise UnreadableError(f"a mapping of more than {_MAX_KEYS} keys")
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) != len(node.value):
            raise UnreadableError("a duplicate key, or one that is no scalar")
        return super().construct_mapping(node, deep=deep)


def _environment(env: Any) -> Iterator[str]:
    if isinstance(env, str):
        yield env
    elif isinstance(env, Mapping):
        yield from (value for value in env.values() if isinstance(value, str))
