"""The strict grammar of zips: what the writers write is read, what two readers could read differently is refused."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gate.formats import strict_zips
from gate.formats.source import Bounds, Source, UnreadableError, open_source
from gate.formats.strict_zips import AmbiguousZipError, strict_zip
from gate.formats.zips import read_zip
from tests.corpus import containers, zip_writing
from tests.corpus.consumers import exported
from tests.corpus.zip_writing import Part, build
from tests.formats import mutated_zips

QUICK, ALL = 1500, 20_000


def rule(raw, bounds=None):
    """Return the rule that an archive breaks; empty where it breaks none."""
    try:
        strict_zip(Source.of(bytes(raw)), bounds or Bounds())
    except AmbiguousZipError as error:
        return error.rule
    return ""


def names(raw):
    """Return the names that the strict reader lists."""
    return [member.name for member in strict_zip(Source.of(raw), Bounds())]


def written(save):
    """Return what a writer leaves in a stream."""
    out = io.BytesIO()
    save(out)
    return out.getvalue()


WRITERS = {
    "torch.save": lambda out: torch.save({"a": torch.arange(9.0), "none": torch.zeros(0)}, out),
    "torch.save of a network": lambda out: torch.save(torch.nn.Linear(3, 4), out),
    "torch.jit.save": lambda out: torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(2)), out),
    "numpy.savez": lambda out: np.savez(out, a=np.zeros(3), b=np.ones(4)),
    "numpy.savez_compressed": lambda out: np.savez_compressed(out, a=np.zeros(300)),
    "zipfile": lambda out: _by_zipfile(out, zipfile.ZIP_STORED),
    "zipfile, compressed": lambda out: _by_zipfile(out, zipfile.ZIP_DEFLATED),
}


def _by_zipfile(out, method):
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in (("m/größe", b"x" * 90), ("m/a", b""), ("m/b", bytes(1000))):
            archive.writestr(name, content)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_the_writers_leave_is_read(writer):
    """Archives of torch, NumPy and Python are accepted, and list what Python's zipfile lists."""
    raw = written(WRITERS[writer])
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert names(raw) == archive.namelist()
    assert read_zip(Source.of(raw), Bounds()).faults == ()


def test_an_exported_program_and_the_archive_inside_it_are_read():
    """torch.export.save leaves a zip64 record in both, and the inner one within the last 64 KiB of the outer."""
    assert names(exported())[0] == "archive/data/weights/weight_0"


def test_records_beyond_four_gigabytes_are_read_as_torch_lays_them_out(tmp_path):
    """Sizes and places above 32 bits stand in zip64 fields; the file is sparse, so that only its layout is real."""
    path = tmp_path / "big.pth"
    with torch.serialization.skip_data():
        torch.save({"big": torch.empty((1 << 30) + 5), "after": torch.empty(3), "none": torch.empty(0)}, path)
    with open_source(path) as source:
        members = {member.name: member for member in strict_zip(source, Bounds())}
    assert members["big/data/0"].size == (1 << 32) + 20
    reader = torch._C.PyTorchFileReader(str(path))
    assert members["big/data/1"].data_offset == reader.get_record_offset("data/1") > 1 << 32


def test_members_that_python_states_in_64_bits_are_read(monkeypatch):
    """Python's zipfile uses zip64 fields from two gigabytes on; with that limit lowered, the form is the same."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 500)
    monkeypatch.setattr(strict_zips, "_BEGINS_WIDE", 500)
    raw = written(lambda out: _by_zipfile(out, zipfile.ZIP_STORED))
    assert names(raw) == ["m/größe", "m/a", "m/b"]
    monkeypatch.setattr(strict_zips, "_BEGINS_WIDE", 1 << 31)
    assert rule(raw) == "extra"


def test_the_second_program_in_a_weight_is_what_torch_alone_reads(tmp_path):
    """The case that was once approved: zipfile reads one program and torch's reader another; the grammar refuses it."""
    raw = containers.two_directories()
    path = tmp_path / "model.pt2"
    path.write_bytes(raw)
    name = containers.WEIGHT
    with zipfile.ZipFile(path) as archive:
        outer = archive.read(f"archive/{name}")
    inner = torch._C.PyTorchFileReader(str(path)).get_record(name)
    assert len(inner) < len(outer)
    assert inner != outer[: len(inner)]
    assert rule(raw) == "zip64"
    assert any("zip64 locator" in fault for fault in read_zip(Source.of(raw), Bounds()).faults)


def test_an_end_record_that_reaches_to_the_end_is_refused_and_one_of_a_nested_archive_is_not():
    """A backward search must find the last one; an earlier one is harmless only where it cannot be the last."""
    nested = bytes(build([Part(b"m/inner", bytes(build([Part(b"i/x", b"x")]).raw))]).raw)
    assert rule(nested) == ""
    swallowing = zip_writing.end_record(0, 0, 0, 22 + 76 + 46 + len(b"m/inner") + 16)
    assert rule(build([Part(b"m/inner", swallowing)]).raw) == "end"


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_a_shorter_or_longer_file_is_refused(cut):
    """No byte may be missing or added at either end."""
    raw = exported()
    assert rule(raw[:-cut])
    assert rule(raw[cut:])
    assert rule(raw + bytes(cut))
    assert rule(bytes(cut) + raw)


def test_a_directory_that_states_too_many_members_ends_at_the_bound():
    """The count is compared with the bound before an entry is read."""
    raw = bytearray(build([Part(b"m/a", b"a")], zip64=False).raw)
    struct.pack_into("<HH", raw, len(raw) - 14, 60_000, 60_000)
    assert rule(raw) == "count"


def test_time_runs_out_inside_of_an_archive():
    """The bounds' tick may raise in the middle of the members."""
    raw = bytes(build([Part(f"m/{index}".encode(), b"") for index in range(1000)]).raw)
    left = iter(range(2))

    def tick():
        if next(left, None) is None:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        strict_zip(Source.of(raw), Bounds(tick=tick))


def test_every_refusal_is_of_the_readers_own_error():
    """Detectors catch `UnreadableError`; the fault keeps the rule's name."""
    assert issubclass(AmbiguousZipError, UnreadableError)
    assert AmbiguousZipError("end", "x").rule == "end"


def agree(count, seed):
    """Compare the readers on so many zips, and expect enough of them to be accepted."""
    figures = mutated_zips.run(count, seed)
    assert figures.violations == []
    assert figures.crashes == 0
    assert figures.compared >= count // 20
    assert figures.differing > 0, "none of the hostile ones split the readers: the generator tests nothing"
    assert set(figures.refused) >= {
        "end",
        "zip64",
        "name",
        "place",
        "local",
        "extra",
        "descriptor",
        "attributes",
        "flags",
    }
    return figures


def test_the_readers_agree_on_every_zip_that_is_accepted():
    """Well-formed and mutated zips: refused, or listed and read exactly as zipfile and torch's reader do."""
    agree(QUICK, seed=1)


@pytest.mark.slow
def test_the_readers_agree_on_twenty_thousand_zips():
    """The same over 20,000, of which at least 1,000 are accepted and compared byte for byte."""
    assert agree(ALL, seed=0).compared >= 1000


def test_a_zip_of_the_generator_is_a_function_of_seed_and_index():
    """A violation can be made again from its two numbers."""
    assert mutated_zips.made(3, 14) == mutated_zips.made(3, 14)
    assert Path(mutated_zips.__file__).exists()
