"""One host of a fleet as a process: `python -m tests.service.fleet_host REGISTRY FLEET POLICY KEY LOG NAME`.

The registry is a folder, and a scan a pause: how hosts share tasks is what a test is about.
"""

import os
import sys
from pathlib import Path

from gate.attestations.keys import read_signing_key
from gate.attestations.log import ReviewLog
from gate.check.evidence import ScanSettings
from gate.check.rules import read_rules
from gate.check.signing import Signing
from gate.promotion.fleet.folder import open_fleet
from gate.promotion.fleet.status import exit_code, status_of
from gate.promotion.fleet.task import FleetRun
from gate.service.fleets import FleetQueue
from tests.service.standing_registry import FolderRegistry, stand_in_worker


def main(registry, fleet, policy, key, log, name):
    """Take part in the fleet, and end with its exit code."""
    stand_in_worker()
    folder, plan = open_fleet(Path(fleet))
    signing = Signing(read_signing_key(key), ReviewLog(Path(log)))
    rules = read_rules(Path(policy))
    run = FleetRun(
        FolderRegistry(registry), folder, plan, rules, ScanSettings(), marks=True, signing=signing, tell=_tell
    )
    database = os.environ["GATE_DATABASE_URL"]
    FleetQueue(run, plan.tasks, database, name, workers=1, until=None, publish=lambda: None).work()
    return exit_code(status_of(folder, plan))


def _tell(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
