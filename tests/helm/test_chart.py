"""The chart for `gate serve`: what it renders is what command, configuration and image take, and no more rights."""

import inspect
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from gate import VERSION
from gate.cli import serve
from gate.cli.main import main
from gate.records.errors import UsageError
from gate.service import run, settings
from gate.service.settings import ServiceFile
from tests.helm.rendering import CHART, KEPT, VALUES, helm, rendered

DOCKERFILE = (CHART.parents[2] / "docker" / "Dockerfile").read_text(encoding="utf-8")
REQUIRED = {"GATE_WEBHOOK_SECRET", "GATE_SIGNING_KEY"}
needs_helm = pytest.mark.skipif(shutil.which("helm") is None, reason="Helm is not installed")


@pytest.fixture(params=VALUES)
def kept(request):
    """Return the kept manifests by kind, for each file of values."""
    return objects(request.param)


def objects(name):
    """Return the kept manifests of one file of values by kind."""
    found = [one for one in yaml.safe_load_all((KEPT / f"{name}.yaml").read_text(encoding="utf-8")) if one]
    return {one["kind"]: one for one in found}


def pods(kept):
    """Return the specifications of the service's pod and of the check's."""
    return kept["StatefulSet"]["spec"]["template"]["spec"], kept["Pod"]["spec"]


def containers(kept):
    """Return the one container of each pod."""
    return [pod["containers"][0] for pod in pods(kept) if len(pod["containers"]) == 1]


@needs_helm
@pytest.mark.parametrize("values", VALUES)
def test_what_is_kept_is_what_helm_renders(values):
    """`python -m tests.helm.rendering` writes it anew; look at the difference."""
    assert list(yaml.safe_load_all((KEPT / f"{values}.yaml").read_text())) == list(yaml.safe_load_all(rendered(values)))


@needs_helm
@pytest.mark.parametrize("values", VALUES)
def test_helm_finds_nothing_wrong(values):
    """Neither in the chart nor in its schema."""
    ended = helm("lint", "--strict", CHART, "--values", CHART / "ci" / f"{values}.yaml")
    assert ended.returncode == 0, ended.stdout


WRONG = {
    "no digest": ("image: {digest: ''}", "image/digest"),
    "a tag": ("image: {digest: 'latest'}", "image/digest"),
    "no secret": ("secretName: ''", "secretName"),
    "no models": ("config: {models: []}", "config/models"),
    "a model without a policy": ("config: {models: [{name: cand}]}", "config/models/0"),
    "another folder": ("config: {data: /tmp}", "config/data"),
    "another port": ("config: {listen: '0.0.0.0:1'}", "config/listen"),
    "one name for all": ("config: {executor: gate}", "config/executor"),
    "a misspelt key": ("replica: 2", "replica"),
    "a file in place of the configuration": ("files: {gate.toml: x}", "gate.toml"),
    "a file elsewhere": ("files: {'../x': x}", "../x"),
    "a secret as plain text": ("extraEnv: [{name: GATE_SIGNING_KEY, value: x}]", "extraEnv/0"),
    "another library": ("extraEnv: [{name: LD_PRELOAD, value: x}]", "extraEnv/0"),
    "hosts without a common log": ("replicas: 2", "sharedLog"),
}


@needs_helm
@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_values_that_cannot_work_are_refused(change, said):
    """With the place of what is wrong, before anything reaches a cluster."""
    ended = helm("template", CHART, "--values", CHART / "ci" / "minimal.yaml", "--values", "-", stdin=change)
    assert ended.returncode != 0
    assert said in ended.stderr, ended.stderr


@needs_helm
@pytest.mark.parametrize("text", ['a"b', "a\nlisten = '0.0.0.0:1'", "a'''b", "{{ .Release }}", "ünïcode\\u0041"])
def test_no_name_breaks_out_of_its_value(text):
    """The configuration is written by a writer of TOML, and says the same when it is read."""
    values = yaml.safe_dump({"config": {"models": [{"name": text, "policy": "default"}]}, "files": {"p.yml": text}})
    ended = helm("template", CHART, "--values", CHART / "ci" / "minimal.yaml", "--values", "-", stdin=values)
    assert ended.returncode == 0, ended.stderr
    (found,) = [one for one in yaml.safe_load_all(ended.stdout) if one and one["kind"] == "ConfigMap"]
    read = tomllib.loads(found["data"]["gate.toml"])
    assert [model["name"] for model in read["models"]] == [text]
    assert read["listen"] == "0.0.0.0:8200"
    assert found["data"]["p.yml"] == text


def test_the_arguments_are_the_commands_own(kept):
    """The image's entry point is `gate`; the check of `helm test` changes nothing."""
    assert 'ENTRYPOINT ["gate"]' in DOCKERFILE
    read = []
    for container in containers(kept):
        assert "command" not in container
        name, *arguments = container["args"]
        assert name == "serve"
        arguments = [str(Path(__file__)) if one == "/etc/gate/gate.toml" else one for one in arguments]
        context = main.commands[name].make_context(name, arguments)
        read.append((context.params["only_check"], context.params["webhook"]))
    assert read == [(False, None), (True, None)]


def test_the_configuration_is_one_that_the_service_reads(kept):
    """Key for key, by its own reader of the values, with numbers whole where they must be."""
    raw = tomllib.loads(kept["ConfigMap"]["data"]["gate.toml"])
    file = ServiceFile.model_validate(raw)
    port = kept["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]["ports"][0]
    assert file.listen == f"0.0.0.0:{port['containerPort']}"
    assert Path("/var/lib/gate") in file.data.parents
    assert kept["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]


def test_the_full_configuration_arrives_as_it_was_written():
    """Every key of the values, as an integer where the service wants one."""
    asked = yaml.safe_load((CHART / "ci" / "full.yaml").read_text())["config"]
    read = ServiceFile.model_validate(tomllib.loads(objects("full")["ConfigMap"]["data"]["gate.toml"]))
    assert read.webhook.max_bytes == asked["webhook"]["max-bytes"]
    assert (read.work.keep_days, read.work.concurrency, read.work.memory_gib) == (365, 2, 6.5)
    assert [model.name for model in read.models] == [model["name"] for model in asked["models"]]
    assert str(read.audit_log) == "/var/lib/gate-log/reviews.jsonl"


def test_every_variable_is_one_that_the_service_reads_and_none_is_left_out(kept):
    """From the one secret, each by its name: no other key of it becomes a variable."""
    told = set(re.findall(r"\b(?:GATE|MLFLOW_TRACKING)_[A-Z_]*[A-Z]\b", inspect.getsource(serve)))
    known = told & set(re.findall(r"[A-Z_]+", inspect.getsource(settings) + inspect.getsource(serve)))
    by_option = {parameter.envvar for parameter in main.commands["serve"].params}
    for container in containers(kept):
        named = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container["env"] if "valueFrom" in one}
        assert set(named) == known - by_option
        assert all(reference["key"] == name for name, reference in named.items())
        needed = {name for name, reference in named.items() if not reference.get("optional", False)}
        several = kept["StatefulSet"]["spec"]["replicas"] > 1
        assert needed == REQUIRED | ({"GATE_DATABASE_URL"} if several else set())


def test_pods_have_no_right_that_the_gate_does_not_need(kept):
    """Kubernetes's standard `restricted`, the image's own user, and nothing writable but what is mounted."""
    assert "USER 65532:65532" in DOCKERFILE
    for pod in pods(kept):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == (65532, 65532)
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all({"emptyDir", "configMap", "persistentVolumeClaim"} & set(one) for one in pod["volumes"])
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert re.fullmatch(r".+@sha256:[0-9a-f]{64}", container["image"])
        assert container["resources"]["limits"]["memory"]


def test_files_of_the_configuration_are_no_links(kept, tmp_path, monkeypatch):
    """Mounted as a folder a ConfigMap's files are links, and the service would not start."""
    data = tmp_path / "..data"
    data.mkdir()
    (data / "gate.toml").write_text(kept["ConfigMap"]["data"]["gate.toml"])
    (tmp_path / "gate.toml").symlink_to("..data/gate.toml")
    monkeypatch.setenv(settings.SECRET, "x")
    with pytest.raises(UsageError, match="expected a regular file, found a symbolic link"):
        settings.read_settings(tmp_path / "gate.toml")
    assert settings.read_settings(data / "gate.toml").file.models
    for pod in pods(kept):
        linked = {one["name"] for one in pod["volumes"] if {"configMap", "secret"} & set(one)}
        mounts = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] in linked]
        assert all(one["mountPath"].endswith(f"/{one['subPath']}") for one in mounts)
        inside = {one["subPath"] for one in mounts if one["name"] == "config"}
        assert inside == set(kept["ConfigMap"]["data"])


def test_what_the_service_writes_is_mounted_and_the_rest_is_read_only(kept):
    """Its folder, the log that several share, and /tmp, which is the image's home."""
    assert "HOME=/tmp" in DOCKERFILE
    claimed = [one["metadata"]["name"] for one in kept["StatefulSet"]["spec"]["volumeClaimTemplates"]]
    for pod in pods(kept):
        mounts = {one["mountPath"]: one for one in pod["containers"][0]["volumeMounts"]}
        writable = {path for path, one in mounts.items() if not one.get("readOnly", False)}
        shared = {"/var/lib/gate-log"} if kept["StatefulSet"]["spec"]["replicas"] > 1 else set()
        assert writable == {"/var/lib/gate", "/tmp"} | shared
        there = {one["name"] for one in pod["volumes"]} | set(claimed)
        assert {one["name"] for one in mounts.values()} <= there


def test_probes_ask_what_the_service_answers(kept):
    """Alive by /health, which a silent registry leaves as it is; ready by /ready."""
    routes = set(re.findall(r'Route\("(/[a-z/]*)"', inspect.getsource(run)))
    pod, _ = pods(kept)
    (container,) = pod["containers"]
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: one["path"] for kind, one in asked.items()} == {
        "startup": "/health",
        "liveness": "/health",
        "readiness": "/ready",
    }
    assert {one["path"] for one in asked.values()} <= routes
    assert all(one["port"] == container["ports"][0]["name"] for one in asked.values())
    assert pod["terminationGracePeriodSeconds"] > 2 * run.GRACE_SECONDS + 10


def test_nobody_reaches_the_port_who_is_not_named(kept):
    """The policy is about both pods; without names nobody comes in, and out goes what asks for names alone."""
    policy = kept["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    for labels in (kept["StatefulSet"]["spec"]["template"]["metadata"]["labels"], kept["Pod"]["metadata"]["labels"]):
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert all(rule.get("from") and rule["ports"] == [{"port": 8200, "protocol": "TCP"}] for rule in policy["ingress"])
    assert all(rule.get("to") for rule in policy["egress"][1:])
    assert {one["port"] for one in policy["egress"][0]["ports"]} == {53}


def test_without_names_nobody_comes_in():
    """An empty list, where a rule without `from` would mean everybody."""
    assert objects("minimal")["NetworkPolicy"]["spec"]["ingress"] == []
    assert "PodMonitor" not in objects("minimal")


def test_the_service_names_its_own_pods_and_not_the_checks(kept):
    """Whose port would take requests that nothing answers."""
    wanted = kept["Service"]["spec"]["selector"].items()
    assert wanted <= kept["StatefulSet"]["spec"]["template"]["metadata"]["labels"].items()
    assert not wanted <= kept["Pod"]["metadata"]["labels"].items()
    assert kept["StatefulSet"]["spec"]["selector"]["matchLabels"].items() == wanted


def test_several_share_database_and_log_and_a_reviewer_stays_with_one():
    """A form holds in the process that made it; each pod's name is its executor's."""
    full = objects("full")
    assert full["StatefulSet"]["spec"]["replicas"] == 3
    assert full["Service"]["spec"]["sessionAffinity"] == "ClientIP"
    assert "executor" not in tomllib.loads(full["ConfigMap"]["data"]["gate.toml"])
    assert "sessionAffinity" not in objects("minimal")["Service"]["spec"]


def test_prometheus_is_given_the_token_that_the_service_asks_for():
    """By the secret's key, never as text."""
    (endpoint,) = objects("full")["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert (endpoint["path"], endpoint["port"]) == ("/metrics", "http")
    assert endpoint["authorization"] == {
        "type": "Bearer",
        "credentials": {"name": "gate", "key": "GATE_METRICS_TOKEN"},
    }


def test_the_chart_is_of_this_version():
    """Which its labels tell."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


def test_every_value_has_its_place_in_the_schema():
    """A key that the schema does not know would be refused in everybody's hands."""
    import json

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    for name, value in values.items():
        known = schema["properties"][name]
        if isinstance(value, dict) and known.get("additionalProperties") is False:
            assert set(value) == set(known["properties"]), name
