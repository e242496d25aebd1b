"""Samples are bounded over the whole and by reading: lying headers, bombs, objects, changed folders."""

import hashlib
import io
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from gate.formats.sealing import ChangedError
from gate.records.artifact import build_manifest
from gate.records.errors import UnexaminableError
from gate.spaces.image import folders, stored
from gate.spaces.image.samples import read_samples


def sha256(path):
    """Return the digest as the pull takes it."""
    if path.is_dir():
        return build_manifest(path)[0].digest.removeprefix("sha256:")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path):
    """Read samples that nobody has changed."""
    return read_samples(path, "of the test", sha256(path))


def npy(array):
    """Return an array as the bytes of an `.npy` file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def header(shape, dtype="<f4"):
    """Return the header alone of an array that claims to be so large."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def packed(path, members, method=zipfile.ZIP_DEFLATED):
    """Write a zip of these members."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, ">f4", np.float16])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path, dtype, order, save):
    """Every type and order, packed or not, with labels and further arrays."""
    inputs = np.asarray(np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5), dtype=dtype, order=order)
    save(tmp_path / "s.npz", inputs=inputs, labels=np.arange(2), names=np.asarray(["a", "b"]))
    raw = read(tmp_path / "s.npz")
    assert raw.inputs.dtype == inputs.dtype
    assert np.array_equal(raw.inputs, inputs)
    assert np.array_equal(raw.labels, np.arange(2))


def liar(path):
    """Write a member whose directory and header state a kilobyte and that inflates to 64 MiB."""
    raw = header((1 << 24,)) + bytes(1 << 26)
    packed(path, {"inputs.npy": raw})
    stored = path.read_bytes()
    assert stored.count(struct.pack("<L", len(raw))) >= 2
    path.write_bytes(stored.replace(struct.pack("<L", len(raw)), struct.pack("<L", 1000)))


BOMBS = {
    "a hundred arrays": (
        lambda path: packed(path, {f"a{number}.npy": npy(np.zeros(1 << 16)) for number in range(100)}),
        "hold 100 arrays; at most 64 are read",
    ),
    "a shape that nobody could hold": (
        lambda path: packed(path, {"inputs.npy": header((1 << 40, 1 << 10))}),
        "unpack to more than 4 GiB in all",
    ),
    "a negative shape": (lambda path: packed(path, {"inputs.npy": header((-4, 4))}), "states the shape (-4, 4)"),
    "more bytes than the header states": (
        lambda path: packed(path, {"inputs.npy": npy(np.zeros(4)) + b"more"}),
        "states 32 bytes and holds more",
    ),
    "fewer bytes than the header states": (
        lambda path: packed(path, {"inputs.npy": npy(np.zeros(4))[:-8]}),
        "states 32 bytes and holds 24",
    ),
    "a size in the directory that is a lie": (liar, "cannot be read as arrays|states 67108864 bytes and holds"),
    "Python objects": (
        lambda path: packed(path, {"inputs.npy": npy(np.asarray([{}, []], dtype=object))}),
        "holds Python objects, which are pickles",
    ),
    "two arrays of one name": (
        lambda path: packed(path, {"inputs.npy": npy(np.zeros(4)), "inputs": b""}),
        "two arrays of one name",
    ),
    "another compression": (
        lambda path: packed(path, {"inputs.npy": npy(np.zeros(4))}, zipfile.ZIP_LZMA),
        "is not packed as numpy packs it",
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_words(tmp_path, bomb):
    """Whatever directory and header state, no more is made room for than is read, and the reason is said."""
    write, why = BOMBS[bomb]
    write(tmp_path / "s.npz")
    with pytest.raises(UnexaminableError, match=why.replace("(", r"\(").replace(")", r"\)")):
        read(tmp_path / "s.npz")


def test_the_arrays_share_one_bound(tmp_path, monkeypatch):
    """Inputs and labels that each fit do not fit together."""
    np.savez(tmp_path / "s.npz", inputs=np.zeros(100, np.uint8), labels=np.zeros(100, np.uint8))
    monkeypatch.setattr(stored, "MAX_BYTES", 500)
    read(tmp_path / "s.npz")
    monkeypatch.setattr(stored, "MAX_BYTES", 150)
    with pytest.raises(UnexaminableError, match="unpack to"):
        read(tmp_path / "s.npz")


@pytest.fixture
def folder(tmp_path):
    """Return a folder of three classes with two images each."""
    for label in ("0", "1", "10"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(2):
            image = np.full((4, 4), int(label) * 10 + number, np.uint8)
            Image.fromarray(image).save(tmp_path / "images" / label / f"{number}.png")
    (tmp_path / "images" / "README").write_text("what they are")
    return tmp_path / "images"


def test_a_folder_is_read_in_the_order_of_its_classes(folder):
    """Labels follow the names as numbers; files beside the images count for the digest alone."""
    raw = read(folder)
    assert raw.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert raw.inputs[:, 0, 0].tolist() == [0, 1, 10, 11, 100, 101]


def test_folders_whose_names_are_one_number_have_one_order(folder):
    """The order in which a disk lists them decides no label; a digit that is no number sorts by name."""
    for name in ("01", "²"):
        shutil.copytree(folder / "1", folder / name)
    assert [name for name, _ in sorted(folders._labels(folder).items(), key=lambda one: one[1])] == [
        "0", "01", "1", "10", "²",
    ]  # fmt: skip
    assert len(read(folder).labels) == 10


def swap_image(folder):
    """Exchange an image."""
    Image.fromarray(np.full((4, 4), 9, np.uint8)).save(folder / "0" / "0.png")


def move_image(folder):
    """Give an image to another class."""
    shutil.move(folder / "0" / "0.png", folder / "1" / "2.png")


def add_file(folder):
    """Add what is no image."""
    (folder / "1" / "note.txt").write_text("x")


@pytest.mark.parametrize("change", [swap_image, move_image, add_file])
def test_a_folder_that_changed_is_refused_by_both_digests(folder, change):
    """The digest of the folder's manifest, taken of the bytes that were decoded."""
    before = sha256(folder)
    change(folder)
    with pytest.raises(ChangedError) as caught:
        read_samples(folder, "of the test", before)
    assert f"pulled sha256:{before}, read sha256:{sha256(folder)}" in str(caught.value)


def png(width, height):
    """Return a PNG that states a size and holds next to nothing."""

    def chunk(kind, raw):
        return struct.pack(">L", len(raw)) + kind + raw + struct.pack(">L", zlib.crc32(kind + raw))

    size = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def test_an_image_bomb_is_refused_in_words(folder):
    """Pixels are counted before they are unpacked."""
    (folder / "0" / "9.png").write_bytes(png(60_000, 60_000))
    with pytest.raises(UnexaminableError, match=r"image '9\.png' of the samples cannot be read"):
        read(folder)


def test_the_images_share_one_bound(folder, monkeypatch):
    """Six images of 16 pixels are more than 90 bytes."""
    monkeypatch.setattr(stored, "MAX_BYTES", 90)
    with pytest.raises(UnexaminableError, match="in all"):
        read(folder)


def test_too_many_files_are_refused(folder, monkeypatch):
    """The count is one over all classes."""
    digest = sha256(folder)
    monkeypatch.setattr(folders, "MAX_SAMPLE_FILES", 5)
    with pytest.raises(UnexaminableError, match="more than 5 files"):
        read_samples(folder, "of the test", digest)


def test_only_the_formats_of_the_names_are_decoded(folder):
    """A GIF under the name of a PNG would reach a decoder that nobody asked for."""
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "0" / "8.png", format="GIF")
    with pytest.raises(UnexaminableError, match="cannot be read"):
        read(folder)


@pytest.mark.parametrize("name", ["00", "0a", "9"])
def test_a_class_without_images_is_refused(folder, name):
    """An empty folder leaves the digest as it is and would move the labels of the classes after it."""
    digest = build_manifest(folder)[0].digest
    (folder / name).mkdir()
    assert build_manifest(folder)[0].digest == digest
    with pytest.raises(UnexaminableError, match=f"a subfolder '{name}' without images"):
        read(folder)


def test_a_link_to_a_folder_is_no_class(folder, tmp_path):
    """Nothing is read through it, and it moves no label unseen."""
    (tmp_path / "other").mkdir()
    (folder / "0a").symlink_to(tmp_path / "other")
    with pytest.raises(UnexaminableError, match="a subfolder '0a' without images"):
        read(folder)
