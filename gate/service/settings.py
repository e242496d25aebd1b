"""The service's configuration: one TOML file, and the environment for secrets.

Samples, policy and bank are set here by registered model, never by the candidate's tags. Keys are kebab-case; unknown
ones are errors. Relative paths are relative to the file's folder.
"""

import ipaddress
import os
import socket
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

from croniter import croniter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gate.check.evidence import ScanSettings
from gate.policies.packaged import policy_at
from gate.records.errors import UsageError
from gate.records.probe_seed import read_probe_seed
from gate.records.record import MalformedError, read_bounded
from gate.service.settings_faults import fault

SECRET, DATABASE = "GATE_WEBHOOK_SECRET", "GATE_DATABASE_URL"  # names
_SEE = "docs/reference/serve.md lists every key."


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        alias_generator=lambda name: name.replace("_", "-"),
    )


class WebhookSection(Section):
    """Limits of the receiver."""

    freshness_seconds: int = Field(default=600, ge=30, le=86400)
    """Oldest timestamp of a delivery; MLflow's retries keep the first attempt's and may span over 90 seconds."""
    max_bytes: int = Field(default=256 << 10, ge=1024, le=16 << 20)


class RegistrySection(Section):
    """Address and time limits of the registry."""

    tracking_uri: str | None = None
    registry_uri: str | None = None
    timeout_seconds: int = Field(default=20, ge=1, le=3600)
    retries: int = Field(default=1, ge=0, le=20)
    experiment: str = "gate"


class WorkSection(Section):
    """Resources and patience of checks."""

    concurrency: int = Field(default=1, ge=1, le=64)
    """Checks at a time in this process."""
    attempts: int = Field(default=3, ge=1, le=20)
    """Most attempts of a step that fails within the gate itself, before the version is flagged."""
    patience_seconds: int = Field(default=3600, ge=0, le=7 * 86400)
    """Seconds that a check waits for a silent registry before it is left to the next poll."""
    longest_pause_seconds: int = Field(default=60, ge=1, le=3600)
    threads: int = Field(default=0, ge=0, le=1024)
    memory_gib: float = Field(default=12.0, gt=0.5, le=4096)
    keep_days: int = Field(default=90, ge=1, le=3650)
    """Days for which a finished check's files are kept here; the registry keeps a copy."""


def _cron(line: str) -> str:
    """Refuse what is no cron line, and one whose time never comes."""
    if line and not croniter.is_valid(line, second_at_beginning=True):
        raise ValueError("expected a cron line of five fields, or six with the seconds first, such as '0 3 * * 0'")
    try:
        if line:
            croniter(line, second_at_beginning=True).get_next()
    except ValueError:
        raise ValueError("expected a cron line whose time comes some day, such as '0 3 * * 0'") from None
    return line


class WatchSection(Section):
    """Poll, re-scans and alerts."""

    poll_seconds: float = Field(default=60, ge=0.2, le=86400)
    rescan: Annotated[str, AfterValidator(_cron)] = ""
    """Cron line of production's re-scans; empty for none."""
    alert_url: str = Field(default="", pattern=r"^(https?://.*)?$")
    """Address to which alerts are posted as JSON."""


class ModelSection(Section):
    """One registered model whose versions are candidates."""

    name: str = Field(min_length=1, max_length=255)
    policy: Path
    """A file, or the bare name of a policy that comes with the gate."""
    samples: str | None = None
    """Samples in place of those that the policy pins."""
    bank: Path | None = None
    base: str | None = None
    """What adapters are for, or language models were tuned from: models:/NAME/VERSION, models:/NAME@ALIAS, a folder."""
    allow_code: bool = False
    production: str | None = None
    """The registered model into which versions are promoted, and those of no other candidate model."""
    aliases: tuple[str, ...] = ("champion",)
    """Protected aliases of the production model."""
    stages: tuple[str, ...] = ("Production",)
    """Protected stages of the production model."""


def _proxy(text: str) -> str:
    """Refuse what is no address and no network, and the network of every address."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; expected an address such as 10.0.0.5, or a network such as 10.0.0.0/24") from None
    if network.prefixlen == 0:
        raise ValueError("from every address anybody could give any name; expected the proxy's own address or network")
    return text


class ReviewSection(Section):
    """Who may decide on the page, and how the page knows them."""

    identity: Literal["none", "header", "registry"] = "none"
    header: str = Field(default="", pattern=r"^[A-Za-z0-9-]*$")
    """Header with the user's name from the reverse proxy, which must remove it from clients' requests."""
    proxies: tuple[Annotated[str, AfterValidator(_proxy)], ...] = ()
    """Addresses and networks from which that header is trusted."""

    @model_validator(mode="after")
    def _header_is_explicit(self) -> Self:
        if (self.identity == "header") != bool(self.header and self.proxies):
            raise ValueError("identity = 'header' needs both 'header' and 'proxies', and nothing else has them")
        return self

    def trusts(self, address: str) -> bool:
        """Tell whether the header is believed from an address."""
        try:
            given = ipaddress.ip_address(address)
        except ValueError:
            return False
        # A socket of both families names an IPv4 client as ::ffff:10.0.0.5.
        same = {given, getattr(given, "ipv4_mapped", None) or given}
        return any(one in ipaddress.ip_network(proxy) for proxy in self.proxies for one in same)


class ServiceFile(Section):
    """The whole file."""

    data: Path
    """The service's own folder: database, files of checks, review log."""
    listen: str = Field(default="127.0.0.1:8200", pattern=r"^[^\s:]+:\d{1,5}$")
    executor: str = Field(default="", max_length=100)
    """Name of this process among several on one database; the same after a restart."""
    audit_log: Path | None = None
    public_keys: tuple[str, ...] = ()
    webhook: WebhookSection = WebhookSection()
    registry: RegistrySection = RegistrySection()
    work: WorkSection = WorkSection()
    watch: WatchSection = WatchSection()
    review: ReviewSection = ReviewSection()
    models: tuple[ModelSection, ...] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _models_are_distinct(self) -> Self:
        names = [model.name for model in self.models]
        if len(set(names)) != len(names):
            raise ValueError("a registered model is configured twice")
        if set(names) & {model.production for model in self.models}:
            raise ValueError("a production model cannot be a candidate too")
        if shared := _shared(self.models):
            one, other, production = shared
            raise ValueError(
                f"{one!r} and {other!r} are both promoted into {production!r}, whose versions are guarded and scanned "
                "again by the policy of one candidate model; expected a production model for each"
            )
        return self


def _shared(models: tuple[ModelSection, ...]) -> tuple[str, str, str] | None:
    """Return two candidate models with the same production model, and its name; None where there are none."""
    first: dict[str, str] = {}
    for model in models:
        if model.production is not None and first.setdefault(model.production, model.name) != model.name:
            return first[model.production], model.name, model.production
    return None


@dataclass(frozen=True)
class Settings:
    """The file with its paths made absolute, and the secrets from the environment."""

    file: ServiceFile
    secrets: tuple[str, ...] = field(repr=False)
    """Webhook secrets, the newest first: more than one while they are being changed."""
    database: str = field(repr=False)
    metrics_token: str = field(default="", repr=False)
    probe_seed: str | None = field(default=None, repr=False)
    """Seed of the secret probes of every check."""

    @property
    def several_hosts(self) -> bool:
        """Whether other processes may share the database."""
        return self.database.startswith("postgresql")

    @property
    def executor(self) -> str:
        """Name of this process on its database."""
        return self.file.executor or (socket.gethostname() if self.several_hosts else "local")

    def model(self, name: str) -> ModelSection | None:
        """Return what is configured for a candidate model."""
        return next((model for model in self.file.models if model.name == name), None)

    def section(self, name: str) -> ModelSection:
        """Return what is configured for a candidate model; one that is not configured is a `UsageError`."""
        section = self.model(name)
        if section is None:
            raise UsageError(f"the registered model {name!r} is not configured")
        return section

    def scan(self, *, allow_code: bool = False) -> ScanSettings:
        """Return the settings of a scan."""
        work = self.file.work
        seed = self.probe_seed
        return ScanSettings(allow_code=allow_code, memory_gib=work.memory_gib, threads=work.threads, probe_seed=seed)

    @property
    def audit_log(self) -> Path:
        """Path of the review log."""
        return self.file.audit_log or self.file.data / "reviews.jsonl"


def read_settings(path: Path) -> Settings:
    """Read the configuration; a fault is a `UsageError` that names the key."""
    text = ""
    try:
        text = read_bounded(path, limit=1 << 20).decode()
        file = ServiceFile.model_validate(tomllib.loads(text))
    except (MalformedError, tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"the configuration {path} cannot be read: {error}", what_to_do=_SEE) from None
    except ValidationError as error:
        raise UsageError(f"the configuration {path}: {fault(error, text, ServiceFile)}", what_to_do=_SEE) from None
    file = _absolute(file, path.resolve().parent)
    secrets = tuple(os.environ.get(SECRET, "").split())
    if not secrets:
        raise UsageError(
            f"no webhook secret is set, so that no delivery could be believed; expected {SECRET}",
            what_to_do="Give the registry's webhook the same secret. While it is being changed: both, with a space.",
        )
    database = os.environ.get(DATABASE) or f"sqlite:///{file.data / 'gate.db'}"
    if not database.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        raise UsageError(f"{DATABASE} names another database than SQLite or PostgreSQL")
    seed = os.environ.get("GATE_PROBE_SEED")
    probe_seed = read_probe_seed(seed) if seed else None
    return Settings(file, secrets, database, os.environ.get("GATE_METRICS_TOKEN", ""), probe_seed)


def _absolute(file: ServiceFile, base: Path) -> ServiceFile:
    models = tuple(
        model.model_copy(
            update={
                "policy": base / policy_at(model.policy),
                "bank": base / model.bank if model.bank else None,
                "samples": _at(base, model.samples),
                "base": _at(base, model.base),
            }
        )
        for model in file.models
    )
    log = base / file.audit_log if file.audit_log else None
    keys = tuple(key if "-----BEGIN" in key else str(base / key) for key in file.public_keys)
    return file.model_copy(update={"data": base / file.data, "audit_log": log, "models": models, "public_keys": keys})


def _at(base: Path, named: str | None) -> str | None:
    """Return a path of the configuration made absolute; an address as it is."""
    return str(base / named) if named and ":/" not in named else named
