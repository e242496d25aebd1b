"""TensorFlow SavedModels: the operators by which a graph reads, writes or runs something outside itself."""

from collections.abc import Iterator

_OUTSIDE = (
    "ReadFile WriteFile MatchingFiles PyFunc PyFuncStateless EagerPyFunc NumpyFunction PrintV2 Print DebugIdentity "
    "DebugIdentityV2 LoadDataset LoadAndRemapMatrix SaveDataset SaveDatasetV2 SnapshotDataset SnapshotDatasetV2 "
    "WholeFileReader WholeFileReaderV2 TextLineReader TextLineReaderV2 TFRecordReader TFRecordReaderV2 "
    "TextLineDataset TFRecordDataset FixedLengthRecordReader FixedLengthRecordReaderV2 FixedLengthRecordDatasetV2 "
    "SqlDataset CacheDataset CacheDatasetV2 WriteSummary CreateSummaryFileWriter WriteRawProtoSummary "
    "RemoteCall RpcCall RpcServer XlaLaunch TPUCompile TritonKernel CustomCall FileSystemSetConfiguration"
)
_OPERATOR_TAG = 0x12
"""The key byte of a node's operator in its message: field 2, length-delimited."""


def outside_operators(raw: bytes) -> Iterator[str]:
    """Yield the operators that reach outside the graph, found as node fields in the bytes."""
    for name in _OUTSIDE.split():
        if bytes([_OPERATOR_TAG, len(name)]) + name.encode("ascii") in raw:
            yield f"operator {name}"


def lambda_layers(raw: bytes) -> Iterator[str]:
    """Yield the Keras layers stored as code in the metadata beside or inside a SavedModel."""
    for name in ("Lambda", "TFSMLayer"):
        if f'"class_name": "{name}"'.encode() in raw or f'"class_name":"{name}"'.encode() in raw:
            yield f"{name} layer"
