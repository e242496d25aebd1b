"""The contract of a registry, which holds versions and gets the marks of decisions.

Every method raises `RegistryError` (exit 3) without an answer, and `UnknownVersionError` without such a version.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from gate.records.artifact import ModelRef
from gate.records.logins import remember


@dataclass(frozen=True)
class RegistrySettings:
    """The registry's addresses, its timeouts, and the gate's own experiment, which holds reports and bundles."""

    tracking_uri: str | None = None
    registry_uri: str | None = None
    timeout_seconds: int = 30
    retries: int = 3
    experiment: str = "gate"

    def __post_init__(self) -> None:
        """Remember the addresses' logins, which no error and no log may show."""
        remember(self.tracking_uri, self.registry_uri)


@dataclass(frozen=True)
class VersionFacts:
    """A version's description and tags, and those of its model: candidate-controlled, shown and never relied on."""

    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    model_tags: Mapping[str, str] = field(default_factory=dict)


class Registry(Protocol):
    """A place that holds model versions; `marks` where decisions can be written back."""

    marks: bool

    def allowing(self, stores: Sequence[str]) -> Self:
        """Return the same registry with the policy's list of stores from which it may download."""

    def resolve(self, uri: str) -> ModelRef:
        """Return the one version that a URI names now; an alias is looked up once, here."""

    def facts(self, ref: ModelRef) -> VersionFacts:
        """Return description and tags."""

    def versions(self, name: str) -> tuple[tuple[ModelRef, Mapping[str, str]], ...]:
        """Return every version of a registered model with its tags, the oldest first."""

    def pull(self, ref: ModelRef, to: Path) -> None:
        """Copy the version's files into the empty directory `to`; other stores are a `RefusedAddressError`."""

    def fetch(self, uri: str, to: Path) -> Path:
        """Copy another artifact, such as samples, below `to` and return its path; a path on disk is the operator's."""

    def training_set(self, ref: ModelRef, to: Path) -> tuple[str, Path] | None:
        """Copy the training set that the version's run logged below `to`; return its URI and path, None without one."""

    def log_reports(self, ref: ModelRef, folder: Path, key: str) -> str:
        """Store the report files as artifacts of the gate's own, once per `key`, and return their URI."""

    def keep_bundle(self, folder: Path, digest: str, days: int | None = None) -> str:
        """Store a bundle's files as artifacts of the gate's own, once per digest, and return their URI for `fetch`.

        It is kept for the longest of the requested days, or for ever. An interrupted call is completed; a kept bundle
        is read back before it is believed, and counts as used today.
        """

    def bundle_places(self, digest: str) -> tuple[str, ...]:
        """Return the URIs that claim to hold a bundle, at least one, the newest first; the caller checks the digest."""

    def drop_bundles(self, before: dt.date) -> int:
        """Delete bundles that no check has used since a day and no policy keeps any more; return how many."""

    def require_marking(self, ref: ModelRef) -> None:
        """Raise `RegistryError` unless this account may mark the version and log reports, as far as a try can tell."""

    def mark(self, ref: ModelRef, tags: Mapping[str, str]) -> None:
        """Set tags on the version, in the order given."""


@dataclass(frozen=True)
class User:
    """The registry's user with some credentials."""

    name: str
    admin: bool


@dataclass(frozen=True)
class Credentials:
    """A user name and a password for the registry, other than the gate's own."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class StoreUse:
    """A store of versions or experiments, and some of those that use it."""

    store: str
    """Address, without secrets."""
    used_by: tuple[str, ...]
    allowed: bool
    line: str = ""
    """Line of the policy that would allow it; empty where none can."""
    default: bool = False
    """The server's own store, of the experiment that every server begins with."""


WEBHOOK_EVENTS = ("model_version.created", "model_version_alias.created")
"""Events for the gate's service, by MLflow's names."""


@dataclass(frozen=True)
class RegisteredWebhook:
    """A webhook of the registry, and the result of its trial delivery."""

    id: str
    new: bool
    """Made now; otherwise the webhook with that address got the secret and the events."""
    delivered: bool
    answer: str
    """The service's answer, or the reason why it could not be reached."""


class ProductionRegistry(Registry, Protocol):
    """A registry in which the gate also owns what is in production."""

    def stores(self, model: str | None) -> list[StoreUse]:
        """Return the stores that experiments and versions, of one registered model or of all, use."""

    def server_version(self) -> str | None:
        """Return the tracking server's version; None for an embedded store."""

    def lacks(self) -> tuple[str, ...]:
        """Return the features that the gate can use and this server lacks, a sentence each."""

    def user(self, credentials: Credentials | None = None) -> User | None:
        """Return the user of the credentials, or of the gate's own; None without authentication."""

    def clock(self) -> dt.datetime | None:
        """Return the tracking server's time; None for an embedded store, or where the server does not say."""

    def exists(self, name: str) -> bool:
        """Tell whether a registered model exists."""

    def may_edit(self, user: User, model: str, credentials: Credentials | None = None) -> bool:
        """Tell whether a user may change a registered model or its versions."""

    def log_model(self, folder: Path, key: str, title: str = "promoted") -> str:
        """Store the folder's files as a model of the gate's own, once per `key`, and return its source."""

    def promoted(self, name: str, key: str) -> ModelRef | None:
        """Return the version of a production model that an earlier promotion with this key made."""

    def create_version(self, name: str, source: str, tags: Mapping[str, str]) -> ModelRef:
        """Make a version of a production model, and the model itself if it does not exist yet."""

    def alias(self, name: str, alias: str) -> ModelRef | None:
        """Return the version that an alias names now; None where there is no such alias or model."""

    def aliases(self, name: str) -> Mapping[str, ModelRef]:
        """Return every alias of a registered model and the version that it names."""

    def set_alias(self, ref: ModelRef, alias: str) -> None:
        """Point an alias of the version's model to it."""

    def find_versions(
        self, name: str | None, tags: Mapping[str, str], most: int | None = None
    ) -> list[tuple[ModelRef, VersionFacts]]:
        """Return the versions, of one registered model or of all, that carry certain tags, newest first.

        `most` bounds how many are asked for.
        """

    def staged(self, name: str, stages: Sequence[str]) -> list[tuple[ModelRef, str]]:
        """Return the versions of a model that are in one of the stages now."""

    def register_webhook(self, url: str, secret: str) -> RegisteredWebhook:
        """Make the registry send versions and aliases to an address, once per address, and try a delivery."""

    def archive(self, ref: ModelRef) -> None:
        """Take a version out of its stage."""
