"""Registries, samples, policies, and the stories that many tests look at.

A story is what a few commands came to, and takes seconds to minutes. A test names it with the marker `story`, or with
`short_story` where it belongs to the quick suite; the first test that asks for `told` has it told, for all of them.
"""

from contextlib import ExitStack
from functools import cached_property
from itertools import count

import pytest
import yaml

from gate import detectors
from gate.policies.packaged import DEFAULT
from tests.e2e.command import Desk, SameProcess
from tests.e2e.stores import Store, fill, serving
from tests.quick import quick

QUICK = {"steps": 20, "starts": 2, "batch": 8, "clean_samples": 200, "triggers": 4, "pictured": 1}
"""Options of the recommended policy's detectors of behaviour, where they have them."""


class World:
    """Everything that a story may use, made when it is first asked for, and what the told ones came to."""

    def __init__(self, folder, closing):
        self.folder, self._closing, self._desks, self._told = folder, closing, count(1), {}

    @cached_property
    def samples(self):
        """The folder of good and bad samples."""
        from tests.e2e.digits import write_samples

        folder = self.folder / "samples"
        folder.mkdir()
        write_samples(folder)
        return folder

    @cached_property
    def embedded(self):
        """A registry in SQLite and a folder, with every kind of model."""
        folder = self.folder / "embedded"
        folder.mkdir()
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        return Store(uri, folder, fill(uri, folder))

    @cached_property
    def server(self):
        """A real server on loopback, with a clean and a backdoored model."""
        folder = self.folder / "server"
        folder.mkdir()
        uri, _ = self._closing.enter_context(serving(folder))
        return Store(uri, folder, fill(uri, folder, "clean", "backdoored"))

    def policy(self, name="quick", **changes):
        """Return a policy file: the recommended one with a search that takes seconds, or `long`, which takes many."""
        return write_policy(self.folder / f"{name}-{next(self._desks)}.yml", name, **changes)

    def desk(self, kind=Desk, **variables):
        """Return a fresh working directory, with the quick policy and the good samples set."""
        folder = self.folder / f"desk-{next(self._desks)}"
        folder.mkdir()
        settings = {"GATE_POLICY": self.policy(), "GATE_SAMPLES": self.samples / "clean.npz"}
        return kind(folder, settings | variables)

    def desk_here(self, **variables):
        """Return such a directory whose commands and workers run in this process."""
        return self.desk(SameProcess, **variables)

    def tell(self, story, *arguments):
        """Return what a story comes to; each is told once."""
        if (story, arguments) not in self._told:
            self._told[story, arguments] = story(self, *arguments)
        return self._told[story, arguments]


def write_policy(path, name="quick", **changes):
    """Write a policy derived from the recommended one."""
    policy = yaml.safe_load(DEFAULT.read_text())
    policy["name"] = name
    rules = policy["detectors"]
    search = {
        "quick": {"steps": 50, "batch": 16},
        # No class leaves this one early, so that a fast machine takes minutes for it too.
        "long": {"steps": 10_000, "batch": 64, "settled-after": None, "hopeless-after": None},
    }[name]
    for detector, rule in rules.items():
        if detectors.load(detector).looks_at == "behaviour":
            rule["options"] = rule.get("options", {}) | quick(detector, **QUICK)
    rules["neural-cleanse"]["options"] |= search
    path.write_text(yaml.safe_dump(policy | changes, sort_keys=False))
    return path


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Return what the stories share; servers end with the session."""
    with ExitStack() as closing:
        yield World(tmp_path_factory.mktemp("e2e"), closing)


@pytest.fixture
def told(request, world):
    """Return what the test's story came to."""
    mark = request.node.get_closest_marker("short_story") or request.node.get_closest_marker("story")
    return world.tell(*mark.args)
