"""What came of a step, as plain JSON: steps raise nothing, so that a replay decides as the first run did."""

import logging
from collections.abc import Callable
from typing import Any, Literal

from gate.records.errors import GateError, RegistryError, UnknownVersionError, UsageError
from gate.service.jobs import ChangedError
from gate.service.logs import log

StepResult = dict[str, Any]


def outcome_of(result: StepResult) -> Literal["approved", "flagged", "gone", "changed", "failed", "unfinished"]:
    """Return how a check ended: `failed` is final, `unfinished` (the registry's silence) is left to the next poll."""
    if result["kind"] == "done":
        return "approved" if result["value"] == "approved" else "flagged"
    return "unfinished" if result["kind"] == "registry" else result["kind"]


def result_of(run: Callable[[], Any]) -> StepResult:
    """Return what came of a call as data: done, gone, changed, registry (to be tried again) or failed (here)."""
    try:
        return {"kind": "done", "value": run()}
    except UnknownVersionError as error:
        return {"kind": "gone", "value": str(error)[:2000]}
    except ChangedError as error:
        return {"kind": "changed", "value": str(error)[:2000]}
    except RegistryError as error:
        return {"kind": "registry", "value": str(error)[:2000]}
    except GateError as error:
        # What is wrong with the configuration says nothing of the version: it is left as it is.
        return {"kind": "failed", "value": str(error)[:2000], "unmarked": isinstance(error, UsageError)}
    except Exception as error:  # noqa: BLE001  # whatever it is, the other checks go on
        log("a step failed", level=logging.ERROR, why=f"{type(error).__name__}: {str(error)[:500]}")
        return {"kind": "failed", "value": f"{type(error).__name__}: {str(error)[:500]}"}
