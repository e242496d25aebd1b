"""A fleet as an Indexed Job of Kubernetes: each index does one part of the plan, on a volume that all pods share.

The gate's exit codes decide what becomes of an index. A verdict that flags ends it without another try, a mistake of
the operator ends the whole job, and what could not finish is tried again. A pod that is evicted costs no try.
"""

import posixpath
import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from gate.policies.packaged import NAMES
from gate.records.errors import UsageError
from gate.records.fleet import FleetPlan, FleetRules

MOUNT: Final = "/fleet"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9./:_-]{1,300}@sha256:[0-9a-f]{64}")
_OF_A_FILE = re.compile(r"file:(//(localhost)?)?(?=/)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?!file:)[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
_USER: Final = 65532
"""The image's own user."""
_FLAGGED, _MISTAKE = 1, 2
_AGAIN: Final = (3, 129, 130, 137, 143)
"""Exit codes after which an index is tried again: not finished, or ended by a signal (137: killed, by memory too)."""


@dataclass(frozen=True)
class Deployment:
    """What a job's manifest is made of, beside the plan."""

    name: str
    image: str
    """By digest: a tag may name other code tomorrow."""
    claim: str
    """The volume claim, to be mounted by many nodes, on whose root the plan lies."""
    indexes: int
    parallel: int
    memory_gib: int
    tries: int = 3
    secret: str = ""
    """Secret with the registry's variables."""
    queue: str = ""
    """Kueue's local queue, which starts the job."""
    marks: bool = False


def job_text(plan: FleetPlan, wanted: Deployment) -> str:
    """Return the manifest as YAML; a plan that pods could not read is a `UsageError`."""
    _require_names(wanted)
    _require_reachable(plan.rules)
    head = f"# {len(plan.tasks)} tasks in {wanted.indexes} indexes; plan.json lies on the root of the claim.\n"
    return head + yaml.safe_dump(job(wanted), sort_keys=False)


def job(wanted: Deployment) -> dict[str, Any]:
    """Return the manifest as a mapping."""
    labels = {"app.kubernetes.io/name": "gate-fleet"}
    queued = {"kueue.x-k8s.io/queue-name": wanted.queue} if wanted.queue else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": wanted.name, "labels": {**labels, **queued}},
        "spec": {
            **({"suspend": True} if wanted.queue else {}),
            "completionMode": "Indexed",
            "completions": wanted.indexes,
            "parallelism": min(wanted.parallel, wanted.indexes),
            "backoffLimitPerIndex": wanted.tries,
            "maxFailedIndexes": wanted.indexes,
            "podFailurePolicy": {"rules": _rules()},
            "template": {"metadata": {"labels": labels}, "spec": _pod(wanted)},
        },
    }


def _rules() -> list[dict[str, Any]]:
    """Return what becomes of an index by its container's exit code; the first rule that fits holds."""

    def ended(action: str, *codes: int) -> dict[str, Any]:
        return {"action": action, "onExitCodes": {"containerName": "gate", "operator": "In", "values": list(codes)}}

    evicted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    return [evicted, ended("FailIndex", _FLAGGED), ended("FailJob", _MISTAKE), ended("Count", *_AGAIN)]


def _pod(wanted: Deployment) -> dict[str, Any]:
    memory = f"{wanted.memory_gib}Gi"
    index = {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}
    shared = ["fleet", "run", MOUNT, "--shard", f"$(INDEX)/{wanted.indexes}"]
    arguments = [*shared, "--workers", "1", "--memory", str(wanted.memory_gib), *(["--mark"] if wanted.marks else [])]
    container = {
        "name": "gate",
        "image": wanted.image,
        "args": arguments,
        "env": [{"name": "INDEX", "valueFrom": {"fieldRef": index}}],
        **({"envFrom": [{"secretRef": {"name": wanted.secret}}]} if wanted.secret else {}),
        "resources": {"requests": {"cpu": "1", "memory": memory}, "limits": {"memory": memory}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "fleet", "mountPath": MOUNT}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": _USER, "fsGroup": _USER},
        "containers": [container],
        "volumes": [
            {"name": "fleet", "persistentVolumeClaim": {"claimName": wanted.claim}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }


def _require_names(wanted: Deployment) -> None:
    for what, name in (("--name", wanted.name), ("--claim", wanted.claim)):
        if not _NAME.fullmatch(name):
            raise UsageError(f"{what} is {name[:80]!r}; expected small letters, digits and hyphens, at most 63")
    for what, name in (("--secret", wanted.secret), ("--kueue", wanted.queue)):
        if name and not _NAME.fullmatch(name):
            raise UsageError(f"{what} is {name[:80]!r}; expected small letters, digits and hyphens, at most 63")
    if not _IMAGE.fullmatch(wanted.image):
        raise UsageError(
            f"--image is {wanted.image[:200]!r}; expected an image by digest, NAME@sha256: and 64 digits",
            what_to_do="A tag may name other code tomorrow, and the job would check by it.",
        )


def _require_reachable(rules: FleetRules) -> None:
    """Refuse a plan that names files of another machine: pods have the claim, and the image."""
    named = {"policy": rules.policy, "samples": rules.samples, "bank": rules.bank, "base": rules.base}
    for what, where in named.items():
        if where is None or where in NAMES or _reachable(where):
            continue
        raise UsageError(
            f"the plan's {what} is {where[:200]!r}, which no pod has; expected a file below {MOUNT}",
            what_to_do=f"Mount the claim at {MOUNT}, put it there, and plan again: gate fleet plan {MOUNT} …",
        )


def _reachable(where: str) -> bool:
    """Tell whether a pod can read what is named so: an address of the network, or a file on the claim."""
    path = posixpath.normpath(_OF_A_FILE.sub("", where, count=1) if _OF_A_FILE.match(where) else where)
    return _ADDRESS.match(where) is not None or path.startswith(f"{MOUNT}/")
