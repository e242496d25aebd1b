"""The Dockerfile holds what docs/how-to/container.md says of it, without an engine to build it."""

import fnmatch
import os
import re
import subprocess
from pathlib import Path

from packaging.requirements import Requirement

from gate import VERSION
from tests.container.engine import HARDENED

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
TORCH = (ROOT / "requirements" / "torch.txt").read_text(encoding="utf-8").strip()
BUILDKIT = re.compile(
    r"^#\s*syntax=|^(?:RUN|COPY|ADD) .*(?:--mount|--chmod|--link|--network|--security)|<<", re.MULTILINE
)


def instructions():
    """Return the stages, each a list of pairs of instruction and argument, continued lines joined; no global ARG."""
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append((word, " ".join(rest.split())))
    return stages


def final(word):
    """Return the arguments of an instruction in the last stage."""
    return [rest for name, rest in instructions()[-1] if name == word]


def test_the_classic_builder_understands_it():
    """No syntax of BuildKit alone is used."""
    assert not BUILDKIT.search(DOCKERFILE)
    assert BUILDKIT.search("RUN --mount=type=cache,target=/x pip")


def test_the_last_step_asks_the_gate_for_its_version():
    """An image in which the gate does not start is not built."""
    assert instructions()[-1][-1] == ("RUN", '["gate", "--version"]')


def test_it_runs_as_a_numbered_user_that_is_not_root():
    """Kubernetes' runAsNonRoot can only see that a number is not root."""
    (user,) = final("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_the_last_stage_installs_python_and_certificates_alone():
    """Compilers, pip and download tools are in no layer of what is shipped."""
    (apt,) = [rest for rest in final("RUN") if "apt-get" in rest]
    assert re.search(r"--no-install-recommends ca-certificates python3 &&", apt)
    assert not [rest for rest in final("COPY") if "/opt/pip" in rest]


def test_every_dependency_comes_with_its_hash_and_as_a_wheel():
    """The lock is installed with its hashes, and no package's build code runs."""
    (locked,) = [rest for stage in instructions() for name, rest in stage if name == "RUN" and "runtime.lock" in rest]
    assert "--require-hashes" in locked
    assert "--only-binary :all:" in locked


def test_the_version_label_is_the_gates_version():
    """Whoever raises the version is reminded of the label."""
    (labels,) = final("LABEL")
    assert f'org.opencontainers.image.version="{VERSION}"' in labels
    assert all(f"image.{name}=" in labels for name in ("title", "description", "revision", "licenses", "base.name"))


def test_one_base_is_named_once():
    """A release pins it by its digest with one argument, and the label tells it."""
    (default,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert default == "debian:bookworm-slim"
    assert [rest.split()[0] for stage in instructions() for word, rest in stage[:1]] == [
        "${BASE}",
        "dependencies",
        "${BASE}",
    ]
    assert 'org.opencontainers.image.base.name="$BASE"' in final("LABEL")[0]


def test_no_compiled_file_depends_on_a_time():
    """After all files got one time, Python would compile each anew at every start, on a root that keeps nothing."""
    steps = [rest for stage in instructions() for word, rest in stage if word == "RUN"]
    assert all("--no-compile" in rest for rest in steps if "pip --python" in rest)
    compiled = [rest for rest in steps if "compileall" in rest]
    assert len(compiled) == 3
    assert all("--invalidation-mode unchecked-hash" in rest for rest in compiled)


def test_the_health_check_starts_no_shell():
    """The health check is a list of words, and its program is what is copied."""
    (check,) = final("HEALTHCHECK")
    assert 'CMD ["/opt/gate/bin/python3", "-I", "/opt/gate/health.py"]' in check
    assert "docker/health.py /opt/gate/health.py" in final("COPY")


def test_what_is_copied_is_what_the_build_may_see():
    """Every source exists and .dockerignore lets it through; history, tests and settings stay out."""
    rules = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and line[0] != "#"]
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for stage in instructions()
        for name, rest in stage
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert rules[0] == "*"
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)
    assert not any(fnmatch.fnmatch(name, rule) for name in (".git", "tests", ".env") for rule in allowed)


def test_the_documented_flags_are_those_of_the_trial():
    """What a reader copies from the page is what was tried."""
    page = (ROOT / "docs" / "how-to" / "container.md").read_text(encoding="utf-8").replace("=", " ")
    assert all(flag.replace("=", " ") in page for flag in HARDENED)


def chosen(tmp_path, **arguments):
    """Run the step that installs torch with a stand-in for pip; return its exit code and pip's last arguments."""
    (step,) = [rest for stage in instructions() for name, rest in stage if name == "RUN" and 'case "$TORCH"' in rest]
    pip = tmp_path / "pip"
    pip.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/asked\n")
    pip.chmod(0o755)
    step = step.replace("/opt/pip/bin/pip", str(pip)).replace("/build/requirements", str(ROOT / "requirements"))
    ended = subprocess.run(["sh", "-c", step], env={"PATH": os.defpath, **arguments}, check=False, capture_output=True)
    asked = (tmp_path / "asked").read_text().splitlines() if ended.returncode == 0 else []
    return ended.returncode, asked[asked.index(":all:") + 1 :] if asked else []


def test_the_cpu_build_of_torch_is_asked_for_by_name(tmp_path):
    """Its own index where one is given, and none of the libraries that the lock holds already."""
    assert chosen(tmp_path, TORCH="cpu") == (0, ["--no-deps", f"{TORCH}+cpu"])
    index = "https://index.example/cpu"
    _, asked = chosen(tmp_path, TORCH="cpu", TORCH_INDEX=index)
    assert asked == ["--no-deps", "--index-url", index, f"{TORCH}+cpu"]


def test_the_cuda_build_of_torch_is_never_the_cpus(tmp_path):
    """Of two builds of one version the specifier takes the index's own, with the libraries that it names."""
    code, (asked,) = chosen(tmp_path, TORCH="cuda")
    wanted = Requirement(asked).specifier
    version = TORCH.removeprefix("torch==")
    assert code == 0
    assert (wanted.contains(version), wanted.contains(f"{version}+cpu")) == (True, False)


def test_another_build_of_torch_is_refused(tmp_path):
    """A misspelt argument ends the build."""
    assert chosen(tmp_path, TORCH="gpu")[0] == 2
