"""The methods of a remediation, with their options and seeds, settled before anything is pulled.

The judging scan divides its p-value by the number of attempts in this plan, whether or not all are made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gate.policies.gone import gone
from gate.records.declarations import Space
from gate.records.errors import UsageError
from gate.worker import repair as remediation

AUTO = "auto"


@dataclass(frozen=True)
class Planned:
    """One method to try, with all its options, including the defaults."""

    method: str
    options: dict[str, Any]


def plan_of(method: str, settings: Mapping[str, Mapping[str, Any]]) -> tuple[Planned, ...]:
    """Return the methods of `auto`, in its order, or the one that is named; unknown options are a `UsageError`."""
    known = tuple(remediation.ORDER)
    if method not in (AUTO, *known):
        reason = gone("method", method) or f"unknown method {method[:80]!r}"
        raise UsageError(f"{reason}; expected auto or one of {', '.join(known)}")
    chosen = known if method == AUTO else (method,)
    if foreign := sorted(set(settings) - set(chosen)):
        raise UsageError(f"--set names the method {foreign[0][:80]!r}, which is not tried; tried: {', '.join(chosen)}")
    return tuple(Planned(name, _options(name, settings.get(name, {}))) for name in chosen)


def fitting(plan: Sequence[Planned], space: Space) -> tuple[Planned, ...]:
    """Return the methods for a kind of input; where none is, a `UsageError` says which are."""
    known = remediation.for_space(space)
    found = tuple(one for one in plan if one.method in known or one.method not in remediation.ORDER)
    if not found:
        raise UsageError(
            f"{plan[0].method} is not for {space}, which this model takes",
            what_to_do=f"Leave --method out, or name one that is: {', '.join(known)}.",
        )
    return found


def seeds_of(policy_seed: int, count: int) -> tuple[int, ...]:
    """Return the attempts' seeds, without the policy's own, by which the outcome is judged."""
    return tuple((policy_seed + 1 + index) % 2**32 for index in range(count))


def parse_settings(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read `METHOD.OPTION=VALUE`, each value as YAML, where 0.1, true and words need no quotes."""
    import yaml  # noqa: PLC0415  # with its only use

    found: dict[str, dict[str, Any]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        method, dot, option = name.strip().partition(".")
        if not equals or not dot or not option:
            raise UsageError(f"{text[:200]!r} sets nothing; expected METHOD.OPTION=VALUE")
        try:
            found.setdefault(method, {})[option] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"the value of {name[:200]!r} cannot be read: {value[:200]!r}") from None
    return found


def _options(method: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    kind = remediation.load(method).options
    try:
        options: dict[str, Any] = kind.model_validate(stated).model_dump(mode="json", by_alias=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        fields = ", ".join(sorted(field.alias or name for name, field in kind.model_fields.items()))
        raise UsageError(
            f"the option {where!r} of {method}: {first['msg'][:300]}", what_to_do=f"Its options: {fields}."
        ) from None
    return options
