"""What a trainer's account tries on a real server, and what comes of it: `python -m tests.promotion.forgery`.

Prints the table of docs/results/forgery.md. Each attempt is one function; it returns what refused it, and one that
nothing refuses is a hole.
"""

import base64
import json
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog
from gate.check.pull import digest_now
from gate.check.signing import Signing
from gate.promotion.promote import NotApprovedError, promote
from gate.promotion.review import Review, review
from gate.promotion.verification import Trust, now, verify_version
from gate.records.errors import GateError
from gate.records.finding import Decision
from gate.records.policy import DownloadBounds, Policy
from gate.registries.contract import Credentials
from tests.attestations.signed import statement
from tests.promotion.accounts import PASSWORD, Server, serving_with_accounts
from tests.promotion.deciding import POLICY, decide, promotion

HOLE = "SUCCEEDED"


@dataclass
class Stage:
    """A server with a promoted version 1 of a candidate, and a flagged version 2 of it."""

    server: Server
    key: object
    log: ReviewLog
    cand: str
    prod: str
    promoted: object
    approval: str

    @property
    def source(self):
        """The gate's own model behind the production version."""
        with self.server.account("gate") as client:
            return client.get_model_version(self.prod, self.promoted.version.version).source

    def state(self):
        """Return alias, bytes and whether the deployment's own check holds."""
        with self.server.registry() as registry:
            ref = registry.alias(self.prod, "champion")
            trust = Trust((self.key.public,), POLICY, candidate=self.cand, log=self.log, download=DownloadBounds())
            looked = verify_version(registry, f"models:/{self.prod}@champion", trust, now())
            return str(ref), looked.digest, looked.holds


def prepare(server, folder):
    """Promote version 1 of a fresh candidate and flag version 2."""
    key = generate_key(folder / "gate.pem", folder / "gate.pub.pem")
    log = ReviewLog(folder / "reviews.jsonl")
    cand = server.candidate("honest weights", "backdoored weights")
    approval = decide(server, cand, 1, key, log=log)
    decide(server, cand, 2, key, log=log, decision=Decision.FLAGGED)
    with server.registry() as registry:
        done = promote(registry, promotion(cand, 1, f"prod-{cand}", key, log), now(), lambda _message: None)
    return Stage(server, key, log, cand, f"prod-{cand}", done, approval)


@contextmanager
def trainer(stage):
    """Yield the trainer's client."""
    with stage.server.account("trainer") as client:
        yield client


def denied(act):
    """Run an act of the trainer's; return how the server refused it."""
    from mlflow.exceptions import MlflowException
    from requests import HTTPError

    try:
        act()
    except (MlflowException, HTTPError) as error:
        if "Permission denied" in str(error) or "403" in str(error):
            return "the registry: permission denied (403)"
        raise
    return HOLE


def on_registry(name):
    """Return an attempt by the trainer's client alone: `name` of the functions below."""

    def attempt(stage):
        with trainer(stage) as client:
            return denied(lambda: name(stage, client))

    return attempt


def _own_model(stage, client):
    return stage.server.log(client, "backdoored weights")


def _create_version(stage, client):
    source, model_id = _own_model(stage, client)
    client.create_model_version(stage.prod, source, model_id=model_id)


def _overwrite_by_proxy(stage, _client):
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    inside = stage.server.stored(stage.source).relative_to(stage.server.folder / "artifacts")
    path = f"/api/2.0/mlflow-artifacts/artifacts/{inside}/data/model.pt2"
    answer = http_request(get_default_host_creds(stage.server.uri), path, "PUT", data=b"backdoored")
    answer.raise_for_status()


def _overwrite_kept(stage, _client):
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    with stage.server.registry() as registry:
        place = registry.bundle_places(stage.promoted.digest)[0]
    run_id = place.removeprefix("runs:/").split("/")[0]
    with stage.server.account("gate") as client:
        root = client.get_run(run_id).info.artifact_uri.partition(":/")[2]
    path = f"/api/2.0/mlflow-artifacts/artifacts/{root.lstrip('/')}/bundle/data/model.pt2"
    answer = http_request(get_default_host_creds(stage.server.uri), path, "PUT", data=b"backdoored")
    answer.raise_for_status()


def _overwrite_by_client(stage, client):
    folder = stage.server.model_folder("backdoored weights")
    client.log_model_artifacts(stage.source.rsplit("/", maxsplit=1)[-1], str(folder))


def _grant(stage, _client):
    stage.server.auth().grant_user_permission("trainer", "registered_model", stage.prod, "MANAGE")


REGISTRY = {
    "set production's alias": lambda s, c: c.set_registered_model_alias(s.prod, "champion", "1"),
    "delete production's alias": lambda s, c: c.delete_registered_model_alias(s.prod, "champion"),
    "create a production version from an own model": _create_version,
    "copy the flagged version into production": lambda s, c: c.copy_model_version(f"models:/{s.cand}/2", s.prod),
    "set gate.decision on the production version": lambda s, c: c.set_model_version_tag(
        s.prod, s.promoted.version.version, "gate.decision", "approved"
    ),
    "move the production version to a stage": lambda s, c: c.transition_model_version_stage(
        s.prod, s.promoted.version.version, "Production"
    ),
    "delete the production version": lambda s, c: c.delete_model_version(s.prod, s.promoted.version.version),
    "rename the production model": lambda s, c: c.rename_registered_model(s.prod, f"{s.prod}-gone"),
    "overwrite the promoted bytes by the artifact API": _overwrite_by_proxy,
    "overwrite the promoted bytes by the client": _overwrite_by_client,
    "overwrite the bundle that the gate keeps": _overwrite_kept,
    "grant the own account rights on production": _grant,
}


def refused_by_gate(stage, version, tags):
    """Set tags on a version as the trainer, who may; return why the gate does not promote it."""
    with trainer(stage) as client:
        before = client.get_model_version(stage.cand, version).tags
        for key, value in tags.items():
            client.set_model_version_tag(stage.cand, version, key, value)
    try:
        with stage.server.registry() as registry:
            promote(
                registry, promotion(stage.cand, version, stage.prod, stage.key, stage.log), now(), lambda _message: None
            )
    except NotApprovedError as error:
        return f"gate promote: {' '.join(error.reasons).split(':')[0].rstrip('.')}"
    finally:
        with stage.server.account("gate") as client:
            for key in tags:
                client.set_model_version_tag(stage.cand, version, key, before.get(key, ""))
    return HOLE


def forged_word(stage):
    """Set the bare tag."""
    return refused_by_gate(stage, "2", {"gate.decision": "approved", "gate.review": "approved"})


def copied(stage):
    """Copy the signed approval of version 1."""
    return refused_by_gate(stage, "2", {"gate.attestation": stage.approval, "gate.decision": "approved"})


def own_key(stage):
    """Sign an approval with a key of one's own."""
    with tempfile.TemporaryDirectory() as folder, stage.server.registry() as registry:
        stranger = generate_key(Path(folder) / "k.pem", Path(folder) / "k.pub.pem")
        ref = registry.resolve(f"models:/{stage.cand}/2")
        forged = sign(statement(model=ref, model_digest=digest_now(registry, ref, DownloadBounds())), stranger)
    return refused_by_gate(stage, "2", {"gate.attestation": forged})


def edited(stage):
    """Turn flagged into approved inside the signed statement."""
    with stage.server.account("gate") as client:
        envelope = json.loads(client.get_model_version(stage.cand, "2").tags["gate.attestation"])
    payload = base64.standard_b64decode(envelope["payload"]).replace(b'"flagged"', b'"approved"')
    envelope["payload"] = base64.standard_b64encode(payload).decode()
    return refused_by_gate(stage, "2", {"gate.attestation": json.dumps(envelope)})


def put_back(stage):
    """Put an approval back that a later check has withdrawn."""
    decide(stage.server, stage.cand, 1, stage.key, log=stage.log, decision=Decision.FLAGGED)
    outcome = refused_by_gate(stage, "1", {"gate.attestation": stage.approval})
    # The approval is made anew, and production carries it from here on.
    stage.approval = decide(stage.server, stage.cand, 1, stage.key, log=stage.log)
    with stage.server.registry() as registry:
        request = promotion(stage.cand, 1, stage.prod, stage.key, stage.log)
        stage.promoted = promote(registry, request, now(), lambda _message: None)
    return outcome


def swapped(stage):
    """Change the candidate's bytes after the approval."""
    with trainer(stage) as client:
        model_id = client.get_model_version(stage.cand, "1").source.rsplit("/", maxsplit=1)[-1]
        client.log_model_artifacts(model_id, str(stage.server.model_folder("backdoored weights")))
    try:
        with stage.server.registry() as registry:
            request = promotion(stage.cand, 1, stage.prod, stage.key, stage.log)
            done = promote(registry, request, now(), lambda _message: None)
            trust = Trust((stage.key.public,), POLICY, candidate=stage.cand, log=stage.log, download=DownloadBounds())
            found = verify_version(registry, f"models:/{stage.cand}/1", trust, now())
        if done.digest != stage.promoted.digest or found.holds:
            return HOLE
        return "gate promote: copies the bundle that was judged; gate verify: the candidate's bytes are others"
    finally:
        with trainer(stage) as client:
            client.log_model_artifacts(model_id, str(stage.server.model_folder("honest weights")))


def own_review(stage):
    """Approve one's own flagged version."""
    rules = {"names": ["trainer", "ann"]}
    policy = Policy(version=1, detectors={"unsafe-pickle": {}}, reviewers=rules)
    decide(
        stage.server, stage.cand, 2, stage.key, decision=Decision.FLAGGED, policy_digest=policy.digest, log=stage.log
    )
    request = Review(
        uri=f"models:/{stage.cand}/2",
        outcome="approved",
        reason="trust me",
        days=1,
        policy=policy,
        keys=(stage.key.public,),
        credentials=Credentials("trainer", PASSWORD),
    )
    try:
        with stage.server.registry() as registry:
            review(registry, request, Signing(stage.key, stage.log), now())
    except GateError as error:
        return f"gate review: {str(error).replace(stage.cand, 'cand')}"
    return HOLE


ATTEMPTS = {
    **{name: on_registry(act) for name, act in REGISTRY.items()},
    "set gate.decision and gate.review to approved on the flagged candidate": forged_word,
    "copy the signed approval of another version": copied,
    "sign an approval with an own key": own_key,
    "edit the signed statement": edited,
    "change the candidate's bytes after the approval": swapped,
    "review the own version": own_review,
    "put a withdrawn approval back": put_back,
}


def table(outcomes):
    """Return the outcomes as a Markdown table."""
    rows = [f"| {name} | {outcome} |" for name, outcome in outcomes.items()]
    return "\n".join(["| a trainer's account tries to | refused by |", "|---|---|", *rows])


def main():
    """Try everything on a fresh server and print the table."""
    with tempfile.TemporaryDirectory() as folder, serving_with_accounts(Path(folder)) as server:
        stage = prepare(server, Path(folder))
        outcomes = {name: attempt(stage) for name, attempt in ATTEMPTS.items()}
        print(table(outcomes))  # noqa: T201  # its purpose
        print(f"\nproduction afterwards: {stage.state()}")  # noqa: T201
    return 1 if HOLE in outcomes.values() else 0


if __name__ == "__main__":
    sys.exit(main())
