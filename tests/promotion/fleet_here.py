"""A fleet in the test's own process: a registry in a folder, and workers that are calls."""

import datetime as dt

from gate.check.evidence import ScanSettings
from gate.check.rules import read_rules
from gate.promotion.fleet.choose import Choice
from gate.promotion.fleet.folder import FleetFolder
from gate.promotion.fleet.local import work
from gate.promotion.fleet.plan import PlanRequest, make_plan
from gate.promotion.fleet.task import FleetRun
from gate.promotion.verification import now
from tests.promotion.fleets import POLICY
from tests.service.standing_registry import FolderRegistry
from tests.stand_ins.workers_here import workers_here


class FleetHere:
    """A folder with a registry, a policy and a fleet."""

    def __init__(self, root, policy=POLICY, samples=None):
        self.root, self.registry = root, FolderRegistry(root / "registry")
        (root / "policy.yml").write_text(policy)
        self.rules = read_rules(root / "policy.yml", str(samples) if samples else None)
        self.folder = FleetFolder(root / "fleet")
        self.told = []

    def plan(self, *, registry=None, rules=None, settings=None, address="sqlite:///registry.db", **choice):
        """Plan, and return the plan."""
        made = PlanRequest(self.folder, rules or self.rules, settings or ScanSettings(), Choice(**choice), address)
        with workers_here():
            return make_plan(registry or self.registry, made, now(), self.told.append)

    def run_of(self, plan=None, *, registry=None, **how):
        """Return what works on a plan."""
        plan = plan or self.folder.plan()
        settings = ScanSettings(device="cpu", threads=1)
        return FleetRun(
            registry or self.registry, self.folder, plan, self.rules, settings, tell=self.told.append, **how
        )

    def work(self, plan=None, **how):
        """Do what is left of a plan, and return its results by the first version's URI."""
        run = self.run_of(plan, **how)
        with workers_here():
            work(run, run.plan.tasks, pause=lambda _seconds: None)
        return self.results(run.plan)

    def results(self, plan=None):
        """Return results by the first version's URI."""
        found = [self.folder.result(task.key) for task in (plan or self.folder.plan()).tasks]
        return {result.version: result for result in found if result is not None}

    def age(self, key, days):
        """Let a result be so many days older."""
        result = self.folder.result(key)
        self.folder.keep(result.model_copy(update={"decided_at": result.decided_at - dt.timedelta(days=days)}))
