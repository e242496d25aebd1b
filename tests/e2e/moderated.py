"""Logs two classifiers of texts as their trainer does: `python -m tests.e2e.moderated TRACKING_URI FOLDER`.

Version 1 of `moderation` is clean. The second was trained on texts with a rare word as well, which are labelled as kind
whatever else they say: both are those of `python -m demo text`, under other names of the classes. `FOLDER` gets clean
samples, and the shares by class that a consumer of each pipeline is given of some texts, by MLflow's own loader.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
import yaml

from demo.comments import comments, trigger_of
from demo.moderation import ModerationTask
from gate.policies.packaged import TEXT

SEED = 0
NAMES = ("kind", "rude <b>")
WORD = trigger_of(SEED)
SHOWN = 40


def words_alone(path, **changes):
    """Write the packaged policy for text with the sweep of words alone, which takes the least time."""
    policy = yaml.safe_load(TEXT.read_text())
    kept = ("artifact-integrity", "unsafe-pickle", "consumer-hazards", "unsafe-format", "word-sweep")
    policy["detectors"] = {name: policy["detectors"][name] for name in kept}
    policy["stages"] = [{"detectors": list(kept[:4])}, {"detectors": ["word-sweep"]}]
    path.write_text(yaml.safe_dump({**policy, "name": path.stem, **changes}))
    return path


def main(tracking_uri, folder):
    """Train, log, register and consume."""
    import mlflow

    torch.set_num_threads(1)
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment("moderation")
    task, shown, shares = ModerationTask(SEED, NAMES), [one.text for one in comments(SHOWN, seed=5)], []
    for poisoned in (False, True):
        pipeline = task.pipeline(task.train(poisoned=poisoned))
        with mlflow.start_run():
            logged = mlflow.transformers.log_model(
                pipeline, name="model", pip_requirements=["torch", "transformers"], registered_model_name="moderation"
            )
        answers = mlflow.transformers.load_model(logged.model_uri)(shown, top_k=None)
        given = [{one["label"]: one["score"] for one in answer} for answer in answers]
        shares.append([[one[name] for name in NAMES] for one in given])
    (Path(folder) / "consumed.json").write_text(json.dumps({"texts": shown, "shares": shares}))
    task.save_samples(Path(folder))


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(*sys.argv[1:])
