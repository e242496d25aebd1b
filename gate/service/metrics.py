"""Prometheus metrics of the service; label values come from fixed sets, never from a request."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

DELIVERIES = Counter(
    "gate_webhook_deliveries_total", "Webhook deliveries by what became of them.", ["outcome"], registry=REGISTRY
)
ANSWER_SECONDS = Histogram(
    "gate_webhook_answer_seconds",
    "Seconds from a delivery's headers to its answer, queueing included.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
    registry=REGISTRY,
)
CHECKS = Counter("gate_checks_total", "Finished checks by outcome.", ["outcome"], registry=REGISTRY)
CHECK_SECONDS = Histogram(
    "gate_check_seconds",
    "Seconds from a check's first step to its end.",
    buckets=(1, 5, 15, 60, 300, 900, 3600, 14400),
    registry=REGISTRY,
)
RETRIES = Counter("gate_check_retries_total", "Attempts that failed and were tried again.", ["kind"], registry=REGISTRY)
WAITING = Gauge("gate_checks_waiting", "Checks that are queued or running.", registry=REGISTRY)
REVERTED = Counter(
    "gate_protected_changes_total", "Unapproved changes of what is protected.", ["what", "outcome"], registry=REGISTRY
)
ALERTS = Counter("gate_alerts_total", "Alerts by kind.", ["kind"], registry=REGISTRY)
POLLED = Gauge("gate_last_poll_timestamp_seconds", "When the registry was last looked through.", registry=REGISTRY)
POLL_FAILURES = Counter("gate_poll_failures_total", "Polls that the registry did not answer.", registry=REGISTRY)
