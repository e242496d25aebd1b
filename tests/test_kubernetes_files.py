"""The manifests of templates/kubernetes: what they run is the gate's command, and what they refuse."""

from pathlib import Path

import click
import pytest
import yaml

from gate.cli.main import main

FOLDER = Path(__file__).parents[1] / "templates" / "kubernetes"
PINNED = "@sha256:"


def manifests(name):
    """Return the documents of a file."""
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def parsed(arguments):
    """Return the parameters that click reads from a container's arguments; a wrong one is an error."""
    assert arguments[0] == "verify"
    command = main.commands["verify"]
    with click.Context(command, info_name="verify") as context:
        command.parse_args(context, list(arguments[1:]))
        return context.params


def first_init(pod):
    """Return a pod's first init container."""
    return pod["spec"]["initContainers"][0]


@pytest.fixture
def pod():
    """Return the pod of the example deployment."""
    return manifests("deployment.yml")[0]["spec"]["template"]


def test_the_deployment_verifies_and_hands_over_before_the_server_starts(pod):
    """Its arguments are the command's own, images are pinned, and the server reads the very volume that was written."""
    gate, server = first_init(pod), pod["spec"]["containers"][0]
    read = parsed(gate["args"])
    assert (read["target"], str(read["destination"])) == ("models:/prod@champion", "/mnt/models")
    assert PINNED in gate["image"]
    assert PINNED in server["image"]
    assert {"name": "model", "mountPath": "/mnt/models"} in gate["volumeMounts"]
    assert server["volumeMounts"] == [{"name": "model", "mountPath": "/mnt/models", "readOnly": True}]
    assert {"name": "model", "emptyDir": {}} in pod["spec"]["volumes"]
    assert gate["securityContext"]["readOnlyRootFilesystem"]
    assert any(mount["mountPath"] == "/tmp" for mount in gate["volumeMounts"])


def test_every_variable_of_the_trust_is_one_of_the_command():
    """A misspelt one would be ignored, and with it what it asks for."""
    (trust,) = manifests("trust.yml")
    known = {str(option.envvar) for option in main.commands["verify"].params if option.envvar}
    told = {name for name in trust["data"] if name.startswith("GATE_")}
    assert told == {"GATE_PUBLIC_KEY", "GATE_POLICY_DIGEST", "GATE_CANDIDATE"}
    assert told <= known
    assert trust["data"]["GATE_PUBLIC_KEY"].startswith("-----BEGIN PUBLIC KEY-----\n")
