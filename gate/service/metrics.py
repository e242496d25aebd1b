"""Prometheus metrics of the service; no label's value comes from a request, a registry or a candidate.

Outcomes, kinds, steps and queues are the gate's own words, detectors and rules are those of the operator's policies,
and names of policies are counted up to `MOST_POLICIES`. docs/reference/metrics.md is made from this file.
"""

import threading

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gate import VERSION

REGISTRY = CollectorRegistry()
MOST_POLICIES = 100
"""Most names of policies that have series of their own; later ones are counted as `OTHER`."""
OTHER = "(other)"

BUILD = Gauge("gate_build_info", "Always 1; the label says which gate runs.", ["version"], registry=REGISTRY)
BUILD.labels(VERSION).set(1)

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
FAILURES = Counter(
    "gate_step_failures_total",
    "Steps that ended without a result, after every attempt, by what stood in the way.",
    ["step", "kind"],
    registry=REGISTRY,
)
VERDICTS = Counter(
    "gate_verdicts_total", "Published verdicts by policy and decision.", ["policy", "decision"], registry=REGISTRY
)
REASONS = Counter(
    "gate_verdict_reasons_total",
    "Published verdicts that hold such a finding without a waiver: its kind, and the detector or condition it is of.",
    ["policy", "kind", "rule"],
    registry=REGISTRY,
)
DETECTORS = Counter(
    "gate_detector_outcomes_total",
    "What became of each detector of the policy in published verdicts.",
    ["detector", "status"],
    registry=REGISTRY,
)
DETECTOR_SECONDS = Histogram(
    "gate_detector_seconds",
    "Seconds that a detector measured or failed for, as its worker told them, in published verdicts.",
    ["detector"],
    buckets=(0.1, 1, 5, 15, 60, 300, 900, 3600, 14400),
    registry=REGISTRY,
)
DEPTH = Gauge(
    "gate_queue_depth", "Pieces of work in the database, on all hosts together.", ["queue", "state"], registry=REGISTRY
)
OLDEST = Gauge(
    "gate_queue_oldest_seconds", "Age of the oldest piece of work that waits or runs.", ["queue"], registry=REGISTRY
)
DEPTH_READ = Gauge(
    "gate_queue_read_timestamp_seconds", "When depth and age were last read from the database.", registry=REGISTRY
)
REVERTED = Counter(
    "gate_protected_changes_total", "Unapproved changes of what is protected.", ["what", "outcome"], registry=REGISTRY
)
ALERTS = Counter("gate_alerts_total", "Alerts by kind.", ["kind"], registry=REGISTRY)
POLLED = Gauge("gate_last_poll_timestamp_seconds", "When the registry was last looked through.", registry=REGISTRY)
POLL_FAILURES = Counter("gate_poll_failures_total", "Polls that the registry did not answer.", registry=REGISTRY)

_named: set[str] = set()
_naming = threading.Lock()


def policy_label(name: str) -> str:
    """Return the label of a policy: its name, or `OTHER` once so many others have been seen."""
    with _naming:
        if name not in _named and len(_named) >= MOST_POLICIES:
            return OTHER
        _named.add(name)
        return name
