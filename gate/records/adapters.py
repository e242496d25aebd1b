"""Adapters of low rank, and the base of one or of a language model; the group within which a bank compares them."""

import hashlib
import json
import re
from collections.abc import Iterable
from operator import not_
from pathlib import PurePosixPath
from typing import Final, Literal

from pydantic import Field

from gate.records.artifact import ArtifactFile, Manifest, ModelRef
from gate.records.fields import Digest, Text, is_none
from gate.records.record import Record

Parameterisation = Literal["LoRA", "rsLoRA", "DoRA", "rsLoRA and DoRA"]
BASE_FOLDER: Final = "model"
"""Folder of weights and configuration in what `mlflow.transformers` writes of a whole model."""
TOKENIZER_FOLDER: Final = "components/tokenizer"
_WEIGHTS: Final = re.compile(r"[^/]+\.safetensors")
_BESIDE: Final = re.compile(r"[^/]+\.(json|jinja|jinja2|j2|txt|model)")
"""Configuration, settings of generation, tokenizer and templates, by the kinds of files that libraries read."""
MAX_NAMED: Final = 200
WHOLE: Final = "whole weights"
"""What a group of language models that were tuned whole has in the place of a parameterisation."""


class AdapterFacts(Record):
    """What an adapter's files say of it: a worker's claim."""

    parameterisation: Parameterisation
    least_rank: int = Field(ge=1, le=1 << 20)
    greatest_rank: int = Field(ge=1, le=1 << 20)
    modules: int = Field(ge=0, le=1 << 20)
    """Number of modules that it changes."""
    families: tuple[Text, ...] = Field(default=(), max_length=MAX_NAMED)
    """Last names of these modules, such as `q_proj`, each once."""
    whole: tuple[Text, ...] = Field(default=(), max_length=MAX_NAMED, exclude_if=not_)
    """Modules that are stored whole, which no spectrum describes."""
    named_base: Text = ""
    """The base that it names: its trainer's own word."""
    revision: Text = ""
    """The base's revision that it names."""


class Base(Record):
    """The model that an adapter or a tuned language model is compared with, as the operator named it."""

    uri: Text
    """Value of `--base`."""
    model: ModelRef
    files: tuple[ArtifactFile, ...]

    @property
    def manifest(self) -> Manifest:
        """The files as a manifest."""
        return Manifest(files=self.files)

    @property
    def weights(self) -> tuple[ArtifactFile, ...]:
        """The files of its weights, by name: all those, and no others, that are read as such."""
        return self._named(_WEIGHTS, self._folders[:1])

    @property
    def weights_digest(self) -> str:
        """Digest of the weights alone, which is the same wherever and whenever they are logged again."""
        return _digest(self.weights)

    @property
    def beside_digest(self) -> str:
        """Digest of what is read of it beside the weights: configuration, settings, tokenizer, templates."""
        return _digest(self._named(_BESIDE, self._folders))

    @property
    def _folders(self) -> tuple[str, ...]:
        """Folder of the weights, and folder of the tokenizer, which may be one."""
        logged = any(file.path == "MLmodel" for file in self.files)
        return (BASE_FOLDER, TOKENIZER_FOLDER) if logged else (".",)

    def _named(self, kind: re.Pattern[str], folders: tuple[str, ...]) -> tuple[ArtifactFile, ...]:
        found = (file for file in self.files if str(PurePosixPath(file.path).parent) in folders)
        own = (file for file in found if kind.fullmatch(PurePosixPath(file.path).name))
        return tuple(sorted(own, key=lambda file: (PurePosixPath(file.path).name, file.sha256)))


def _digest(files: Iterable[ArtifactFile]) -> str:
    # Escaped, so that no name with an end of a line stands for two files; usual names stay as they are.
    names = ((file.sha256, json.dumps(PurePosixPath(file.path).name)[1:-1]) for file in files)
    lines = "\n".join(f"{sha256}  {name}" for sha256, name in names)
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


class BaseEvidence(Record):
    """The base beside a scan, as the orchestrator knows it."""

    uri: Text
    model: ModelRef
    digest: Digest
    """Digest of its manifest."""
    weights: Digest
    """Digest of its weights."""
    beside: Digest | None = Field(default=None, exclude_if=is_none)
    """Digest of its configuration, tokenizer and templates; None in evidence of an earlier gate."""


class AdapterGroup(Record):
    """Models that can be compared with each other: of one base, and adapters of one parameterisation and band of ranks.

    Language models that were tuned whole are a group of their own.
    """

    base: Digest
    """Digest of the base's weights."""
    beside: Digest | None = Field(default=None, exclude_if=is_none)
    """Digest of the base's configuration, tokenizer and templates; None in a bank of an earlier gate."""
    parameterisation: Parameterisation | Literal["whole weights"]
    least_rank: int = Field(default=1, ge=1)
    greatest_rank: int = Field(default=1, ge=1)

    def __str__(self) -> str:
        beside = f" with configuration and tokenizer {self.beside[:19]}…" if self.beside else ""
        if self.parameterisation == WHOLE:
            return f"{WHOLE} beside the base weights {self.base[:19]}…{beside}"
        low, high = self.least_rank, self.greatest_rank
        ranks = f"rank {low}" if low == high else f"ranks {low} to {high}"
        return f"{self.parameterisation} of {ranks} on the base weights {self.base[:19]}…{beside}"


def group_of(facts: AdapterFacts | None, base: BaseEvidence | None) -> AdapterGroup | None:
    """Return the group of an adapter; None of another model, without a base, or where its ranks lie in two bands."""
    if facts is None or base is None:
        return None
    band = band_of(facts.least_rank)
    if band != band_of(facts.greatest_rank):
        return None
    return AdapterGroup(
        base=base.weights,
        beside=base.beside,
        parameterisation=facts.parameterisation,
        least_rank=band[0],
        greatest_rank=band[1],
    )


def band_of(rank: int) -> tuple[int, int]:
    """Return the least and greatest rank of a rank's band: 1, 2, 3 to 4, 5 to 8, 9 to 16, and so on."""
    greatest = 1 << (rank - 1).bit_length()
    return greatest // 2 + 1, greatest
