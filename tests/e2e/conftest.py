"""Registries, samples, policies, and the pool in which the commands of many tests run two at a time.

A command takes ten seconds, most of it importing torch and MLflow. So a test names its story with the marker `story`,
and the first test that asks for `told` starts the stories of all selected tests; each then waits for its own alone.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import pytest
import yaml

from gate import detectors
from gate.policies.packaged import DEFAULT
from tests.e2e.command import Desk
from tests.e2e.stores import Store, fill, serving
from tests.quick import quick

_AT_ONCE = 2
QUICK = {"steps": 20, "starts": 2, "batch": 8, "clean_samples": 200, "triggers": 4, "pictured": 1}
"""Options of the recommended policy's detectors of behaviour, where they have them."""


def pytest_configure(config):
    """Declare the marker of this folder."""
    config.addinivalue_line("markers", "story(function, *arguments): what `told` is the outcome of; gets the world")


class _Once:
    """A property made once, by whichever thread asks first; the others wait for it."""

    def __init__(self, make):
        self.make, self.lock, self.__doc__ = make, threading.Lock(), make.__doc__

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, world, owner=None):
        with self.lock:
            if self.name not in world.made:
                world.made[self.name] = self.make(world)
            return world.made[self.name]


class World:
    """Everything that a story may use, made when it is first asked for."""

    def __init__(self, folder, closing):
        self.folder, self.made, self._closing, self._desks = folder, {}, closing, count(1)

    @_Once
    def samples(self):
        """The folder of good and bad samples."""
        from tests.e2e.digits import write_samples

        folder = self.folder / "samples"
        folder.mkdir()
        write_samples(folder)
        return folder

    @_Once
    def embedded(self):
        """A registry in SQLite and a folder, with every kind of model."""
        folder = self.folder / "embedded"
        folder.mkdir()
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        return Store(uri, folder, fill(uri, folder))

    @_Once
    def server(self):
        """A real server on loopback, with a clean and a backdoored model."""
        folder = self.folder / "server"
        folder.mkdir()
        uri, _ = self._closing.enter_context(serving(folder))
        return Store(uri, folder, fill(uri, folder, "clean", "backdoored"))

    def policy(self, name="quick", **changes):
        """Return a policy file: the recommended one with a search that takes seconds, or `long`, which takes many."""
        return write_policy(self.folder / f"{name}-{next(self._desks)}.yml", name, **changes)

    def desk(self, **variables):
        """Return a fresh working directory, with the quick policy and the good samples set."""
        folder = self.folder / f"desk-{next(self._desks)}"
        folder.mkdir()
        settings = {"GATE_POLICY": self.policy(), "GATE_SAMPLES": self.samples / "clean.npz"}
        return Desk(folder, settings | variables)


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
    from contextlib import ExitStack

    with ExitStack() as closing:
        yield World(tmp_path_factory.mktemp("e2e"), closing)


@dataclass(frozen=True)
class _Story:
    function: object
    arguments: tuple

    @classmethod
    def of(cls, item):
        """Return the story that a test is marked with, if it is."""
        marker = item.get_closest_marker("story")
        return cls(marker.args[0], marker.args[1:]) if marker else None


@pytest.fixture(scope="session")
def _telling(request, world):
    """Start the stories of all selected tests, each once, in the order of the tests."""
    stories = dict.fromkeys(story for item in request.session.items if (story := _Story.of(item)))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        started = {}

        def tell(wanted):
            # A worker of pytest-xdist knows all tests and runs some of them; the others' stories are not its own.
            together = [wanted] if "PYTEST_XDIST_WORKER" in os.environ else [wanted, *stories]
            for story in together:
                if story not in started:
                    started[story] = pool.submit(story.function, world, *story.arguments)
            return started[wanted].result()

        yield tell
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def told(request, _telling):
    """Return what the test's story came to."""
    return _telling(_Story.of(request.node))
