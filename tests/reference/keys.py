"""The policy's keys as a page: types, bounds and defaults from the schema, meanings from the records' docstrings."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

from gate.cli.meanings import meanings
from gate.records.limit import PolicyRecord
from gate.records.policy import Policy

ESCAPED = "\\|"
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def policy_keys(made: str) -> Iterator[str]:
    """Yield the page's lines."""
    schema = Policy.model_json_schema(by_alias=True)
    records = {record.__name__: record for record in _subclasses(PolicyRecord)}
    yield from ("# Policy keys", "", made.format("gate/records/policy.py"), "")
    yield "A key that is not here is an error that names its line. What the keys do together is in"
    yield "[contracts](contracts.md#10-policy); `gate schema policy` prints the schema for an editor."
    for name, body in {"Policy": schema, **schema["$defs"]}.items():
        yield from ("", f"## {name}", "", " ".join((inspect.getdoc(records[name]) or "").split()), "")
        yield from ("| key | value | default | meaning |", "|---|---|---|---|")
        told = meanings(records[name])
        for key, value in body.get("properties", {}).items():
            default = _default(key, value, body)
            meaning = told.get(key.replace("-", "_"), "").replace("|", ESCAPED)
            yield f"| `{key}` | {_type(value)} | {default} | {meaning} |"


def _subclasses(record: type[PolicyRecord]) -> Iterator[type[PolicyRecord]]:
    for inner in record.__subclasses__():
        yield inner
        yield from _subclasses(inner)


def _default(key: str, value: dict[str, Any], body: dict[str, Any]) -> str:
    if key in body.get("required", ()):
        return "required"
    default = value.get("default")
    if default in (None, [], {}) or isinstance(default, dict):
        return "none" if default in (None, [], {}) else ""
    return f"`{json.dumps(default)}`" if not isinstance(default, str) or default else '`""`'


def _type(value: dict[str, Any]) -> str:
    """Return a schema's type in words."""
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_type(one) for one in value["anyOf"] if one.get("type") != "null"))
    if "const" in value or "enum" in value:
        return " or ".join(f"`{one}`" for one in value.get("enum", [value.get("const")]))
    if value.get("type") == "array":
        exact = value.get("prefixItems", ())
        return f"list of {', '.join(_type(one) for one in exact) or _type(value['items'])}"
    if isinstance(value.get("additionalProperties"), dict):
        return f"by name: {_type(value['additionalProperties'])}"
    bounds = [f"{sign} {value[bound]:,}" for bound, sign in BOUNDS.items() if bound in value]
    return ", ".join([value.get("format", value.get("type", "anything")), *bounds])
