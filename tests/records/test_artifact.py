"""References, manifests and private copies."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.records.artifact import ArtifactFile, Manifest, ModelRef, build_manifest, make_read_only, make_writable
from gate.records.errors import UsageError

NAMES = st.text(min_size=1, max_size=60)


@given(st.builds(ModelRef, registry=st.just("mlflow"), name=NAMES, version=st.integers(0, 10**9).map(str)))
def test_a_registered_version_reads_back_as_it_was_written(ref):
    """Whatever the name holds, `parse` undoes `str`."""
    assert ModelRef.parse(str(ref)) == ref


@given(st.builds(ModelRef, registry=st.just("directory"), name=NAMES))
def test_a_directory_reads_back_as_it_was_written(ref):
    """Whatever the path holds, `parse` undoes `str`."""
    assert ModelRef.parse(str(ref)) == ref


@pytest.mark.parametrize(
    "text",
    ["", "models:/name", "models:/name/latest", "models:/name@alias", "name/3", "directory:", "models:/m/" + "9" * 65],
)
def test_what_is_no_reference_is_a_usage_error(text):
    """Only a fixed version or a directory names a model."""
    with pytest.raises(UsageError, match="expected models:/NAME/VERSION or directory:PATH"):
        ModelRef.parse(text)


@pytest.mark.parametrize(("registry", "version"), [("mlflow", None), ("directory", "3"), ("other", "3")])
def test_versions_stand_where_they_belong(registry, version):
    """A registered model has a version, a directory has none, and there are no other registries."""
    with pytest.raises(ValueError, match=r"version|pattern"):
        ModelRef(registry=registry, name="m", version=version)


FILES = st.lists(
    st.builds(
        ArtifactFile,
        path=st.text(min_size=1, max_size=20),
        size_bytes=st.integers(0, 1000),
        sha256=st.integers(0, 2**256 - 1).map("{:064x}".format),
    ),
    unique_by=lambda file: file.path,
    max_size=6,
)


@given(FILES, st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order_of_files(files, random):
    """The same files in another order have the same name."""
    shuffled = list(files)
    random.shuffle(shuffled)
    assert Manifest(files=tuple(shuffled)).digest == Manifest(files=tuple(files)).digest


@given(FILES, FILES)
def test_different_manifests_have_different_digests(one, other):
    """No path, however odd, makes one list of files read as another."""
    first, second = Manifest(files=tuple(one)), Manifest(files=tuple(other))
    same = sorted(one, key=lambda file: file.path) == sorted(other, key=lambda file: file.path)
    assert (first.digest == second.digest) == same


def test_a_path_cannot_forge_a_second_line():
    """Line breaks in a name are escaped, so that one file never reads as two."""
    digest = "0" * 64
    one = Manifest(files=(ArtifactFile(path=f'a"\n{digest}  1  "b', size_bytes=1, sha256=digest),))
    two = Manifest(files=tuple(ArtifactFile(path=path, size_bytes=1, sha256=digest) for path in "ab"))
    assert one.digest != two.digest
    assert "\n" not in one.files[0].line()


@pytest.fixture
def folder(tmp_path):
    """Return a small model folder."""
    root = tmp_path / "model"
    (root / "data").mkdir(parents=True)
    (root / "MLmodel").write_bytes(b"flavors: {}\n")
    (root / "data" / "model.pt2").write_bytes(bytes(range(100)))
    return root


def test_the_manifest_lists_regular_files_by_relative_path(folder):
    """Paths are relative with forward slashes and sorted; sizes add up."""
    manifest, problems = build_manifest(folder)
    assert [file.path for file in manifest.files] == ["MLmodel", "data/model.pt2"]
    assert manifest.size_bytes == 112
    assert problems == ()


def test_any_byte_changes_the_digest(folder):
    """One flipped bit, one renamed file or one file more gives another name."""
    before = build_manifest(folder)[0].digest
    path = folder / "data" / "model.pt2"
    raw = path.read_bytes()
    seen = {before}
    for position in (0, 50, 99):
        path.write_bytes(raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :])
        seen.add(build_manifest(folder)[0].digest)
    path.write_bytes(raw)
    assert build_manifest(folder)[0].digest == before
    path.rename(folder / "data" / "model.pt3")
    seen.add(build_manifest(folder)[0].digest)
    (folder / "empty").touch()
    seen.add(build_manifest(folder)[0].digest)
    assert len(seen) == 6


def test_the_file_that_the_registry_adds_is_no_part_of_the_model(folder):
    """`registered_model_meta` differs from download to download; below a folder the name means nothing."""
    before = build_manifest(folder)[0]
    (folder / "registered_model_meta").write_text("name: m\n")
    assert build_manifest(folder)[0] == before
    (folder / "data" / "registered_model_meta").write_text("name: m\n")
    assert build_manifest(folder)[0] != before


def test_what_is_no_regular_file_is_a_problem(folder):
    """Links to files and folders, pipes and names beyond UTF-8 are said, and never followed."""
    (folder / "link").symlink_to(folder / "MLmodel")
    (folder / "folder-link").symlink_to("/")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"odd-\xff")).write_bytes(b"x")
    manifest, problems = build_manifest(folder)
    assert [file.path for file in manifest.files] == ["MLmodel", "data/model.pt2"]
    assert len(problems) == 5
    for name in ("'link'", "'folder-link'", "'dangling'", "'pipe'", "not UTF-8"):
        assert any(name in problem for problem in problems)
    for problem in problems:
        problem.encode()


def test_a_copy_is_made_read_only_and_can_be_removed(folder):
    """Files lose their write permission, a link's target does not, and the owner gets it back."""
    outside = folder.parent / "outside"
    outside.touch(mode=0o644)
    (folder / "link").symlink_to(outside)
    make_read_only(folder)
    assert not (folder / "MLmodel").stat().st_mode & 0o222
    assert outside.stat().st_mode & stat.S_IWUSR
    make_writable(folder)
    (folder / "data" / "model.pt2").unlink()
    assert not (folder / "data" / "model.pt2").exists()
