"""Pickles that run code when loaded: by their imports, by where they hide, and by how they are broken."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

from tests.corpus.case import UNREADABLE, UNSAFE, Case, hostile
from tests.corpus.zipping import (
    marked_encrypted,
    renamed_locally,
    torch_zip,
    unlisted,
    without_directory,
    wrong_checksums,
    zipped,
)

LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
DAMAGED = ("artifact-integrity", "damaged-archives")
UNEXPECTED = ("artifact-integrity", "unexpected-files")
MISMATCHED = ("artifact-integrity", "mismatched-formats")


def text(value: str) -> bytes:
    """Return the opcode that pushes a string."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def call(module: str, name: str, *arguments: bytes) -> bytes:
    """Return a stream that calls an imported name with arguments given as opcodes."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR."


def touch(marker: Path) -> bytes:
    """Return the plain attack: a stream that runs a command, which touches the marker."""
    return call("posix", "system", text(f"touch {marker}"))


def _body(stream: bytes) -> bytes:
    """Return a stream without its frame, to be nested in another one."""
    return stream[2:-1]


def _runs(marker: Path) -> bytes:
    return text(f"__import__('pathlib').Path({str(marker)!r}).touch()")


def _partial_torch_load(marker: Path) -> bytes:
    """functools.partial(torch.load, weights_only=False) applied to a nested path."""
    state = b"}" + text("weights_only") + b"\x89s"
    return b"\x80\x02cfunctools\npartial\n(ctorch\nload\ntR" + state + b"b(" + text(str(marker)) + b"tR."


def _numpy_builtins(marker: Path) -> bytes:
    """Reach the builtins through an attribute of a library's module, then set a state by BUILD."""
    return b"\x80\x04" + text("numpy") + text("__builtins__") + b"\x93}" + text("x") + _runs(marker) + b"sb."


def _computed(marker: Path) -> bytes:
    """Import by a name that another call returns."""
    module = b"coperator\nconcat\n(" + text("pos") + text("ix") + b"tR"
    return b"\x80\x04" + module + text("system") + b"\x93(" + text(f"touch {marker}") + b"tR."


def _memoised(marker: Path) -> bytes:
    """Import by names that went through the memo and were dropped from the stack before."""
    first = text("posix") + b"\x940" + text("system") + b"\x940"
    return b"\x80\x04" + first + text("collections") + b"0h\x00h\x01\x93(" + text(f"touch {marker}") + b"tR."


def _npy(pickle: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickle


def _tar(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


_IMPORTS = {
    "os-system": ("a command by os.system", touch),
    "nested-loads": ("pickle.loads of a nested pickle", lambda m: call("pickle", "loads", text(str(m)))),
    "nested-partial": ("functools.partial around torch.load", _partial_torch_load),
    "pydoc-pager": ("pydoc.pipepager", lambda m: call("pydoc", "pipepager", text("x"), text(f"touch {m}"))),
    "collect-env": (
        "torch.utils.collect_env.run",
        lambda m: call("torch.utils.collect_env", "run", text(f"touch {m}")),
    ),
    "numpy-runstring": (
        "numpy's runstring",
        lambda m: call("numpy.testing._private.utils", "runstring", _runs(m), b"}"),
    ),
    "mlflow-exec": ("mlflow's _exec_cmd", lambda m: call("mlflow.utils.process", "_exec_cmd", text(f"touch {m}"))),
    "library-builtins": ("a library's __builtins__, then BUILD", _numpy_builtins),
    "import-module": ("importlib.import_module", lambda m: call("importlib", "import_module", text(m.stem))),
    "entry-point": (
        "mlflow's _run_entry_point",
        lambda m: call("mlflow.projects.backend.local", "_run_entry_point", text(f"touch {m}")),
    ),
    "spawn-passfds": (
        "multiprocessing.util.spawnv_passfds",
        lambda m: call("multiprocessing.util", "spawnv_passfds", text("/bin/touch"), text(str(m)), b")"),
    ),
    "osx-read-output": (
        "_osx_support._read_output",
        lambda m: call("_osx_support", "_read_output", text(f"touch {m}")),
    ),
    "hub-load": ("torch.hub.load", lambda m: call("torch.hub", "load", text(str(m.parent)), text(m.stem))),
    "computed-name": ("an import whose name is computed", _computed),
    "memoised-name": ("an import whose name comes from the memo", _memoised),
    "extension-code": ("an import by the extension registry", lambda _: b"\x80\x02\x82\x01)R."),
    "old-instance": ("the INST opcode of protocol 0", lambda m: f"(S'touch {m}'\niposix\nsystem\n.".encode()),
    "own-module": ("a module with a name beyond ASCII", lambda _: b"\x80\x02cmod\xc3\xa8le\ncharger\n)R."),
    "broken-after-call": ("a stream that breaks after its call", lambda m: touch(m)[:-1] + b"\xff\xff"),
    "second-stream": ("a second stream behind a harmless one", lambda m: b"\x80\x02}." + touch(m)),
}


def _hidden(marker: Path) -> dict[str, tuple[str, dict[str, bytes], tuple[tuple[str, str], ...]]]:
    """Return the plain attack in every hiding place: name → summary, files, what must be found."""
    plain, torch_file = touch(marker), torch_zip(touch(marker))
    return {
        "legacy-torch": (
            "in a torch file without a zip",
            {"data/model.pth": LEGACY_MAGIC + b"\x80\x02M\xe9\x03.\x80\x02}." + plain + b"\x80\x02]."},
            (UNSAFE,),
        ),
        "torch-zip": ("in a torch archive", {"data/model.pth": torch_file}, (UNSAFE,)),
        "renamed-member": (
            "in a zip whose headers disagree on the name",
            {"data/model.pth": renamed_locally(torch_file, b"model/data.pkl", b"model/data.txt")},
            (UNSAFE, DAMAGED),
        ),
        "encrypted-member": (
            "in a zip marked as encrypted",
            {"data/model.pth": marked_encrypted(torch_file)},
            (UNSAFE, DAMAGED),
        ),
        "bad-checksum": (
            "in a zip with wrong checksums",
            {"data/model.pth": wrong_checksums(torch_file)},
            (UNSAFE, DAMAGED),
        ),
        "unlisted-member": (
            "in a zip member that the directory does not list",
            {"data/model.pth": unlisted(torch_zip(b"\x80\x02}."), b"model/data.pkl", plain)},
            (UNSAFE, DAMAGED),
        ),
        "no-directory": (
            "in a zip without a directory",
            {"data/model.pth": without_directory(torch_file)},
            (UNSAFE, DAMAGED),
        ),
        "odd-method": (
            "in a zip member of a rare compression",
            {"data/model.pth": zipped({"model/data.pkl": plain}, zipfile.ZIP_BZIP2)},
            (UNREADABLE, DAMAGED),
        ),
        "pickle-before-zip": (
            "in a pickle that is a zip as well",
            {"data/model.bin": plain + torch_zip(b"\x80\x02}.")},
            (UNSAFE, DAMAGED),
        ),
        "nested-zip": (
            "in a zip inside a zip",
            {"data/model.pt": zipped({"model/inner.dat": torch_file})},
            (UNSAFE,),
        ),
        "deflated-member": (
            "in a compressed member",
            {"data/model.pth": zipped({"model/data.pkl": plain}, zipfile.ZIP_DEFLATED)},
            (UNSAFE,),
        ),
        "named-text": ("in a file named .txt", {"data/notes.txt": plain}, (UNSAFE, MISMATCHED)),
        "named-safetensors": (
            "in a file named .safetensors",
            {"data/model.safetensors": plain},
            (UNSAFE, MISMATCHED, ("unsafe-format", "unreadable-files")),
        ),
        "object-array": ("in a NumPy array of objects", {"data/model.npy": _npy(plain)}, (UNSAFE,)),
        "object-npz": ("in a zip of NumPy arrays", {"data/model.npz": zipped({"a.npy": _npy(plain)})}, (UNSAFE,)),
        "joblib-zlib": ("compressed by zlib", {"data/model.joblib": zlib.compress(plain)}, (UNSAFE,)),
        "joblib-gzip": ("compressed by gzip", {"data/model.joblib": gzip.compress(plain)}, (UNSAFE,)),
        "joblib-bzip2": ("compressed by bzip2", {"data/model.joblib": bz2.compress(plain)}, (UNSAFE,)),
        "joblib-xz": ("compressed by xz", {"data/model.joblib": lzma.compress(plain)}, (UNSAFE,)),
        "joblib-lzma": (
            "compressed by lzma",
            {"data/model.joblib": lzma.compress(plain, lzma.FORMAT_ALONE)},
            (UNSAFE,),
        ),
        "tar-member": ("in a tar", {"data/model.tar": _tar("data.pkl", plain)}, (UNSAFE, UNEXPECTED)),
        "seven-zip": (
            "behind a format without a reader",
            {"data/model.pt": b"7z\xbc\xaf\x27\x1c" + plain},
            (UNREADABLE,),
        ),
        "inflating": (
            "behind a value of two gigabytes of zeros",
            {"data/model.joblib": zlib.compress(b"\x80\x02B\xff\xff\xff\x7f" + bytes(1 << 20))},
            (UNREADABLE,),
        ),
        "cut-off": ("in a file that ends early", {"data/model.pkl": plain[:-8]}, (UNSAFE, UNREADABLE)),
    }


def pickle_cases() -> tuple[Case, ...]:
    """Return the cases on pickles."""
    imports = [
        hostile(f"pickle-{name}", summary, lambda m, build=build: {"data/model.pkl": build(m)}, UNSAFE)
        for name, (summary, build) in _IMPORTS.items()
    ]
    places = _hidden(Path("marker"))
    hidden = [
        hostile(f"hidden-{name}", summary, lambda m, name=name: _hidden(m)[name][1], *expected)
        for name, (summary, _, expected) in places.items()
    ]
    return (*imports, *hidden)
