"""Archives compared with torch's own reader, and torch archives that hold more than their pickle names."""

import io
import warnings

import pytest
import torch
from torch import nn

from gate.formats.source import Bounds, open_source
from gate.formats.strict_zips import strict_zip
from gate.formats.zip_members import Member
from gate.programs import RefusedError, read_program
from gate.programs.readers import torch_archive
from gate.programs.readers.torch_archive import difference, read_torch_zip
from gate.records.errors import UnexaminableError
from gate.worker.loading.modules import load_library_module
from tests.corpus import containers
from tests.corpus.consumers import exported
from tests.corpus.zip_writing import build


def written(tmp_path, raw, name="model.pth"):
    """Write a file and return its path."""
    path = tmp_path / name
    path.write_bytes(raw)
    return path


def compared(path, change=lambda member: member):
    """Return the difference from torch's reader, with the gate's members changed as if it had misread them."""
    with open_source(path) as source:
        return difference(path, source, [change(member) for member in strict_zip(source, Bounds())])


def test_torchs_reader_sees_what_the_strict_one_sees(tmp_path):
    """Programs and state dicts as torch writes them: the same list, places and bytes."""
    assert compared(written(tmp_path, exported())) == ""
    assert compared(written(tmp_path, containers.saved())) == ""


def _other(member, **values):
    return Member(**{**vars(member), **values})


MISREADINGS = {
    "another name": (lambda one: _other(one, name=one.name.replace("weight_0", "weight_9")), "the first that differs"),
    "another place": (lambda one: _other(one, data_offset=one.data_offset + 64), "torch's reader finds"),
    "another length": (
        lambda one: _other(one, size=one.size + 1, compressed_size=one.size + 1),
        "torch's reader finds",
    ),
    "another checksum": (lambda one: _other(one, crc=one.crc ^ 1), "checksum does not hold"),
}


@pytest.mark.parametrize("kind", MISREADINGS)
def test_a_difference_from_torchs_reader_is_named(kind, tmp_path):
    """Should the strict grammar ever let two readings through, the comparison says in which member they differ."""
    change, message = MISREADINGS[kind]
    assert message in compared(written(tmp_path, exported()), change)


def test_other_bytes_of_torchs_reader_are_found(tmp_path, monkeypatch):
    """Byte for byte: a reader that hands over one other byte is refused with member and place."""

    class Reader:
        def __init__(self, path):
            self._real = real(path)

        def __getattr__(self, name):
            return getattr(self._real, name)

        def get_storage_from_record(self, name, size, kind):
            read = self._real.get_storage_from_record(name, size, kind)
            torch.empty(0, dtype=torch.uint8).set_(read.untyped_storage())[size - 1] ^= 1
            return read

    real = torch._C.PyTorchFileReader
    monkeypatch.setattr(torch_archive.torch._C, "PyTorchFileReader", Reader)
    path = written(tmp_path, exported(), "model.pt2")
    assert "'archive/data/weights/weight_0': torch's reader reads other bytes" in compared(path)
    with pytest.raises(RefusedError, match="reads other bytes"):
        read_program(path)


@pytest.mark.parametrize(
    "name", ["slack", "unnamed-record", "unlisted-weight", "two-directories", "folder-bit", "comment"]
)
def test_the_strict_reader_refuses_the_container_itself(name, tmp_path):
    """Should the byte detectors be overruled, the reader in the scan worker refuses the same archives."""
    write = next(write for case, _, write, _ in containers._PROGRAMS if case == name)
    with pytest.raises(RefusedError):
        read_program(written(tmp_path, write(), "model.pt2"))


@pytest.mark.parametrize(("change", "message"), [
    (containers._longer_record, "has 112 bytes; expected 48"),
    (containers._more_record, "belongs to no tensor"),
    (lambda parts: parts.append(containers.Part(b"archive/constants.pkl", b"")), "none that torch.save writes"),
    (lambda parts: setattr(containers.part(parts, "byteorder"), "content", b"big"), "something else"),
    (lambda parts: parts.remove(containers.part(parts, "data/1")), "is named by 'archive/data.pkl' and absent"),
    (lambda parts: setattr(containers.part(parts, "data/0"), "deflated", True), "is compressed"),
])  # fmt: skip
def test_a_torch_archive_that_is_not_what_its_pickle_says_is_refused(change, message, tmp_path):
    """Records of another length, without a name or without a place, and members of other writers."""
    with pytest.raises(UnexaminableError, match=message):
        read_torch_zip(written(tmp_path, containers._saved_with(change)))


def test_a_pickled_network_in_an_ambiguous_archive_is_refused_and_in_a_plain_one_read(tmp_path):
    """The loader of library layers asks for the container first."""
    out = io.BytesIO()
    torch.save(nn.Sequential(nn.Linear(3, 2)), out)
    assert load_library_module(written(tmp_path, out.getvalue())) is not None
    parts = containers.parts_of(out.getvalue())
    parts[0].central["external"] = 0x10
    with pytest.raises(UnexaminableError, match="attributes"):
        load_library_module(written(tmp_path, bytes(build(parts).raw)))


def test_a_file_of_the_time_before_zips_is_no_archive(tmp_path):
    """It is no zip at all, and nothing that the gate loads."""
    out = io.BytesIO()
    torch.save(nn.Linear(3, 2), out, _use_new_zipfile_serialization=False)
    path = written(tmp_path, out.getvalue())
    assert read_torch_zip(path) is None
    assert load_library_module(path) is None


def test_a_view_of_a_larger_tensor_is_refused_with_advice(tmp_path):
    """Torch exports the whole tensor behind a view; its other numbers would be approved unseen."""

    class View(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.arange(100.0)[10:20])

        def forward(self, x):
            return x * self.w

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(View(), (torch.ones(2, 10),)), tmp_path / "model.pt2")
    with pytest.raises(RefusedError, match=r"holds 100 elements; expected 20"):
        read_program(tmp_path / "model.pt2")
