"""Environment files: what an installer would fetch for this model."""

from typing import Any

from tests.oracle.draft import Draft, InapplicableError
from tests.oracle.mutations.mutation import harmless, hostile
from tests.oracle.payloads import CANARY

KIND = "environment"
REQUIREMENTS = "requirements.txt"
ADDRESS = "https://example.org/charger.whl"


def _pip(environment: dict[str, Any]) -> list[Any]:
    return next(item for item in environment["dependencies"] if isinstance(item, dict))["pip"]


@harmless(KIND)
def unpinned(draft: Draft) -> None:
    """A package without a version, as MLflow writes what the user gave."""
    draft.line("pillow")


@harmless(KIND)
def ranges(draft: Draft) -> None:
    """Packages with ranges of versions."""
    draft.line("numpy>=2,<3\nscipy~=1.13\npandas!=2.2.0")


@harmless(KIND)
def extras_and_markers(draft: Draft) -> None:
    """A package with extras and one with a marker."""
    draft.line('mlflow[extras]==3.17.2\ntzdata==2025.1; platform_system == "Windows"')


@harmless(KIND)
def plain_comment(draft: Draft) -> None:
    """A comment and a blank line."""
    draft.line("\n# for the pictures\npillow==11.0.0  # newest\n")


@harmless(KIND)
def hashes(draft: Draft) -> None:
    """A package pinned by its hash as well."""
    draft.line(f"pillow==11.0.0 --hash=sha256:{'ab' * 32} --hash=sha256:{'cd' * 32}")


@harmless(KIND)
def capitals(draft: Draft) -> None:
    """A package's name in another case, with underscores."""
    draft.line("PyYAML==6.0.2\nTyping_Extensions==4.12.2")


@harmless(KIND)
def windows_lines(draft: Draft) -> None:
    """Lines that end as on Windows."""
    draft.text(REQUIREMENTS, lambda old: old.replace("\r\n", "\n").replace("\n", "\r\n"))


@harmless(KIND)
def constraints(draft: Draft) -> None:
    """Constraints in the file where MLflow puts them."""
    draft.line("-c constraints.txt")
    draft.add("constraints.txt", b"numpy<3\nscipy==1.14.0")
    draft.yaml("conda.yaml", lambda value: _pip(value).append("-c constraints.txt"))


@harmless(KIND)
def conda_package(draft: Draft) -> None:
    """A package from conda's own channel."""
    draft.yaml("conda.yaml", lambda value: value["dependencies"].insert(1, "numpy=2.1.0"))


@harmless(KIND)
def conda_channels(draft: Draft) -> None:
    """Channels that people name for torch."""
    draft.yaml("conda.yaml", lambda value: value.update(channels=["pytorch", "conda-forge", "defaults"]))


@harmless(KIND)
def build_without_versions(draft: Draft) -> None:
    """Build dependencies as earlier releases name them."""
    draft.yaml("python_env.yaml", lambda value: value.update(build_dependencies=["pip==24.0", "setuptools", "wheel"]))


@hostile(KIND, "installer: comment")
def comment_that_continues(draft: Draft) -> None:
    """A comment that ends in a backslash, whose next line pip does not take for a comment's."""
    draft.line("# pinned \\\ncharger==1.0")


@hostile(KIND)
def line_that_continues(draft: Draft) -> None:
    """A requirement over two lines, the second of which is an option."""
    draft.line(f"mlflow==3.17.2 --extra-index-\\\nurl {ADDRESS}")


@hostile(KIND)
def name_that_continues(draft: Draft) -> None:
    """A name over two lines, each of which is a listed one."""
    draft.line("torch\\\ntext-charger")


@hostile(KIND, "installer: coding")
def coding_line(draft: Draft) -> None:
    """A coding line by which pip reads UTF-7, and a package in that."""
    old = draft.files.get(REQUIREMENTS, b"")
    draft.files[REQUIREMENTS] = b"# -*- coding: utf-7 -*-\n" + old.rstrip(b"\n") + b"\n# +AAo-charger\n"


@hostile(KIND)
def coding_further_down(draft: Draft) -> None:
    """A coding line in the second place, in the spelling of editors."""
    old = draft.files.get(REQUIREMENTS, b"")
    draft.files[REQUIREMENTS] = b"#\n# vim: set fileencoding=utf-7 :\n" + old.rstrip(b"\n") + b"\n# +AAo-charger\n"


@hostile(KIND)
def byte_order_mark(draft: Draft) -> None:
    """Requirements in UTF-16 with a mark, which pip reads."""
    draft.files[REQUIREMENTS] = "mlflow==3.17.2\ncharger==1.0\n".encode("utf-16")


@hostile(KIND)
def odd_line_ends(draft: Draft) -> None:
    """A character in a comment at which pip's splitting ends the line."""
    odd = draft.dice.choice((b"\x0c", b"\x0b", b"\x1c", b"\x1d", b"\x1e", b"\xc2\x85", b"\xe2\x80\xa8", b"\r"))
    draft.line(b"numpy # " + odd + b"charger")


@hostile(KIND)
def address(draft: Draft) -> None:
    """A package by its address."""
    draft.line(draft.dice.choice((ADDRESS, "git+https://example.org/charger.git", f"charger @ {ADDRESS}")))


@hostile(KIND)
def listed_name_from_address(draft: Draft) -> None:
    """A listed name, from an address."""
    draft.line(f"torch @ {ADDRESS}")


@hostile(KIND)
def option(draft: Draft) -> None:
    """An option of pip."""
    options = (
        f"--index-url {ADDRESS}",
        f"--extra-index-url={ADDRESS}",
        "--find-links wheels",
        "-f wheels",
        f"-i {ADDRESS}",
        "--trusted-host example.org",
        "--pre",
        "--no-binary :all:",
        "--prefer-binary",
        "--use-feature=fast-deps",
    )
    draft.line(draft.dice.choice(options))


@hostile(KIND)
def option_on_requirement(draft: Draft) -> None:
    """An option of one requirement, which runs its setup with settings."""
    draft.line(draft.dice.choice(("torch==2.13.0 --config-settings=charger=1", "torch --global-option=charger")))


@hostile(KIND)
def path(draft: Draft) -> None:
    """A package from the folder itself."""
    line = draft.dice.choice(("./charger", "charger.zip", "-e .", "-e ./charger", "data/charger-1.0-py3-none-any.whl"))
    draft.line(line)
    draft.add("charger/setup.py", b"raise SystemExit\n")


@hostile(KIND)
def other_file(draft: Draft) -> None:
    """A second file of requirements that the first one names."""
    draft.line(draft.dice.choice(("-r more.txt", "--requirement=more.txt", "-rmore.txt", "-c more.txt")))
    draft.add("more.txt", b"charger==1.0\n")


@hostile(KIND)
def constraints_with_address(draft: Draft) -> None:
    """Constraints that give a listed name an address."""
    draft.line("-c constraints.txt")
    draft.add("constraints.txt", f"numpy @ {ADDRESS}\n".encode())


@hostile(KIND)
def constraints_of_comments(draft: Draft) -> None:
    """Constraints whose comment goes on in the next line."""
    draft.line("-c constraints.txt")
    draft.add("constraints.txt", f"# pinned \\\n--index-url {ADDRESS}\n".encode())


@hostile(KIND)
def unlisted(draft: Draft) -> None:
    """A package that nobody listed."""
    draft.line(draft.dice.choice(("charger", "torch-charger==2.13.0", "mlflow.charger", "torch2==1.0", "t0rch")))


@hostile(KIND)
def lookalike(draft: Draft) -> None:
    """A name that looks like a listed one, by letters of another script."""
    draft.line("t\u043erch==2.13.0")


@hostile(KIND)
def variable(draft: Draft) -> None:
    """A variable of the installer's environment."""
    draft.line(draft.dice.choice((f"${{{CANARY}}}", f"torch==${{{CANARY}}}", f"# ${{{CANARY}}}\nnumpy[${{{CANARY}}}]")))


@hostile(KIND)
def version_by_letter(draft: Draft) -> None:
    """A version by the letter, which pip takes for a file or an option."""
    draft.line(draft.dice.choice(("torch===1/charger.zip", "torch === --config-settings=charger=1", "torch===2.13.0")))


@hostile(KIND)
def marker_with_more(draft: Draft) -> None:
    """A second requirement behind a marker."""
    draft.line(
        draft.dice.choice(("numpy; python_version>'3' charger", "numpy ;charger", "numpy charger", "numpy,scipy"))
    )


@hostile(KIND)
def comment_without_blank(draft: Draft) -> None:
    """A sign of comment that is none, since no blank stands before it."""
    draft.line(draft.dice.choice(("numpy#charger", "numpy==2.1#egg=charger", "numpy>=2#")))


@hostile(KIND)
def conda_pip_lines(draft: Draft) -> None:
    """An option in a text of conda's pip section, alone or behind a line's end."""
    texts = (f"mlflow\n--index-url {ADDRESS}", f"--index-url {ADDRESS}", "charger==1.0", "-r more.txt", "# \\\ncharger")
    draft.yaml("conda.yaml", lambda value: _pip(value).append(draft.dice.choice(texts)))


@hostile(KIND)
def conda_channel_elsewhere(draft: Draft) -> None:
    """A channel by its address, or one that nobody listed."""
    channel = draft.dice.choice(("https://example.org/channel", "charger", "Conda-Forge", "conda-forge/label/charger"))
    draft.yaml("conda.yaml", lambda value: value["channels"].insert(0, channel))


@hostile(KIND)
def conda_package_elsewhere(draft: Draft) -> None:
    """A conda package of another channel or from an address."""
    specs = (
        "charger::numpy",
        "https://example.org/numpy.conda",
        "charger=1.0",
        "numpy[channel=charger]",
        "conda-forge::numpy",
    )
    draft.yaml("conda.yaml", lambda value: value["dependencies"].insert(0, draft.dice.choice(specs)))


@hostile(KIND)
def conda_keys(draft: Draft) -> None:
    """Keys of conda's that run or fetch more."""
    more = draft.dice.choice(({"prefix": "/opt"}, {"variables": {"LD_PRELOAD": "./data/charger.so"}}))
    draft.yaml("conda.yaml", lambda value: value.update(more))


@hostile(KIND)
def conda_pip_mapping(draft: Draft) -> None:
    """A second mapping among conda's dependencies."""
    draft.yaml("conda.yaml", lambda value: value["dependencies"].append({"npm": ["charger"]}))


@hostile(KIND)
def conda_without_pip(draft: Draft) -> None:
    """Two pip sections, the second with more."""
    draft.yaml("conda.yaml", lambda value: value["dependencies"].append({"pip": ["charger==1.0"]}))


@hostile(KIND)
def virtualenv_packages(draft: Draft) -> None:
    """Packages in the file of the virtual environment."""
    more = draft.dice.choice(("charger==1.0", "-r more.txt", f"torch @ {ADDRESS}", "--pre"))
    draft.yaml("python_env.yaml", lambda value: value["dependencies"].append(more))


@hostile(KIND)
def virtualenv_build(draft: Draft) -> None:
    """A build dependency from elsewhere."""
    more = draft.dice.choice((f"pip @ {ADDRESS}", "charger", "./charger", f"--index-url={ADDRESS}"))
    draft.yaml("python_env.yaml", lambda value: value["build_dependencies"].append(more))


@hostile(KIND)
def virtualenv_python(draft: Draft) -> None:
    """A version of Python that is a path or an option."""
    draft.yaml(
        "python_env.yaml", lambda value: value.update(python=draft.dice.choice(("./data/python", "--help", "3.11; id")))
    )


@hostile(KIND)
def yaml_twice(draft: Draft) -> None:
    """Dependencies twice: parsers keep the last ones."""
    draft.text("conda.yaml", lambda old: old + "dependencies:\n- python=3.11.7\n- pip\n- pip:\n  - charger==1.0\n")


@hostile(KIND)
def yaml_alias(draft: Draft) -> None:
    """A dependency by an alias."""
    draft.text("python_env.yaml", lambda old: old.replace("- -r requirements.txt", "- &x charger==1.0\n- *x"))


@hostile(KIND)
def yaml_utf_16(draft: Draft) -> None:
    """The conda environment in UTF-16."""
    if "conda.yaml" not in draft.files:
        raise InapplicableError("no conda.yaml")
    draft.files["conda.yaml"] = "dependencies: [python=3.11, {pip: [charger]}]\n".encode("utf-16")


@harmless(KIND)
def without_conda_versions(draft: Draft) -> None:
    """The environment of pip in conda's file without a version, as pip_requirements=["torch"] leaves it."""
    draft.yaml("conda.yaml", lambda value: _pip(value).append("torchvision"))


@harmless(KIND)
def last_line_without_end(draft: Draft) -> None:
    """Requirements whose last line ends, as people's editors leave it."""
    draft.text(REQUIREMENTS, lambda old: old.rstrip("\n") + "\n\n")
