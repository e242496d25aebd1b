"""The manifests of templates/kubernetes: what they run is the gate's command, and what they refuse."""

import subprocess
from pathlib import Path

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
    return main.commands["verify"].make_context("verify", list(arguments[1:])).params


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


@pytest.fixture(scope="module")
def rules():
    """Return the policy's expressions as programs of Google's own expression language, with their messages."""
    import celpy

    (policy,) = manifests("kyverno.yml")
    (rule,) = policy["spec"]["rules"]
    assert rule["validate"]["failureAction"] == "Enforce"
    assert rule["match"]["any"][0]["resources"]["kinds"] == ["Pod"]
    environment = celpy.Environment()
    return [
        (one["message"], environment.program(environment.compile(one["expression"])))
        for one in rule["validate"]["cel"]["expressions"]
    ]


def refusals(rules, pod):
    """Return the messages of the rules that refuse a pod."""
    import celpy

    read = celpy.json_to_cel({"spec": pod["spec"]})
    return [message for message, program in rules if not program.evaluate({"object": read})]


def test_the_policy_admits_the_example(rules, pod):
    """As it stands, also with other containers that read the volume, or have no part in it."""
    assert refusals(rules, pod) == []
    pod["spec"]["containers"].append({"name": "metrics", "image": "registry.example/metrics"})
    pod["spec"]["initContainers"].append({"name": "later", "image": "registry.example/later"})
    assert refusals(rules, pod) == []


def test_the_policy_admits_what_a_cluster_adds(rules, pod):
    """Defaults that the API server fills in before it asks, bounds, and the strictest profile of Pod Security."""
    first_init(pod).update(
        imagePullPolicy="IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={"requests": {"cpu": "1"}},
    )
    _secured(seccompProfile={"type": "RuntimeDefault"}, runAsUser=65532)(pod)
    pod["spec"]["volumes"].append({"name": "other"} | MINE)
    pod["spec"]["containers"][0]["volumeMounts"].append({"name": "other", "mountPath": "/etc/server"})
    assert refusals(rules, pod) == []
    _environment("MLFLOW_TRACKING_TOKEN")(pod)
    del first_init(pod)["volumeMounts"][1]  # where the image's own /tmp may be written to
    assert refusals(rules, pod) == []


def test_the_guide_says_how_many_pods_are_refused():
    """Its sentence rests on these cases."""
    guide = (FOLDER.parents[1] / "docs" / "how-to" / "admission.md").read_text(encoding="utf-8")
    assert f"and {len(REFUSED)} pods around it are refused" in guide


def _without_init(pod):
    del pod["spec"]["initContainers"]


def _second(pod):
    pod["spec"]["initContainers"].insert(0, {"name": "first", "image": "registry.example/first"})


def _writes_later(pod):
    mount = {"name": "model", "mountPath": "/models"}
    pod["spec"]["initContainers"].append({"name": "later", "image": "registry.example/later", "volumeMounts": [mount]})


def _writes_by_the_gates_image(pod):
    _writes_later(pod)
    pod["spec"]["initContainers"][-1] |= {"image": first_init(pod)["image"], "command": ["sh"]}


def _set(**changes):
    def change(pod):
        first_init(pod).update(changes)

    return change


def _environment(name):
    def change(pod):
        first_init(pod)["env"].append({"name": name, "value": "true"})

    return change


def _mount(volume=None, **mount):
    """Return what mounts something more in the first init container, of a volume of its own where one is given."""

    def change(pod):
        if volume is not None:
            pod["spec"]["volumes"].append({"name": "mine"} | volume)
        first_init(pod)["volumeMounts"].append({"name": "mine"} | mount)

    return change


def _of_mount(number, **changes):
    def change(pod):
        first_init(pod)["volumeMounts"][number].update(changes)

    return change


def _scratch(**source):
    def change(pod):
        pod["spec"]["volumes"] = [{"name": "model", "emptyDir": {}}, {"name": "scratch"} | source]

    return change


def _shared_scratch(pod):
    pod["spec"]["containers"][0]["volumeMounts"].append({"name": "scratch", "mountPath": "/tmp"})


def _secured(**changes):
    def change(pod):
        first_init(pod)["securityContext"] = first_init(pod)["securityContext"] | changes

    return change


MINE = {"configMap": {"name": "mine", "defaultMode": 0o755}}
PACKAGE = "/opt/gate/lib/python3.12/site-packages/gate/__init__.py"


ONLY_MOUNTS = "mounts only model at /mnt/models and scratch at /tmp"
ONLY_FIELDS = "has no other fields"
REFUSED = {
    "no init container": (_without_init, "first init container must be"),
    "no verify at first": (_second, "first init container must be"),
    "another image": (_set(image="registry.example/other@sha256:" + 64 * "0"), "first init container must be"),
    "a tag in place of a digest": (_set(image="registry.example/gate:cpu"), "first init container must be"),
    "another command": (_set(command=["true"]), "first init container must be"),
    "another subcommand": (_set(args=["--version", "models:/p@c", "--to", "/mnt/models"]), "arguments must be verify"),
    "any policy": (_set(args=["verify", "models:/p@c", "--to", "/mnt/models", "--any-policy"]), "arguments must be"),
    "a folder": (_set(args=["verify", "./mine", "--to", "/mnt/models"]), "arguments must be verify"),
    "nothing handed over": (_set(args=["verify", "models:/p@c"]), "arguments must be verify"),
    "no arguments": (lambda pod: first_init(pod).pop("args"), "arguments must be verify"),
    "any policy by a variable": (_environment("GATE_ANY_POLICY"), "from the ConfigMap gate-trust"),
    "a key of its own": (_environment("GATE_PUBLIC_KEY"), "from the ConfigMap gate-trust"),
    "another trust": (_set(envFrom=[{"configMapRef": {"name": "mine"}}]), "from the ConfigMap gate-trust"),
    "two trusts": (
        _set(envFrom=[{"configMapRef": {"name": "gate-trust"}}, {"configMapRef": {"name": "mine"}}]),
        "from the ConfigMap gate-trust",
    ),
    "a side car, which blocks nothing": (_set(restartPolicy="Always"), "no restartPolicy"),
    "a volume that outlives the pod": (
        lambda pod: pod["spec"].update(volumes=[{"name": "model", "persistentVolumeClaim": {"claimName": "x"}}]),
        "an emptyDir called model",
    ),
    "a server that can write": (
        lambda pod: pod["spec"]["containers"][0]["volumeMounts"][0].pop("readOnly"),
        "Nothing but the gate may write",
    ),
    "a later init container that can write": (_writes_later, "Nothing but the gate may write"),
    "one of the gate's own image": (_writes_by_the_gates_image, "Nothing but the gate may write"),
    "a program over the gate's own": (_mount(MINE, mountPath="/opt/gate/bin/gate", subPath="gate"), ONLY_MOUNTS),
    "a module of its own": (_mount(MINE, mountPath=PACKAGE, subPath="x"), ONLY_MOUNTS),
    "a folder of programs": (_mount({"emptyDir": {}}, mountPath="/opt/gate"), ONLY_MOUNTS),
    "a mount inside the model": (_mount(MINE, mountPath="/mnt/models/data"), ONLY_MOUNTS),
    "a mount inside the scratch": (_mount(MINE, mountPath="/tmp/.local"), ONLY_MOUNTS),
    "the model twice": (_mount(name="model", mountPath="/opt/gate/lib"), ONLY_MOUNTS),
    "the scratch elsewhere": (_of_mount(1, mountPath="/opt/gate"), ONLY_MOUNTS),
    "no model": (lambda pod: first_init(pod)["volumeMounts"].pop(0), ONLY_MOUNTS),
    "a part of the model's volume": (_of_mount(0, subPath="x"), ONLY_MOUNTS),
    "a part by a variable": (_of_mount(0, subPathExpr="$(MLFLOW_TRACKING_TOKEN)"), ONLY_MOUNTS),
    "a part of the scratch": (_of_mount(1, subPath="x"), ONLY_MOUNTS),
    "a mount that the host writes to": (_of_mount(0, mountPropagation="HostToContainer"), ONLY_MOUNTS),
    "a scratch of one's own": (_scratch(persistentVolumeClaim={"claimName": "mine"}), "emptyDir called scratch"),
    "a scratch of the host": (_scratch(hostPath={"path": "/"}), "emptyDir called scratch"),
    "a scratch that the server writes to": (_shared_scratch, "emptyDir called scratch"),
    "a hook": (_set(lifecycle={"postStart": {"exec": {"command": ["sh"]}}}), ONLY_FIELDS),
    "another folder to begin in": (_set(workingDir="/mnt/models"), ONLY_FIELDS),
    "a device": (_set(volumeDevices=[{"name": "mine", "devicePath": "/opt/gate"}]), ONLY_FIELDS),
    "exit codes of its own": (_set(restartPolicyRules=[{"action": "Restart"}]), ONLY_FIELDS),
    "somebody at its terminal": (_set(stdin=True, tty=True), ONLY_FIELDS),
    "a field of a later Kubernetes": (_set(somethingNew="x"), ONLY_FIELDS),
    "an empty file over the gate": (_set(terminationMessagePath=PACKAGE), "terminationMessagePath"),
    "a registry of its own": (_environment("MLFLOW_TRACKING_URI"), "from the ConfigMap gate-trust"),
    "a path to modules": (_environment("PYTHONPATH"), "from the ConfigMap gate-trust"),
    "a library before others": (_environment("LD_PRELOAD"), "from the ConfigMap gate-trust"),
    "a privileged one": (_secured(privileged=True), "securityContext"),
    "more rights": (_secured(capabilities={"add": ["SYS_ADMIN"]}), "securityContext"),
    "the host's own processes": (_secured(procMount="Unmasked"), "securityContext"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_the_policy_refuses_a_pod_whose_model_nobody_verified(rules, pod, case):
    """Each way around it, with the message that says what is expected."""
    change, said = case
    change(pod)
    assert any(said in message for message in refusals(rules, pod))


def test_kserves_initializer_runs_the_command_with_its_two_arguments():
    """KServe appends the address and the folder, which the shell puts where the command wants them."""
    container, service = manifests("kserve.yml")
    spec = container["spec"]
    assert (spec["container"]["name"], spec["workloadType"]) == ("storage-initializer", "initContainer")
    address = service["spec"]["predictor"]["model"]["storageUri"]
    assert any(address.startswith(one["prefix"]) for one in spec["supportedUriFormats"])
    shell, flag, script = spec["container"]["command"]
    assert (shell, flag) == ("sh", "-c")
    told = subprocess.run(
        [shell, flag, script.replace("exec gate ", "printf '%s\\n' "), address, "/mnt/models"],
        capture_output=True,
        text=True,
        check=True,
    )
    read = parsed(told.stdout.splitlines())
    assert (read["target"], str(read["destination"])) == (address, "/mnt/models")
    assert spec["container"]["envFrom"] == [{"configMapRef": {"name": "gate-trust"}}]
    assert PINNED in spec["container"]["image"]
