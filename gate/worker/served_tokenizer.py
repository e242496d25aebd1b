"""The tokenizer that is served beside a program: a pipeline's, or the one that was logged with an exported program."""

from dataclasses import dataclass
from pathlib import Path

from gate.formats.huggingface.texts import Texts
from gate.formats.mlflow_folder import TOKENIZER
from gate.formats.tokenizers.file import MAX_BYTES, TokenizerFile, read_tokenizer
from gate.programs import Program
from gate.programs.tokens import looks_like_tokens, named_as_tokens, require_length, require_tokens
from gate.records.errors import GateError, UnexaminableError
from gate.records.record import read_bounded
from gate.records.sample_settings import MOST_TOKENS


@dataclass(frozen=True)
class Served:
    """A tokenizer's file as the gate writes it, and what it says."""

    raw: bytes
    longest: int
    padding: int

    def cut_to(self, most: int) -> "Served":
        """Return it with texts cut to so many tokens at most: a longer text is judged by its beginning alone."""
        if self.longest <= most:
            return self
        file = read_tokenizer(self.raw)
        return Served(file.served(file.padding, most), most, self.padding)


def of_texts(texts: Texts) -> Served:
    """Return the tokenizer of a pipeline."""
    return Served(texts.served, texts.longest, texts.tokenizer.ids[texts.padding])


def beside(root: Path, program: Program) -> Served | None:
    """Return the tokenizer that was logged beside a program; None where there is none, or it takes no tokens.

    A program whose inputs are named as tokens are, and have other types, is refused.
    """
    path = root / TOKENIZER
    if not path.is_file() or path.is_symlink():
        return None
    if not looks_like_tokens(program):
        if named_as_tokens(program):
            require_tokens(program)
        return None
    try:
        file = read_tokenizer(read_bounded(path, limit=MAX_BYTES))
    except GateError as error:
        raise UnexaminableError(f"the tokenizer beside it is not read: {error}") from None
    require_tokens(program)
    served = _served(file)
    require_length(program, served.longest, max(file.ids.values()))
    return served


def _served(file: TokenizerFile) -> Served:
    if not file.padding:
        raise UnexaminableError(
            "the tokenizer beside it does not say with which token a batch is filled up",
            what_to_do="State it by tokenizer.enable_padding(pad_id=…, pad_token='…'), and log the model again.",
        )
    longest = file.longest or MOST_TOKENS
    return Served(file.served(file.padding, longest), longest, file.ids[file.padding])
