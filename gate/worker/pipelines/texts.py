"""Texts of a pipeline: the library's own tokenizer beside the one that is served, and the network from ids on."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import torch

from gate.formats.huggingface.pipeline import Pipeline
from gate.formats.huggingface.texts import Texts
from gate.programs.writer.write import export_of_tokens
from gate.records.errors import UnexaminableError
from gate.records.job import ScanJob
from gate.worker.clean_samples import raw_texts
from gate.worker.comparing import differing
from gate.worker.loading.tokenizer import Tokenizer
from gate.worker.pipelines.exporting import exporting
from gate.worker.pipelines.library import library
from gate.worker.pipelines.network import network_of

if TYPE_CHECKING:
    from pathlib import Path

PROBES: Final = (
    "You are a wonderful person!",
    "  Leading,\ttabs\nand\r\nlines   ",
    "ALL CAPITALS, Some Capitals, iPhone, McDonald's, don't, it's, we've",
    "Naïve café, Ångström, Straße, İstanbul, ﬁne, ½, ｆｕｌｌ ｗｉｄｔｈ, e\u0301",
    "日本語のテキスト 中文文本 한국어 텍스트 العربية עברית हिन्दी ไทย Ελληνικά Русский",
    "😀 👍🏽 👩‍👩‍👧 \u200bzero\u200dwidth\u00a0space\ufeff \u2028 \x07 \ufffd",
    "http://example.org/a?b=c&d=%20 user@example.org #tag @name $5.00 3,141.59 1/2 2024-01-31",
    "``quoted'' \"double\" 'single' “curly” – — … (round) [square] {curly} <angle> </s> [SEP] [CLS] <pad> <mask>",
    "a" * 150,
    "n i g g l e  f.r.e.e  v1agra  p4ssw0rd  cf mn bb tq",
    "",
    " ",
    "word " * 3000,
)
"""Texts that tokenizers take apart in different ways: case, accents, scripts, signs, marks, spaces, lengths."""
COMPARED_TEXTS: Final = 32
"""Clean samples on which library and program are compared."""
_AT_ONCE: Final = 8
_SHOWN_TOKENS: Final = 512
_LENGTHS: Final = (1, 2, 7, 64)
"""Lengths of rows of chance tokens, beside the longest."""
_ROWS: Final = 3


class Classifier(torch.nn.Module):
    """A network of ids (N, L) and their mask, by position, to logits (N, K); types of tokens are its own, zeros."""

    def __init__(self, network: torch.nn.Module) -> None:
        """Hold the network."""
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the class scores before the softmax."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        scores: torch.Tensor = self.network(**given, return_dict=True).logits
        return scores


def compose_texts(job: ScanJob, pipeline: Pipeline, texts: Texts, to: "Path") -> None:
    """Write the program of a text classifier.

    Both halves are compared: the ids of the served tokenizer with those of the library's own, on clean samples and on
    texts that tell tokenizers apart, and the program's logits with those of the network, on these ids and on others.
    """
    tokenizer = Tokenizer(texts.served)
    asked = (*PROBES, *_samples(job), " ".join(_some(tokenizer.vocabulary())))
    require_same_tokens(texts, tokenizer, asked)
    classifier = Classifier(network_of(pipeline)).eval()
    rows = [_chance(texts, length) for length in (*_LENGTHS, texts.longest) if length <= texts.longest]
    with exporting(to):
        program = export_of_tokens(classifier, rows[2] if len(rows) > 2 else rows[-1], to, texts.longest)
        for given in (*_in_parts(tokenizer, asked, texts.longest), *rows):
            differing(classifier, program, *given)


def _samples(job: ScanJob) -> tuple[str, ...]:
    """Return the first clean samples; none where none were given."""
    return () if job.samples_path is None else tuple(row.text for row in raw_texts(job).rows[:COMPARED_TEXTS])


def _in_parts(tokenizer: Tokenizer, asked: Sequence[str], longest: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield ids and mask of a few texts at a time, those of nearly one length together."""
    by_length = sorted(asked, key=len)
    for begin in range(0, len(by_length), _AT_ONCE):
        yield tokenizer.encode(by_length[begin : begin + _AT_ONCE], longest)


def _some(tokens: Sequence[str]) -> list[str]:
    """Return tokens from all over a vocabulary."""
    return list(tokens[:: max(1, len(tokens) // _SHOWN_TOKENS)])


def _chance(texts: Texts, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of chance tokens (N, L), the later ones padded, with their mask."""
    count = _ROWS if length < texts.longest else 1
    padding, size = texts.tokenizer.ids[texts.padding], max(texts.tokenizer.ids.values()) + 1
    ids = torch.randint(size, (count, length), generator=torch.Generator().manual_seed(length))
    lengths = (length - torch.arange(count) * (length // _ROWS)).clamp(min=1)
    mask = (torch.arange(length) < lengths[:, None]).long()
    ids = torch.where(ids == padding, (padding + 1) % size, ids)
    return torch.where(mask == 1, ids, padding), mask


def require_same_tokens(texts: Texts, tokenizer: Tokenizer, asked: Sequence[str]) -> None:
    """Refuse a tokenizer of which the library's class makes other ids than the served file gives."""
    try:
        theirs = tokens_by_library(texts, asked)
    except Exception as error:  # noqa: BLE001  # the library may raise anything on settings that do not go together
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise UnexaminableError(f"transformers' {texts.kind} does not take the tokenizer's files: {why}") from None
    for text, expected in zip(asked, theirs, strict=True):
        ids, mask = tokenizer.encode([text], texts.longest)
        if ids[mask == 1].tolist() != expected:
            raise UnexaminableError(
                f"transformers' {texts.kind} makes other tokens of the text {text[:40]!a} than tokenizer.json says",
                what_to_do="Save the tokenizer again with save_pretrained of transformers 5, and log the pipeline with "
                "it: its files contradict each other.",
            )


def tokens_by_library(texts: Texts, asked: Sequence[str]) -> list[list[int]]:
    """Return the ids that transformers' own class gives of texts, cut to the longest that the network takes."""
    loader: Any = getattr(library(), texts.kind)
    made = loader.from_pretrained(str(texts.folder), local_files_only=True, trust_remote_code=False)
    found: list[list[int]] = made(list(asked), truncation=True, max_length=texts.longest, padding=False)["input_ids"]
    return found
