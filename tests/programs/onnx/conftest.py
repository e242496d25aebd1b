"""What several of these tests are given."""

import pytest

from gate.programs.readers.onnx.reader import read_onnx


@pytest.fixture
def read(tmp_path):
    """Return what reads a model from a file."""

    def read(made):
        path = tmp_path / "model.onnx"
        path.write_bytes(made.SerializeToString())
        return read_onnx(path)

    return read
