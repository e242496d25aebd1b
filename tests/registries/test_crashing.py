"""The seam by which tests crash a registry: every call once, before and after its effect."""

import pytest

from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError
from tests.stand_ins.crashing import CRASHES, Crashing, crashing
from tests.stand_ins.one_version import OneVersion

REF = ModelRef(registry="mlflow", name="m", version="1")


def marked(registry):
    """Mark a version in two calls, after a first that has no effect."""
    registry.resolve("models:/m/1")
    registry = registry.allowing(())
    registry.mark(REF, {"a": "1"})
    registry.mark(REF, {"b": "2"})


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_every_call_crashes_once_before_or_after_its_effect(crash):
    """Those of the registry that `allowing` returns too; what came before it stands."""
    seen = []
    inner = OneVersion()
    for one in crashing(inner, crash):
        inner.tags = {}
        try:
            marked(one)
        except crash[0]:
            assert one.crashed == one.calls[-1]
        seen.append((one.crashed, inner.tags))
    tags = [{}, {}, {"a": "1"}] if crash[1] == "before" else [{}, {"a": "1"}, {"a": "1", "b": "2"}]
    assert seen == [*zip(["resolve", "mark", "mark"], tags, strict=True), ("", {"a": "1", "b": "2"})]


def test_it_crashes_once_and_reading_an_attribute_is_no_call():
    """The process that comes after is another one."""
    one = Crashing(OneVersion(), 0, RegistryError)
    assert (one.marks, one.calls) == (True, ())
    with pytest.raises(RegistryError, match="a crash before resolve"):
        one.resolve("models:/m/1")
    assert (one.resolve("models:/m/1"), one.calls, one.crashed) == (REF, ("resolve", "resolve"), "resolve")
