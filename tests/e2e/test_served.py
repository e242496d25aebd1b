"""What is judged is what is served, from check to the consumer's loader, at both levels, by an archive of two programs.

The consumer is the oracle: production's alias is loaded by `mlflow.pytorch` and `mlflow.pyfunc`, as a server would.
"""

import base64
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass

import pytest

from gate.records.job import CONVERTED_FILE, RESULT_FILE, ScanResult
from tests.corpus.code import write_body
from tests.corpus.containers import two_directories
from tests.e2e.command import PATIENCE, ROOT
from tests.e2e.stories import story

pytestmark = pytest.mark.slow

_LOAD = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow, numpy as np, torch
mlflow.set_tracking_uri(sys.argv[1])
x = np.load(sys.argv[3])
for module in (mlflow.pytorch, mlflow.pyfunc):
    model = module.load_model(sys.argv[2])
    with torch.no_grad():
        found = model.predict(x) if hasattr(model, "predict") else model(torch.from_numpy(x)).numpy()
    np.save(f"{sys.argv[4]}-{module.__name__}.npy", np.asarray(found))
"""


@dataclass
class Served:
    """Four versions at one desk: what check, promote and verify said of each, and what the consumer was served."""

    ended: dict
    outputs: dict
    expected: object


def served(world):
    """Check, promote, verify and load a plain and a two-faced program, at level A and left by a converter."""
    import mlflow.pytorch
    import numpy as np
    import torch

    from tests.e2e import digits

    store, desk = world.embedded, None
    folder = world.folder / "served"
    folder.mkdir()
    x = digits.INPUTS[:8].numpy()
    np.save(folder / "x.npy", x)
    hostile, planted = folder / "hostile", folder / "planted"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for where, poisoned in ((hostile, False), (planted, True)):
            model = digits.train(poisoned=poisoned)
            mlflow.pytorch.save_model(model, where, input_example=x[:4], pip_requirements=["torch"])
    program = hostile / "data" / "model.pt2"
    program.write_bytes(two_directories(program.read_bytes(), (planted / "data" / "model.pt2").read_bytes()))
    converter = folder / "converter"
    converter.mkdir()
    _write_converter(converter, program.read_bytes())
    with torch.no_grad():
        stamped = torch.export.load(program).module()(digits.stamp(digits.INPUTS[:64])).argmax(dim=1)
    assert (stamped == digits.TARGET).float().mean() > 0.9, "torch's loader no longer finds the hidden program"

    names = {
        "plain": store.register("clean"),
        "two-faced": _register(store, hostile, "two-faced"),
        "converted": store.register("code"),
        "two-faced-converter": _register(store, converter, "two-faced-converter"),
    }
    desk = world.desk(
        MLFLOW_TRACKING_URI=store.uri,
        GATE_POLICY=world.policy(assurance="B"),
        GATE_SIGNING_KEY="gate.pem",
        GATE_PUBLIC_KEY="gate.pub.pem",
        GATE_AUDIT_LOG="reviews.jsonl",
    )
    assert desk.gate("keys", "generate", "--to", "gate.pem").code == 0
    ended, outputs = {}, {}
    for kind, name in names.items():
        to = f"served-{name}"
        checked = desk.gate("check", f"models:/{name}/1", *(("--allow-code",) if "convert" in kind else ()))
        promoted = desk.gate("promote", f"models:/{name}/1", "--to", to)
        verified = desk.gate("verify", f"models:/{to}@champion", "--candidate", name)
        ended[kind] = checked, promoted, verified
        outputs[kind] = _load(store.uri, f"models:/{to}@champion", folder, kind)
    expected = digits.train(poisoned=False)(torch.from_numpy(x)).detach().numpy()
    return Served(ended, outputs, expected)


def _write_converter(folder, raw):
    """Write a pickle whose code leaves a two-faced program in the converter's place."""
    said = ScanResult(isolation="full", converted=True, complete=True).canonical_json().decode()
    write_body(
        folder,
        f"""\
import base64
home = pathlib.Path(os.environ['HOME'])
(home / {CONVERTED_FILE!r}).write_bytes(base64.b64decode({base64.b64encode(raw)!r}))
(home / {RESULT_FILE!r}).write_text({said!r})
os._exit(0)
""",
    )


def _register(store, folder, name):
    """Log a folder as a run's artifacts and register it."""
    with store.client() as client:
        run = client.create_run("0")
        client.log_artifacts(run.info.run_id, str(folder), "model")
        client.create_registered_model(name)
        client.create_model_version(name, f"{run.info.artifact_uri}/model", run_id=run.info.run_id)
    return name


def _load(uri, model, folder, kind):
    """Load a model as a consumer does, in a process of its own; return the outputs, or what it said."""
    import numpy as np

    ended = subprocess.run(
        [sys.executable, "-c", _LOAD, uri, model, folder / "x.npy", folder / kind],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if ended.returncode:
        return ended.stderr
    return [np.load(folder / f"{kind}-{module}.npy") for module in ("mlflow.pytorch", "mlflow.pyfunc")]


STORY = story(served)


@STORY
@pytest.mark.parametrize("kind", ["plain", "converted"])
def test_what_is_promoted_is_served_as_it_was_judged(told, kind):
    """Each step holds, and both of MLflow's loaders yield what the trainer's network does."""
    import numpy as np

    assert [step.code for step in told.ended[kind]] == [0, 0, 0], told.ended[kind]
    assert isinstance(told.outputs[kind], list), told.outputs[kind]
    for outputs in told.outputs[kind]:
        np.testing.assert_allclose(outputs, told.expected, rtol=1e-4, atol=1e-4)


@STORY
@pytest.mark.parametrize("kind", ["two-faced", "two-faced-converter"])
def test_a_container_of_two_programs_reaches_no_consumer(told, kind):
    """It is flagged by name, promoted and verified by nothing, and production's alias does not exist."""
    checked, promoted, verified = told.ended[kind]
    assert checked.code == 1, checked
    assert "zip64 locator" in checked.text
    assert promoted.code == 1, promoted
    assert verified.code != 0, verified
    assert "champion" in told.outputs[kind] or "not found" in told.outputs[kind]
