"""What the policy pins for consumers of a bundle: Python and packages, each at one exact version."""

from typing import Annotated, Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from gate.records.limit import PolicyRecord


def _text(value: Any) -> Any:
    """Refuse a number: YAML reads 2.10 without quotes as 2.1, and another version would be installed."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("YAML reads a version without quotes as a number, and 2.10 as 2.1: put it in quotes")  # noqa: TRY004
    return value


def _exact(version: str) -> str:
    try:
        read = Version(version)
    except InvalidVersion:
        raise ValueError("expected one exact version, such as '2.13.0', without an operator") from None
    if read.local is not None:
        raise ValueError(f"a local version, which no index holds; the public one is '{read.public}'")
    if str(read) != version:
        raise ValueError(f"expected the version as an index writes it: '{read}'")
    return version


def _distribution(name: str) -> str:
    if not name.isascii() or canonicalize_name(name) != name:
        raise ValueError(f"expected a distribution's name as an index writes it: '{canonicalize_name(name)[:100]}'")
    return name


_PackageName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_distribution)]
_ExactVersion = Annotated[str, BeforeValidator(_text), Field(max_length=64), AfterValidator(_exact)]
_PythonVersion = Annotated[str, BeforeValidator(_text), Field(pattern=r"^3\.[0-9]{1,2}(\.[0-9]{1,3})?$")]

OLDEST = {"mlflow": "3.9", "torch": "2.9"}
"""The packages without which nothing opens a bundle, and the first releases that do."""


class Runtime(PolicyRecord):
    """Versions that a bundle's environment files pin; by default the public ones of the gate's own packages."""

    python: _PythonVersion | None = None
    """Python version in quotes, such as '3.11'."""
    packages: dict[_PackageName, _ExactVersion] = Field(default_factory=dict, max_length=200)
    """Exact versions of all pinned packages, by name; each must be one that a bundle may install."""

    @field_validator("packages")
    @classmethod
    def _enough(cls, packages: dict[str, str]) -> dict[str, str]:
        if packages and (missing := sorted(set(OLDEST) - set(packages))):
            raise ValueError(f"{' and '.join(missing)} must be pinned too: without it nothing opens a bundle")
        for name, oldest in OLDEST.items() if packages else ():
            if Version(packages[name]) < Version(oldest):
                raise ValueError(f"{name} {packages[name]} opens no bundle; expected {oldest} or later")
        return packages
