"""Whole language models: what is known of one by its files."""

from pydantic import Field

from gate.records.fields import Text
from gate.records.record import Record


class LanguageFacts(Record):
    """What a language model's files say of it: a worker's claim."""

    network: Text
    """Class of transformers, such as `LlamaForCausalLM`."""
    tensors: int = Field(ge=0)
    """Number of tensors in its files."""
    number_types: tuple[Text, ...] = Field(default=(), max_length=40)
    """Their types by safetensors' names, such as `BF16`, each once."""
