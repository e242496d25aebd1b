"""MLflow's webhook signature: the sender's secret over delivery id, timestamp and the body's bytes, unparsed."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

DELIVERY_ID, TIMESTAMP, SIGNATURE = "x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"
_SKEW_SECONDS = 60
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


class RefusedDeliveryError(Exception):
    """A delivery that is refused; `reason` is one word for metrics and logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def sign_delivery(secret: str, delivery: str, timestamp: str, body: bytes) -> str:
    """Return the header's value: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def authenticate(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float, most_age: int) -> str:
    """Return the delivery's id if a trusted secret signed it recently; raise `RefusedDeliveryError` otherwise.

    Comparison takes the same time for any signature and any secret.
    """
    delivery, timestamp, given = (headers.get(name, "") for name in (DELIVERY_ID, TIMESTAMP, SIGNATURE))
    if not given or not delivery or not timestamp:
        raise RefusedDeliveryError("unsigned")
    matches = [
        hmac.compare_digest(sign_delivery(secret, delivery, timestamp, body).encode(), given.encode())
        for secret in secrets
    ]
    if not any(matches):
        raise RefusedDeliveryError("forged")
    if not _ID.fullmatch(delivery) or not re.fullmatch(r"\d{1,12}", timestamp, re.ASCII):
        raise RefusedDeliveryError("malformed")
    age = now - int(timestamp)
    if age > most_age or age < -_SKEW_SECONDS:
        raise RefusedDeliveryError("stale")
    return delivery
