"""What the trusted writer says of the adapter that it wrote, from which the bundle's texts are composed."""

from typing import Annotated, Literal

from pydantic import Field

from gate.records.fields import Digest, Sha256, is_none
from gate.records.record import Record

_Text = Annotated[str, Field(max_length=1 << 20)]
_CLASS = r"^[A-Za-z][A-Za-z0-9]{0,100}$"


class WrittenAdapter(Record):
    """One adapter that the writer wrote."""

    tensors_sha256: Sha256
    """Digest of the bundle's `peft/adapter_model.safetensors`."""
    parent: Digest
    """Digest of the candidate's tensors and configuration as they were read."""
    config: _Text
    """The configuration without the base's name, as JSON."""
    network: str = Field(pattern=_CLASS)
    """Class of transformers that its base is of."""
    number_type: Literal["torch.float32", "torch.float16", "torch.bfloat16"] | None = Field(
        default=None, exclude_if=is_none
    )
    tokenizer_type: str = Field(default="", pattern=r"^([A-Za-z][A-Za-z0-9]{0,100})?$")
    tokenizer_sha256: Sha256 | None = Field(default=None, exclude_if=is_none)
    """Digest of the tokenizer's file; None where the candidate has none."""
    texts: dict[Literal["tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"], _Text] = Field(
        default_factory=dict
    )
    """The tokenizer's other files, by name."""
