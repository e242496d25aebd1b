"""Types of fields that many records have: bounded texts, finite numbers, digests, ids of metrics."""

from typing import Annotated

from pydantic import Field

MAX_TEXT = 2000

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
MetricId = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def is_none(value: object) -> bool:
    """Tell whether a field is to be left out, so that records without it keep their digest."""
    return value is None
