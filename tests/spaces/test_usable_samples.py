"""Samples that are wrong by themselves, as people bring them: each is told with its likely cause and the mend."""

import gzip
import hashlib
import io
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from gate.records.artifact import build_manifest
from gate.records.errors import UnexaminableError
from gate.records.sample_settings import SampleSettings
from gate.spaces.image.samples import read_samples
from gate.spaces.image.usable import require_usable

RNG = np.random.default_rng(0)
X = RNG.random((40, 1, 8, 8)).astype(np.float32)
COLOUR = RNG.random((40, 16, 16, 3)).astype(np.float32)
Y = np.arange(40) % 10
TWENTY = np.zeros(len(Y), int)
HOLED = X.copy()
HOLED[3, 0, 0, 0] = np.nan
HOLED[5, 0, 0, 0] = np.inf


def settings(**stated):
    """Return what a policy says under `samples`."""
    return SampleSettings(**stated)


def looked_at(path, stated=None):
    """Look at samples as the sampler does."""
    if path.is_dir():
        digest = build_manifest(path)[0].digest.removeprefix("sha256:")
    else:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    require_usable(read_samples(path, "clean", digest), stated or settings())


def saved(path, **arrays):
    """Write an .npz, objects too, as somebody would."""
    np.savez(path / "s.npz", **arrays)
    return path / "s.npz"


def one_less(labels):
    """Return samples of which a class has but one."""
    return {"inputs": X[:11], "labels": labels[:11]}


ARRAYS = {
    "labels from 1": ({"inputs": X, "labels": Y + 1}, {}, "the labels run from 1 to 10: subtract one"),
    "one-hot": ({"inputs": X, "labels": np.eye(10)[Y]}, {}, "one-hot; .* take labels.argmax"),
    "scores as labels": ({"inputs": X, "labels": RNG.random((40, 10))}, {}, "rows of scores; .* take labels.argmax"),
    "fractions": ({"inputs": X, "labels": Y / 10}, {}, "fractions as labels, such as 0.1"),
    "labels that are NaN": ({"inputs": X, "labels": np.where(Y == 3, np.nan, Y)}, {}, "labels that are NaN"),
    "negative labels": ({"inputs": X, "labels": Y - 1}, {}, "labels from -1 to 8; .* leave out the samples that are"),
    "minus one and one": ({"inputs": X, "labels": np.where(Y % 2, 1, -1)}, {}, "write 0 in the place of -1"),
    "names": ({"inputs": X, "labels": np.asarray(["cat", "dog"] * 20)}, {}, "names as labels, such as 'cat': number"),
    "encoded names": ({"inputs": X, "labels": np.asarray([b"cat", b"dog"] * 20)}, {}, "names as labels, such as 'cat'"),
    "dates": ({"inputs": X, "labels": np.full(40, "2026-01-01", "M8[D]")}, {}, "expected class numbers from 0"),
    "another length": ({"inputs": X, "labels": Y[:39]}, {}, "40 inputs and labels of shape .39,.; expected one label"),
    "a single image": ({"inputs": X[0], "labels": Y[:1]}, {}, "one label|one sample"),
    "no labels": ({"inputs": X}, {}, "have no labels, .* add them, .* or state 'samples: {labels: waived}'"),
    "labels misnamed": ({"inputs": X, "y": Y}, {}, "no labels, .* rename y to labels, numpy.savez"),
    "no labels, a least accuracy": (
        {"inputs": X},
        {"labels": "waived", "min_accuracy": 0.5},
        "min-accuracy needs them",
    ),
    "x and y": (
        {"x": X, "y": Y},
        {},
        r"rename x to inputs and y to labels, numpy.savez\('samples.npz', inputs=x, labels=y",
    ),
    "as Keras names them": (
        {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y},
        {},
        "rename x_test to inputs and y_test to labels",
    ),
    "no names": ({"arr_0": X, "arr_1": Y}, {}, "rename arr_0 to inputs and arr_1 to labels"),
    "a capital": ({"Inputs": X, "Labels": Y}, {}, "rename Inputs to inputs and Labels to labels"),
    "nothing like it": ({"weights": np.zeros(3)}, {}, "hold weights; expected 'inputs' and 'labels': save them with"),
    "NaN": ({"inputs": HOLED, "labels": Y}, {}, "NaN or infinite values in 2 of 40 inputs, the first in number 3"),
    "to 255": ({"inputs": X * 255, "labels": Y}, {}, "divide them by 255, or state 'bounds: .0, 255.'"),
    "whole numbers to 255": ({"inputs": (X * 255).astype(int), "labels": Y}, {}, "divide them by 255"),
    "to 65535": ({"inputs": (X * 65535).astype(np.uint16), "labels": Y}, {}, "divide them by 65535"),
    "around zero": ({"inputs": X * 2 - 1, "labels": Y}, {}, r"state 'bounds: \[-1, 1\]'"),
    "standardised": ({"inputs": (X - 0.5) * 6, "labels": Y}, {}, "look normalised"),
    "beyond stated bounds": ({"inputs": X * 9, "labels": Y}, {"bounds": (2, 3)}, r"values in \[2, 3\], as the policy"),
    "complex": ({"inputs": X * 1j, "labels": Y}, {}, "complex numbers: save their magnitudes"),
    "file names": ({"inputs": np.asarray(["a.png"] * 40), "labels": Y}, {}, "text, such as file names"),
    "records": ({"inputs": np.zeros(40, [("a", int)]), "labels": Y}, {}, "records of several fields"),
    "flat": (
        {"inputs": X.reshape(40, -1), "labels": Y},
        {},
        r"flattened are reshaped by inputs.reshape\(-1, 1, 8, 8",
    ),
    "flat colour": ({"inputs": COLOUR.reshape(40, -1), "labels": Y}, {}, r"inputs.reshape\(-1, 3, 16, 16\)"),
    "table": ({"inputs": X.reshape(40, -1)[:, :13], "labels": Y}, {}, "image classifiers only; .*--policy files-only"),
    "five axes": ({"inputs": X[:, None], "labels": Y}, {}, "drop the axes of length 1"),
    "nothing": ({"inputs": X[:0], "labels": Y[:0]}, {}, "there is nothing in them"),
    "channels last": ({"inputs": COLOUR, "labels": Y}, {"layout": "NCHW"}, "channels last, and .* state NHWC"),
    "channels first": (
        {"inputs": COLOUR.transpose(0, 3, 1, 2), "labels": Y},
        {"layout": "NHWC"},
        "channels first, and .* state NCHW",
    ),
    "no channels": ({"inputs": X[:, 0], "labels": Y}, {"layout": "NCHW"}, "the layout NCHW: state NHW"),
    "one image": ({"inputs": np.repeat(X[:1], 40, axis=0), "labels": Y}, {}, "hold 40 times the same image"),
    "one sample": ({"inputs": X[:1], "labels": Y[:1]}, {}, "hold one sample"),
    "one class": ({"inputs": X, "labels": TWENTY}, {}, "all of class 0; .* add samples of the model's other classes"),
    "five samples": ({"inputs": X[:5], "labels": Y[:5]}, {}, "fewer than 2 different inputs of 5 of 5 classes"),
    "one too few": (one_less(Y), {}, "fewer than 2 different inputs of 9 of 10 classes, such as 1 of class 1"),
    "fewer than stated": ({"inputs": X, "labels": Y}, {"least_per_class": 5}, "fewer than 5 different inputs"),
    "copies": (
        {"inputs": np.concatenate([X[:10], X[:10]]), "labels": np.concatenate([Y[:10], Y[:10]])},
        {},
        "fewer than 2 different inputs of 10 of 10 classes",
    ),
    "objects": ({"inputs": np.asarray([X[0], 3], dtype=object), "labels": Y}, {}, "pickles and never opened: save"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_cannot_be_right_are_told_with_the_mend(tmp_path, case):
    """One sentence on one line, which no other case's mistake brings about."""
    arrays, stated, said = ARRAYS[case]
    with pytest.raises(UnexaminableError, match=said) as caught:
        looked_at(saved(tmp_path, **arrays), settings(**stated))
    assert "\n" not in str(caught.value)


USABLE = {
    "plain": ({"inputs": X, "labels": Y}, {}),
    "columns of labels": ({"inputs": X, "labels": Y[:, None]}, {}),
    "whole numbers as floats": ({"inputs": X, "labels": Y.astype(float)}, {}),
    "two classes as booleans": ({"inputs": X, "labels": Y > 4}, {}),
    "bytes": ({"inputs": (X * 255).astype(np.uint8), "labels": Y}, {}),
    "channels last, no layout": ({"inputs": COLOUR, "labels": Y}, {}),
    "channels last, stated": ({"inputs": COLOUR, "labels": Y}, {"layout": "NHWC"}),
    "a signal of twelve leads": (
        {"inputs": RNG.random((40, 12, 500, 1)).astype(np.float32), "labels": Y},
        {"layout": "NCHW"},
    ),
    "class 0 left out": ({"inputs": X[(Y != 0) & (Y != 5)], "labels": Y[(Y != 0) & (Y != 5)]}, {}),
    "waived": ({"inputs": X}, {"labels": "waived"}),
    "one of each, stated": ({"inputs": X[:5], "labels": Y[:5]}, {"least_per_class": 1}),
    "forty at random": ({"inputs": X, "labels": np.random.default_rng(0).integers(0, 10, 40)}, {}),
}


@pytest.mark.parametrize("case", USABLE)
def test_what_may_be_right_passes(tmp_path, case):
    """A false refusal costs trust too."""
    arrays, stated = USABLE[case]
    looked_at(saved(tmp_path, **arrays), settings(**stated))


def packed(**members):
    """Return a zip of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, raw in members.items():
            archive.writestr(name.replace("__", "/"), raw)
    return stream.getvalue()


def npy():
    """Return an .npy file."""
    stream = io.BytesIO()
    np.save(stream, X)
    return stream.getvalue()


FILES = {
    "nothing": (b"", "this is empty"),
    "an array alone": (npy(), "single NumPy array .* inputs=numpy.load"),
    "a CSV": (b"label,p0,p1\n3,0.5,0.25\n" * 100, "a text file, such as a CSV"),
    "a text in UTF-8": ("é".encode() * 300, "a text file"),
    "a pickle": (pickle.dumps({"inputs": [1]}), "a pickle, which could run code and is never opened"),
    "torch.save": (packed(archive__data_pkl=b"x", **{"archive__data.pkl": b"x"}), "torch.save, .* never opened"),
    "gzip": (gzip.compress(b"x"), "packed with gzip: unpack it"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file"),
    "IDX": (b"\x00\x00\x08\x03" + bytes(64), "an IDX file, as MNIST comes in"),
    "a cut zip": (packed(a=b"x" * 100)[:60], "cut short or damaged"),
    "images in a zip": (packed(**{"cats__1.png": b"x"}), "a zip of images: unpack it"),
    "a pointer of LFS": (b"version https://git-lfs.github.com/spec/v1\noid", "run git lfs pull"),
    "an image": (b"\x89PNG\r\n\x1a\n", "one image: name a folder"),
    "anything": (bytes(range(128, 256)) * 4, "neither an .npz file nor a folder"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_npz_is_told_by_what_it_is(tmp_path, case):
    """By its first bytes alone; a pickle among them is never opened."""
    raw, said = FILES[case]
    (tmp_path / "s.npz").write_bytes(raw)
    with pytest.raises(UnexaminableError, match=said):
        looked_at(tmp_path / "s.npz")


def image(path, size=(8, 8), mode="L", value=None):
    """Write an image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": (), "RGB": (3,), "I;16": ()}[mode]
    dtype = np.uint16 if mode == "I;16" else np.uint8
    Image.fromarray(RNG.integers(0, 255, (*size, *channels)).astype(dtype)).save(path)


def by_class(root, **options):
    """Write two images of each of two classes."""
    for name in ("cats", "dogs"):
        for number in range(2):
            image(root / name / f"{number}.png", **options)


def nested(root):
    """Put the classes one folder too deep."""
    by_class(root / "train")


def mixed(root):
    """Write images in grey and in colour."""
    by_class(root)
    image(root / "dogs" / "2.png", mode="RGB")


def of_sizes(root):
    """Write images of two sizes."""
    by_class(root)
    image(root / "dogs" / "2.png", size=(9, 8))


def broken(root):
    """Cut an image short."""
    by_class(root)
    (root / "cats" / "0.png").write_bytes((root / "cats" / "0.png").read_bytes()[:60])


def hidden(root):
    """Leave what a notebook leaves."""
    by_class(root)
    (root / ".ipynb_checkpoints").mkdir()


def tiff(root):
    """Write what is no image that is read."""
    root.joinpath("cats").mkdir()
    (root / "cats" / "1.tif").write_bytes(b"II*\x00")


FOLDERS = {
    "empty": (lambda root: None, "the folder clean is empty"),
    "no folders of classes": (lambda root: image(root / "1.png"), "holds images and no subfolders"),
    "a folder too high": (nested, "name the one whose subfolders are the classes, such as clean/train"),
    "one class": (lambda root: [image(root / "cats" / f"{n}.png") for n in range(3)], "are all of class 0"),
    "another kind": (tiff, "images of another kind, such as 'cats/1.tif'"),
    "an .npz inside": (lambda root: saved(root, inputs=X, labels=Y), "name the file itself"),
    "texts": (lambda root: (root / "README").write_text("x"), "holds no images"),
    "a broken image": (broken, "image '0.png' of the samples cannot be read .* in its folder 'cats'"),
    "sixteen bits": (lambda root: by_class(root, mode="I;16"), "of the mode 'I;16', which would be cut to 8 bits"),
    "grey and colour": (mixed, "some are grey and others in colour"),
    "two sizes": (of_sizes, "8 × 8 and 9 × 8: resize them"),
    "left by a notebook": (hidden, "subfolder '.ipynb_checkpoints' without images; .* remove it"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_holds_no_samples_is_told_with_the_mend(tmp_path, case):
    """What lies where, and what to name or to change."""
    write, said = FOLDERS[case]
    (tmp_path / "s").mkdir()
    write(tmp_path / "s")
    with pytest.raises(UnexaminableError, match=said):
        looked_at(tmp_path / "s")


def test_a_folder_of_images_by_class_passes(tmp_path):
    """Grey or in colour."""
    by_class(tmp_path / "grey")
    by_class(tmp_path / "colour", mode="RGB")
    looked_at(tmp_path / "grey")
    looked_at(tmp_path / "colour")
