"""Action, workflows, components and what the documents say of them: valid, pinned, and one with each other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from gate import VERSION
from gate.cli.main import main

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference" / "action.md").read_text(encoding="utf-8")
CI = (ROOT / "docs" / "how-to" / "ci.md").read_text(encoding="utf-8")
EXIT = re.compile(r"^\| ([0-9]+)(?:, [0-9]+)* \| (.+?) \|", re.MULTILINE)


def part(text, name):
    """Return what stands between two comments of a page."""
    return text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]


def command(*arguments):
    """Run one of the checkers and return how it ended."""
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def default_of(spec):
    """Return how the table shows an input's default."""
    if spec.get("required"):
        return "required"
    return f"`{spec['default']}`" if spec["default"] else ""


def test_the_reference_lists_the_actions_inputs_and_outputs():
    """Each name, sentence and default of action.yml stands in the table, in its order, and nothing else does."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+?) \|(?: (.*?) ?\|)?$", part(REFERENCE, "action"), re.MULTILINE)
    expected = [(name, spec["description"], default_of(spec)) for name, spec in ACTION["inputs"].items()]
    expected += [(name, spec["description"], "") for name, spec in ACTION["outputs"].items()]
    assert rows == expected


@pytest.mark.parametrize("text", [README, CI], ids=["README.md", "docs/how-to/ci.md"])
def test_documents_list_the_exit_codes_of_help(text):
    """Each code is explained by the words with which `gate --help` begins to explain it."""
    help_text = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    told = dict(re.findall(r"\b([0-3]|130) ([a-z][^;.]*)", help_text.split("Exit codes:")[1].split("Anything")[0]))
    found = {code: re.split(r"[:;(]", meaning)[0].strip() for code, meaning in EXIT.findall(text)}
    assert sorted(found) == ["0", "1", "130", "2", "3"]
    assert all(told[code].startswith(meaning) for code, meaning in found.items()), (told, found)


def test_the_workflow_in_readme_has_ten_lines_and_is_valid(tmp_path):
    """What a newcomer copies is a whole workflow by GitHub's schema, and gives inputs that the action has."""
    text = re.search(r"```yaml\n(.+?)```", part(README, "workflow"), re.DOTALL)[1]
    assert len(text.splitlines()) == 10
    file = tmp_path / "workflow.yml"
    file.write_text(text)
    checked = command(
        sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(file)
    )
    assert checked.returncode == 0, checked.stdout
    (step,) = yaml.safe_load(text)["jobs"]["gate"]["steps"]
    assert step["with"].keys() <= ACTION["inputs"].keys()


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-actions", ["action.yml"]),
        (
            "github-workflows",
            [".github/workflows/ci.yml", ".github/workflows/audit.yml", ".github/workflows/release.yml"],
        ),
    ],
)
def test_action_and_workflows_fit_githubs_schemas(schema, files):
    """The schemas that GitHub's editors use have no objection."""
    checked = command(sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
    assert checked.returncode == 0, checked.stdout


def test_zizmor_has_nothing_to_say():
    """No template is expanded in a script, nothing is unpinned, no permission is too wide."""
    checked = command(
        str(Path(sys.executable).with_name("zizmor")), "--offline", "--no-progress", "action.yml", ".github"
    )
    assert checked.returncode == 0, checked.stdout
    assert "No findings to report" in checked.stdout


def test_inputs_reach_the_script_as_variables_alone():
    """Every input is mapped to one variable, and the step's command names none of them."""
    (step,) = ACTION["runs"]["steps"]
    mapped = [re.fullmatch(r"\$\{\{ inputs\.([a-z-]+) \}\}", value)[1] for value in step["env"].values()]
    unmapped = ACTION["inputs"].keys() - set(mapped)
    assert unmapped == set()
    assert "${{" not in step["run"]
    assert "uses" not in step


def test_variables_of_the_action_are_options_of_the_gate():
    """A `GATE_…` variable that no option reads would be an input without effect."""
    (step,) = ACTION["runs"]["steps"]
    read = set()
    commands = [main]
    while commands:
        current = commands.pop()
        commands += getattr(current, "commands", {}).values()
        for option in current.params:
            read |= {option.envvar} if isinstance(option.envvar, str) else set(option.envvar or ())
    assert {name for name in step["env"] if name.startswith("GATE_")} <= read


@pytest.mark.parametrize("text", [README, CI], ids=["README.md", "docs/how-to/ci.md"])
def test_examples_pin_other_peoples_actions_by_hash(text):
    """Every action in an example is pinned by a full hash, but for the gate itself."""
    named = re.findall(r"(?:uses: |`)([\w-]+/[\w/-]+)@([^\s`]+)", text)
    assert named
    for name, version in named:
        assert name == "OWNER/gate" or re.fullmatch(r"[0-9a-f]{40}", version), (name, version)


def test_examples_in_the_documents_are_yaml():
    """What is shown as YAML can be read as YAML."""
    blocks = re.findall(r"```yaml\n(.+?)```", CI, re.DOTALL)
    assert len(blocks) >= 4
    assert all(yaml.safe_load(block) for block in blocks)


def test_the_documented_outputs_exist():
    """Outputs and variables that docs/how-to/ci.md names are those that there are."""
    outputs = set(re.findall(r"steps\.gate\.outputs\.([a-z-]+)", CI))
    assert outputs
    assert outputs <= ACTION["outputs"].keys()


def block(language, after):
    """Return the first block of a language below a heading of docs/how-to/ci.md."""
    return re.search(rf"```{language}\n(.+?)```", CI.split(f"## {after}\n")[1], re.DOTALL)[1]


@pytest.mark.parametrize(
    ("code", "said"), [(0, "approved"), (1, "flagged: a person"), (2, "no verdict"), (3, "no verdict")]
)
def test_the_shell_example_goes_by_the_exit_code(code, said, tmp_path):
    """It says what the code means and ends with it, whatever shell is strict about errors."""
    gate = tmp_path / "gate"
    gate.write_text(f"#!/bin/sh\nexit {code}\n")
    gate.chmod(0o755)
    ended = subprocess.run(
        ["sh", "-e", "-c", block("sh", "Any shell")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.startswith(said)) == (code, True)


def test_the_azure_example_fits_azures_schema(tmp_path):
    """Azure's own schema of a pipeline has no objection."""
    file = tmp_path / "azure-pipelines.yml"
    file.write_text(block("yaml", "Azure Pipelines"))
    checked = command(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.azure-pipelines", str(file))
    assert checked.returncode == 0, checked.stdout


def test_the_gitlab_example_names_a_component_and_its_inputs():
    """The component is a file of templates/, and every input is one of its own."""
    (include,) = yaml.safe_load(block("yaml", "GitLab"))["include"]
    name = re.fullmatch(r"\$CI_SERVER_FQDN/GROUP/gate/([a-z-]+)@COMMIT", include["component"])[1]
    header = (ROOT / "templates" / f"{name}.yml").read_text(encoding="utf-8").partition("\n---\n")[0]
    inputs = yaml.safe_load(header)["spec"]["inputs"]
    assert include["inputs"].keys() <= inputs.keys()
    assert {key for key, spec in inputs.items() if "default" not in spec} <= include["inputs"].keys()


def test_a_release_is_compared_before_it_is_signed_and_signed_before_it_is_drafted():
    """No job that may sign or write runs code of the checkout; a second build has confirmed the files."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))["jobs"]
    order = {name: job.get("needs") for name, job in jobs.items()}
    assert order == {
        "build": None,
        "again": "build",
        "attest": ["build", "again"],
        "base": None,
        "image": ["build", "base"],
        "join": "image",
        "publish": ["attest", "join"],
        "draft": ["attest", "publish"],
    }
    for name, job in jobs.items():
        writes = {scope for scope, right in job["permissions"].items() if right == "write"}
        fetched = any(step.get("uses", "").startswith("actions/checkout@") for step in job["steps"])
        assert (name in {"attest", "publish", "draft"}) == bool(writes)
        assert not (writes and fetched)


def test_the_tag_that_a_release_is_made_of_names_the_version():
    """The step's own command, run as the runner runs it."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))["jobs"]
    (step,) = [one["run"] for one in jobs["build"]["steps"] if one["name"].startswith("The tag")]
    for tag, code in ((f"v{VERSION}", 0), ("v9.9.9", 1), (VERSION, 1)):
        environment = {**os.environ, "GITHUB_REF_NAME": tag}
        ended = subprocess.run(["bash", "-eo", "pipefail", "-c", step], cwd=ROOT, env=environment, check=False)
        assert ended.returncode == code
