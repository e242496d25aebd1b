"""What evidence says of the bundle: what it was written from and by, what opens it, what it leaves out."""

from operator import not_
from typing import Literal

from pydantic import Field

from gate.records.class_names import ClassNames
from gate.records.fields import Digest, Text
from gate.records.record import Record

Origin = Literal["pt2", "pickle", "onnx", "state-dict", "converted", "composed", "repaired", "adapter"]
"""What the program was before the gate wrote it: an exported program, a pickled network of library layers, an ONNX
model, tensors under an architecture of the gate's (earlier releases only), converted code of the candidate, a
pipeline's network that transformers composed, a repair's result, or an adapter's tensors."""
Covers = Literal["candidate", "bundle"]
"""The bytes that an approval is about: the candidate's and the bundle's, or the bundle's alone."""


class BundleFacts(Record):
    """The bundle that the gate wrote and its detectors measured; its digest is in evidence and verdict."""

    origin: Origin
    parent: Digest
    """Digest of the program that was read, in any file."""
    torch: Text
    candidate_torch: Text = ""
    """The torch version that the candidate claims to be written by."""
    opens_with: dict[str, Text] = Field(default_factory=dict, max_length=20)
    """The oldest release of each library that opens it."""
    pinned: dict[str, Text] = Field(default_factory=dict, max_length=100)
    greatest_difference: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Greatest difference from the candidate's logits on clean samples, over the largest logit."""
    signature_dropped: Text = ""
    losses: tuple[Text, ...] = Field(default=(), max_length=40)
    """What the candidate offers its consumers and the bundle does not."""
    class_names: ClassNames = Field(default_factory=dict, exclude_if=not_)
    """Class names in the candidate's own metadata: its claim, shown as such."""
    left: tuple[Text, ...] = Field(default=(), max_length=200)
    """Files of the candidate that have no counterpart in the bundle."""
