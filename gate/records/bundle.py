"""What evidence says of the bundle beside it: what it was written from and by, what opens it, what it leaves out."""

from typing import Annotated, Literal

from pydantic import Field

from gate.records.class_names import ClassNames
from gate.records.record import Record

Text = Annotated[str, Field(max_length=2000)]
Origin = Literal["pt2", "pickle", "state-dict", "converted", "repaired"]
"""`state-dict` stands in records of earlier releases alone."""
"""What the program was before the gate wrote it: an exported program, a pickled network of library layers, tensors
under an architecture of the gate's, what a candidate's own code was converted to, or what a repair made."""
Covers = Literal["candidate", "bundle"]
"""Which bytes an approval is about: the candidate's and the bundle's, or the bundle's alone."""


class BundleFacts(Record):
    """The bundle that the gate wrote and its detectors measured; its digest stands in evidence and verdict."""

    origin: Origin
    parent: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    """The digest of the program that was read, whatever file it lay in."""
    torch: Text
    """The version that wrote it."""
    candidate_torch: Text = ""
    """The version by which the candidate says that it was written."""
    opens_with: dict[str, Text] = Field(default_factory=dict, max_length=20)
    """The oldest release of each library that opens it."""
    pinned: dict[str, Text] = Field(default_factory=dict, max_length=100)
    """What its environment files pin."""
    greatest_difference: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Of its logits from the candidate's on clean samples, as a share of the largest; 0: it is the same program."""
    signature_dropped: Text = ""
    """Why the candidate's signature is not in it."""
    losses: tuple[Text, ...] = Field(default=(), max_length=40)
    """What the candidate offers its consumers and the bundle does not."""
    class_names: ClassNames = Field(default_factory=dict, exclude_if=lambda value: not value)
    """What the candidate's own metadata call the classes: its word, shown as such."""
    left: tuple[Text, ...] = Field(default=(), max_length=200)
    """Files of the candidate that stand for nothing in the bundle."""
