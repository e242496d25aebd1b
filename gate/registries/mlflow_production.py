"""The MLflow registry for promotion and the service: identities, the gate's own copies, versions in production.

Every step can be repeated: an interrupted promotion's parts are found again by its key, or are orphans. Stages, which
fire no webhook, are only read, or left by `archive`.
"""

import datetime as dt
import warnings
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from typing import Any

from gate.records.activity import doing
from gate.records.artifact import ModelRef
from gate.records.errors import UnknownVersionError
from gate.registries.contract import WEBHOOK_EVENTS, Credentials, RegisteredWebhook, StoreUse, User, VersionFacts
from gate.registries.mlflow import MlflowRegistry
from gate.registries.mlflow_rights import Ask, current_user, get, may_edit
from gate.registries.mlflow_survey import missing_accounts, missing_features, stores_in_use
from gate.registries.mlflow_versions import MADE_LAST, reference, search_all

PROMOTION_TAG = "gate.promotion"
_WEBHOOKS, _MOST_PAGES = 100, 20


class MlflowProduction(MlflowRegistry):
    """Registered models behind an MLflow server, some of which are the gate's own."""

    def stores(self, model: str | None) -> list[StoreUse]:
        """Return the stores that experiments and versions use, those that are not allowed first."""
        with self._errors("the stores in use"):
            return stores_in_use(self, self._client, model)

    def server_version(self) -> str | None:
        """Return the tracking server's version; None for an embedded store."""
        answer = self._asked_version()
        return str(answer.text).strip()[:40] if answer is not None else None

    def clock(self) -> dt.datetime | None:
        """Return the date of the server's answer, to the second."""
        answer = self._asked_version()
        try:
            date = parsedate_to_datetime(str(answer.headers.get("Date", ""))) if answer is not None else None
        except ValueError:
            return None
        return date.astimezone(dt.UTC) if date is not None and date.tzinfo is not None else None

    def _asked_version(self) -> Any:
        """Return the tracking server's answer to `/version`; None for an embedded store."""
        if not str(self._tracking_uri).startswith("http"):
            return None
        from mlflow.utils.credentials import get_default_host_creds  # noqa: PLC0415
        from mlflow.utils.rest_utils import http_request  # noqa: PLC0415

        with self._errors("the server's version"):
            answer = http_request(get_default_host_creds(str(self._tracking_uri)), "/version", "GET")
            answer.raise_for_status()
            return answer

    def exists(self, name: str) -> bool:
        """Tell whether a registered model exists."""
        try:
            with self._errors(f"the registered model {name!r}"):
                self._client.get_registered_model(name)
        except UnknownVersionError:
            return False
        return True

    def lacks(self) -> tuple[str, ...]:
        """Return the features that the gate can use and this server lacks, a sentence each."""
        return (*missing_features(self.server_version() or ""), *missing_accounts(self))

    def user(self, credentials: Credentials | None = None) -> User | None:
        """Return the user of the credentials, or of the gate's own; None without authentication."""
        return current_user(self._ask(credentials))

    def may_edit(self, user: User, model: str, credentials: Credentials | None = None) -> bool:
        """Tell whether a user holds EDIT or MANAGE on a registered model or its versions, or is an administrator."""
        return may_edit(self._ask(credentials), user, model)

    def _ask(self, credentials: Credentials | None) -> Ask:
        def ask(path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
            with self._errors(path):
                return get(str(self._registry_uri), credentials, path, query)

        return ask

    def log_model(self, folder: Path, key: str, title: str = "promoted") -> str:
        """Store a folder as a logged model of the gate's experiment; a finished one of the same key is found again."""
        with self._errors("the gate's own copy"):
            experiment = self._experiment()
            found = self._client.search_logged_models(
                [experiment], filter_string=f"tags.`{PROMOTION_TAG}` = '{key}'", max_results=10
            )
            ready = [model for model in found if str(model.status) == "READY"]
            if ready:
                return f"models:/{ready[0].model_id}"
            logged = self._client.create_logged_model(experiment, name=title, tags={PROMOTION_TAG: key})
            with doing("storing the bundle for production"):
                self._upload(logged.artifact_location, folder)
            self._client.finalize_logged_model(logged.model_id, "READY")
        return f"models:/{logged.model_id}"

    def promoted(self, name: str, key: str) -> ModelRef | None:
        """Return the newest version that a promotion with this key made, if there is one."""
        found = self.find_versions(name, {PROMOTION_TAG: key})
        return found[0][0] if found else None

    def create_version(self, name: str, source: str, tags: Mapping[str, str]) -> ModelRef:
        """Make a version from a source, and the registered model at its first version."""
        with self._errors(f"a version of {name!r}"):
            try:
                self._client.get_registered_model(name)
            except Exception as error:  # only an unknown model is made
                if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
                    raise
                self._client.create_registered_model(name, description="Written by the gate's promotions alone.")
            model_id = source.rsplit("/", maxsplit=1)[-1]
            made = self._client.create_model_version(name, source, model_id=model_id, tags=dict(tags))
        return reference(made)

    def alias(self, name: str, alias: str) -> ModelRef | None:
        """Return the version that an alias names now."""
        try:
            with self._errors(f"{name}@{alias}"):
                found = self._client.get_model_version_by_alias(name, alias)
        except UnknownVersionError:
            return None
        return reference(found)

    def aliases(self, name: str) -> Mapping[str, ModelRef]:
        """Return every alias of a registered model and the version that it names."""
        with self._errors(f"the registered model {name!r}"):
            found = dict(self._client.get_registered_model(name).aliases)
        return {alias: ModelRef(registry="mlflow", name=name, version=str(v)) for alias, v in found.items()}

    def set_alias(self, ref: ModelRef, alias: str) -> None:
        """Point an alias of the version's model to it."""
        with self._errors(f"the alias {alias!r} of {ref.name!r}"):
            self._client.set_registered_model_alias(ref.name, alias, str(ref.version))

    def find_versions(
        self, name: str | None, tags: Mapping[str, str], most: int | None = None
    ) -> list[tuple[ModelRef, VersionFacts]]:
        """Return versions that carry certain tags, newest first, at most `most` of them."""
        with self._errors(f"the versions of {name!r}" if name else "the versions"):
            found = list(islice(search_all(self._client, name, tags, MADE_LAST, "name ASC"), most))
        return [(reference(one), VersionFacts(one.description or "", dict(one.tags))) for one in found]

    def staged(self, name: str, stages: Sequence[str]) -> list[tuple[ModelRef, str]]:
        """Return the versions of a model that are in one of the stages now."""
        with self._errors(f"the stages of {name!r}"):
            found = [one for one in search_all(self._client, name, {}) if str(one.current_stage) in stages]
        return [(reference(one), str(one.current_stage)) for one in found]

    def register_webhook(self, url: str, secret: str) -> RegisteredWebhook:
        """Make MLflow's webhook for an address, or set the one that has it right, and send its test delivery."""
        with self._errors(f"the webhook for {url}"):
            given = {"name": "gate", "url": url, "events": list(WEBHOOK_EVENTS), "secret": secret, "status": "ACTIVE"}
            known = self._webhook_of(url)
            if known is None:
                means = "Tells `gate serve` of new versions and moved aliases."
                made = self._client.create_webhook(description=means, **given)
            else:
                made = self._client.update_webhook(known, **given)
            tried = self._client.test_webhook(made.webhook_id, WEBHOOK_EVENTS[0])
        status = f"{tried.response_status} " if tried.response_status else ""
        answer = f"{status}{tried.error_message or tried.response_body or ''}".strip()
        return RegisteredWebhook(str(made.webhook_id), known is None, bool(tried.success), answer[:300])

    def _webhook_of(self, url: str) -> str | None:
        token = None
        for _ in range(_MOST_PAGES):
            page = self._client.list_webhooks(max_results=_WEBHOOKS, page_token=token)
            found = next((str(one.webhook_id) for one in page if one.url == url), None)
            if found is not None or not page.token:
                return found
            token = page.token
        return None

    def archive(self, ref: ModelRef) -> None:
        """Take a version out of its stage."""
        with self._errors(f"the stage of {ref}"), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # MLflow deprecates stages, which are still in use
            self._client.transition_model_version_stage(ref.name, ref.version, "Archived")
