"""ONNX models as programs: protobuf read as data, each operator mapped to torch's by the gate's own table."""
