"""The environment as its installers read it: pip's own parser, MLflow's, and conda's file by YAML.

What they would install must be on the gate's list of packages, from the configured index, without options.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gate.formats.packages import CHANNELS, CONDA_PACKAGES, PACKAGES

_OWN = "oracle-requirements.txt"
_HASH = "hashes"
_PYTHON = re.compile(r"[0-9]+(\.[0-9]+){0,2}")
_CONDA_NAME = re.compile(r"([A-Za-z0-9_.-]+)\s*([<>=!~ ].*)?", re.DOTALL)


def odd(folder: Path, work: Path) -> list[str]:
    """Return whatever an installer would do beyond installing listed packages; `work` is an empty folder's path."""
    work.mkdir(parents=True)
    for path in folder.iterdir():
        if path.is_file() and path.suffix in {".txt", ".yaml", ".yml"}:
            shutil.copyfile(path, work / path.name)
    found = list(_by_pip(folder / "requirements.txt", "requirements.txt"))
    found += _by_mlflow(folder / "requirements.txt")
    declared = _declared(folder)
    found += _virtualenv(folder, work)
    for path in declared.get("conda", ["conda.yaml"]):
        found += _conda(folder / path, work)
    for path in declared.get("requirements", []):
        found += _by_pip(folder / path, path)
    if manager := declared.get("manager"):
        found.append(f"MLflow makes the environment by {manager[0]}")
    return found


def _by_pip(path: Path, said: str) -> Iterator[str]:
    """Yield what pip's parser of a file finds beyond listed packages; what pip refuses installs nothing."""
    from pip._internal.network.session import PipSession
    from pip._internal.req.constructors import install_req_from_line
    from pip._internal.req.req_file import RequirementsFileParser, get_line_parser

    if not path.exists():
        return
    try:
        lines = list(RequirementsFileParser(PipSession(), get_line_parser(None)).parse(str(path), constraint=False))
    except BaseException:  # noqa: BLE001  # pip ends there, and installs nothing
        return
    plain = vars(get_line_parser(None)("numpy")[1])
    for line in lines:
        given = vars(line.opts).items()
        options = {name: value for name, value in given if name != _HASH and repr(value) != repr(plain[name])}
        if line.is_editable or options:
            yield f"pip, {said}: options {sorted(options)} {line.requirement or ''}"
        if line.requirement is None or line.is_editable:
            continue
        try:
            given = install_req_from_line(line.requirement, constraint=line.constraint)
        except BaseException:  # noqa: BLE001  # pip refuses the requirement and installs nothing
            continue
        if given.link is not None or given.req is None:
            yield f"pip, {said}: from {given.link or given}"
        elif not line.constraint and _canonical(given.req.name) not in PACKAGES:
            yield f"pip, {said}: installs {given.req.name}"


def _by_mlflow(path: Path) -> Iterator[str]:
    """Yield what MLflow's parser of requirements finds, which it hands on line by line."""
    from mlflow.utils.requirements_utils import _parse_requirements

    if not path.exists():
        return
    try:
        lines = [each.req_str for each in _parse_requirements(str(path), is_constraint=False)]
    except BaseException:  # noqa: BLE001  # MLflow ends there
        return
    yield from _lines(lines, "MLflow, requirements.txt")


def _lines(lines: list[Any], said: str) -> Iterator[str]:
    """Yield which lines name anything but a listed package."""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in lines:
        text = str(line).strip()
        without = re.sub(r"(\s+--hash=sha(256|384|512):[0-9a-f]+)+$", "", text)
        try:
            given = Requirement(without)
        except InvalidRequirement:
            yield f"{said}: {text!r:.100}"
            continue
        if given.url or _canonical(given.name) not in PACKAGES:
            yield f"{said}: {text!r:.100}"


def _virtualenv(folder: Path, work: Path) -> Iterator[str]:
    """Yield what MLflow's way to a virtual environment would install: the file that it picks, read as it does."""
    from mlflow.utils.requirements_utils import _parse_requirements
    from mlflow.utils.virtualenv import _get_python_env

    try:
        environment = _get_python_env(folder)
    except BaseException:  # noqa: BLE001  # MLflow makes no environment
        return
    for name in ("build_dependencies", "dependencies"):
        given = [str(each) for each in (getattr(environment, name) or [])]
        # MLflow resolves files itself, and pip would read the same lines: both, as either may be the one that acts.
        own = work / f"{name}-{_OWN}"
        own.write_text("\n".join(given), encoding="utf-8")
        yield from _by_pip(own, f"python_env.yaml, {name}")
        try:
            read = [each.req_str for each in _parse_requirements(given, is_constraint=False, base_dir=str(folder))]
        except BaseException:  # noqa: BLE001  # MLflow ends there
            continue
        yield from _lines(read, f"MLflow, python_env.yaml, {name}")
    if environment.python is not None and not _PYTHON.fullmatch(str(environment.python)):
        yield f"MLflow, python_env.yaml: Python {environment.python!r:.60}"


def _conda(path: Path, work: Path) -> Iterator[str]:
    """Yield what conda would do with its file: channels, packages, and the lines that it writes for pip."""
    try:
        value = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return
    if not isinstance(value, dict):
        return
    for channel in value.get("channels") or []:
        if channel not in CHANNELS:
            yield f"conda: channel {channel!r:.60}"
    for key in sorted(map(str, set(value) - {"channels", "dependencies", "name"})):
        yield f"conda: {key}"
    for item in value.get("dependencies") or []:
        if isinstance(item, dict):
            yield from (f"conda: packages of {key}" for key in map(str, item) if key != "pip")
            lines = item.get("pip") or []
            own = work / f"conda-{_OWN}"
            own.write_text("\n".join(map(str, lines if isinstance(lines, list) else [lines])), encoding="utf-8")
            yield from _by_pip(own, "conda.yaml, pip")
            continue
        found = _CONDA_NAME.fullmatch(str(item))
        if found is None or _canonical(found[1]) not in PACKAGES | CONDA_PACKAGES:
            yield f"conda: {item!r:.60}"


def _declared(folder: Path) -> dict[str, list[str]]:
    """Return which files `MLmodel` names for an environment, as MLflow reads it."""
    from mlflow.models import Model

    try:
        flavours = Model.load(str(folder / "MLmodel")).flavors
        function, flavour = flavours.get("python_function", {}), flavours.get("pytorch", {})
        env = function.get("env")
    except Exception:  # noqa: BLE001  # no consumer opens the folder
        return {}
    found: dict[str, list[str]] = {}
    if isinstance(env, str):
        found["conda"] = [env]
    elif isinstance(env, dict):
        found["conda"] = [value for key, value in env.items() if key == "conda" and isinstance(value, str)]
    if isinstance(file := flavour.get("requirements_file"), dict) and isinstance(file.get("path"), str):
        found["requirements"] = [file["path"]]
    if isinstance(manager := function.get("env_manager"), str):
        found["manager"] = [manager]
    return found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
