"""The base beside a scan: hashed at the pull and once after the last worker, which finds what has changed meanwhile."""

import shutil

import pytest

from gate.check import evidence as module
from gate.check.base_model import asked_base, bring_base, evidence_of_base
from gate.check.check import CheckRequest, check
from gate.check.evidence import ScanSettings
from gate.check.rules import read_rules
from gate.formats.adapters.base import read_base
from gate.policies.packaged import ADAPTER
from gate.records.adapters import Base
from gate.records.artifact import ArtifactFile, ModelRef
from gate.records.policy import DownloadBounds
from gate.registries.directory import DirectoryRegistry
from tests.adapters.written import Draft, write_base

WEIGHTS = "model/model.safetensors"


def brought(source, tmp_path):
    """Return the base in a folder as a check brings it."""
    return bring_base(DirectoryRegistry(), asked_base(str(source)), DownloadBounds(), tmp_path / "brought")


FILES = (
    "model/config.json",
    "model/generation_config.json",
    "components/tokenizer/tokenizer.json",
    "components/tokenizer/tokenizer_config.json",
    "components/tokenizer/chat_template.jinja",
    "components/tokenizer/special_tokens_map.json",
    "components/tokenizer/added_tokens.json",
)


@pytest.mark.parametrize("name", FILES)
def test_a_base_is_known_by_what_is_read_of_it_beside_its_weights(name, tmp_path):
    """Each file that a candidate's is compared with; its weights stay the same."""
    root = write_base(tmp_path / "base")
    one = brought(root, tmp_path)
    (root / name).write_text("{}")
    other = brought(root, tmp_path)
    assert one.weights_digest == other.weights_digest
    assert one.beside_digest != other.beside_digest
    assert evidence_of_base(other).beside == other.beside_digest


def test_every_file_that_is_read_as_weights_is_in_their_digest(tmp_path):
    """A further file of tensors is read after the others; one in a folder that nobody reads is none of them."""
    root = write_base(tmp_path / "base")
    one = brought(root, tmp_path)
    (root / "original").mkdir()
    shutil.copy(root / WEIGHTS, root / "original" / "model.safetensors")
    assert brought(root, tmp_path).weights_digest == one.weights_digest
    shutil.copy(root / WEIGHTS, root / "model" / "zz.safetensors")
    assert {one.path.name for one in read_base(root).weights.values()} == {"zz.safetensors"}
    assert brought(root, tmp_path).weights_digest != one.weights_digest


def test_no_name_stands_for_two_files():
    """Names are whatever a disk takes: one with an end of a line could look like a file more."""

    def known(*files):
        ref = ModelRef(registry="directory", name="b")
        named = tuple(ArtifactFile(path=path, size_bytes=1, sha256=sha256) for path, sha256 in files)
        return Base(uri="b", model=ref, files=named).beside_digest

    one, other = 64 * "a", 64 * "b"
    assert known(("config.json", one), ("tokenizer.json", other)) != known(
        (f"config.json\n{other}  tokenizer.json", one)
    )


def test_what_a_base_is_logged_with_does_not_tell_it_apart(tmp_path):
    """Logged by MLflow or left by `save_pretrained`, with a card or without, it is the same base."""
    root, flat = write_base(tmp_path / "base"), tmp_path / "flat"
    flat.mkdir()
    for folder in (root / "model", root / "components" / "tokenizer"):
        shutil.copytree(folder, flat, dirs_exist_ok=True)
    (flat / "README.md").write_text("a card")
    one, other = brought(root, tmp_path), brought(flat, tmp_path)
    assert (one.weights_digest, one.beside_digest) == (other.weights_digest, other.beside_digest)
    assert one.manifest.digest != other.manifest.digest


@pytest.mark.parametrize("changes", [False, True])
def test_a_base_is_hashed_once_at_the_end(tmp_path, monkeypatch, changes):
    """Gigabytes are read no oftener than they must; a base that another process changes is a problem of the check."""
    own, hashed = module.build_manifest, []

    def build(root, *given):
        if root.name == "adapter-base":
            hashed.append(root)
            if changes:
                path = root / WEIGHTS
                path.chmod(0o644)
                path.write_bytes(path.read_bytes() + b"\0")
        return own(root, *given)

    monkeypatch.setattr(module, "build_manifest", build)
    adapter, base = Draft().write(tmp_path / "adapter"), write_base(tmp_path / "base")
    settings = ScanSettings(device="cpu", threads=1)
    asked = asked_base(str(base))
    request = CheckRequest(str(adapter), read_rules(ADAPTER), settings, tmp_path / "out", mark=False, base=asked)
    found = check(DirectoryRegistry(), request, lambda *_: None, lambda _: None).report.evidence
    assert len(hashed) == 1
    assert found.base is not None
    assert any("The base changed" in problem for problem in found.problems) == changes
