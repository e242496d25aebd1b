"""The MLflow registry as the service watches it: stages, which fire no webhook, and taking a version out of one."""

from collections.abc import Sequence

from gate.records.artifact import ModelRef
from gate.registries.contract import WEBHOOK_EVENTS, RegisteredWebhook
from gate.registries.mlflow_production import MlflowProduction

ARCHIVED = "Archived"
_WEBHOOK = "gate"
_WEBHOOK_MEANS = "Tells `gate serve` of new versions and moved aliases."
_PAGE, _MOST_PAGES = 100, 20
_MOST_SAID = 300


class MlflowWatched(MlflowProduction):
    """Registered models whose stages are looked at too."""

    def staged(self, name: str, stages: Sequence[str]) -> list[tuple[ModelRef, str]]:
        """Return the versions of a model that are in one of the stages now."""
        with self._errors(f"the stages of {name!r}"):
            found = self._client.search_model_versions(f"name = '{name.replace(chr(39), chr(39) * 2)}'")
        return [
            (ModelRef(registry="mlflow", name=str(one.name), version=str(one.version)), str(one.current_stage))
            for one in found
            if str(one.current_stage) in stages
        ]

    def register_webhook(self, url: str, secret: str) -> RegisteredWebhook:
        """Make MLflow's webhook for an address, or set the one that has it right, and send its test delivery."""
        with self._errors(f"the webhook for {url}"):
            given = {"name": _WEBHOOK, "url": url, "events": list(WEBHOOK_EVENTS), "secret": secret, "status": "ACTIVE"}
            known = self._webhook_of(url)
            if known is None:
                made = self._client.create_webhook(description=_WEBHOOK_MEANS, **given)
            else:
                made = self._client.update_webhook(known, **given)
            tried = self._client.test_webhook(made.webhook_id, WEBHOOK_EVENTS[0])
        status = f"{tried.response_status} " if tried.response_status else ""
        said = f"{status}{tried.error_message or tried.response_body or ''}".strip()
        return RegisteredWebhook(str(made.webhook_id), known is None, bool(tried.success), said[:_MOST_SAID])

    def _webhook_of(self, url: str) -> str | None:
        """Return the id of the webhook that has an address."""
        token = None
        for _ in range(_MOST_PAGES):
            page = self._client.list_webhooks(max_results=_PAGE, page_token=token)
            found = next((str(one.webhook_id) for one in page if one.url == url), None)
            if found is not None or not page.token:
                return found
            token = page.token
        return None

    def archive(self, ref: ModelRef) -> None:
        """Take a version out of its stage."""
        import warnings  # noqa: PLC0415  # with its only use

        with self._errors(f"the stage of {ref}"), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # MLflow deprecates stages, and people still use them
            self._client.transition_model_version_stage(ref.name, ref.version, ARCHIVED)
