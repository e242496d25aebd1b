"""MLflow's webhook signature: the sender's secret over delivery id, timestamp and the body's bytes as they came.

Pure. A delivery is genuine and fresh, or there is one reason why not; comparison takes the same time whatever differs.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DELIVERY_ID, TIMESTAMP, SIGNATURE = "x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"
_SKEW_SECONDS = 60
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


class RefusedDeliveryError(Exception):
    """A delivery that is not believed; `reason` is one word for metrics and logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Freshness:
    """How old a delivery may be: MLflow sends its retries under the first attempt's timestamp."""

    now: float
    seconds: int


def sign_delivery(secret: str, delivery: str, timestamp: str, body: bytes) -> str:
    """Return the header's value: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def authenticate(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], fresh: Freshness) -> str:
    """Return the delivery's id where a trusted secret signed it lately; raise `RefusedDeliveryError` otherwise."""
    delivery, timestamp, given = (headers.get(name, "") for name in (DELIVERY_ID, TIMESTAMP, SIGNATURE))
    if not given or not delivery or not timestamp:
        raise RefusedDeliveryError("unsigned")
    # Every secret is tried, so that the time tells nothing about which of them is in use.
    matches = [
        hmac.compare_digest(sign_delivery(secret, delivery, timestamp, body).encode(), given.encode())
        for secret in secrets
    ]
    if not any(matches):
        raise RefusedDeliveryError("forged")
    if not _ID.fullmatch(delivery) or not re.fullmatch(r"\d{1,12}", timestamp, re.ASCII):
        raise RefusedDeliveryError("malformed")
    age = fresh.now - int(timestamp)
    if age > fresh.seconds or age < -_SKEW_SECONDS:
        raise RefusedDeliveryError("stale")
    return delivery
