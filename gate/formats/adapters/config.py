"""`adapter_config.json`: which parameterisation, of which ranks and scales, at which modules of which base.

A positive grammar by key, after `LoraConfig` of PEFT 0.21 and earlier releases. What PEFT would import or rebuild by a
key (`auto_mapping`, `megatron_config`, `layer_replication`) has no place in it, and neither has a variant of LoRA whose
update is another than scale · B · A: its numbers would be read as those of something else.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, sqrt
from typing import Any, Final

from gate.formats.adapters.by_module import ByModule
from gate.formats.huggingface.keys import FLAG, INTEGER, NULL, faults
from gate.formats.mlflow_model import FALSE, VERSION
from gate.formats.shapes import Shape, either, exactly, many, text
from gate.formats.source import UnreadableError
from gate.records.adapters import Parameterisation
from gate.records.errors import GateError
from gate.records.record import parse_json

NAME: Final = "adapter_config.json"
MAX_BYTES: Final = 1 << 20
MAX_RANK: Final = 4096
_MAX_PATTERNS: Final = 2_000
_WORD: Final = r"[A-Za-z0-9_]{1,100}"
_MODULE: Final = text(rf"{_WORD}(\.{_WORD}){{0,30}}", "a module's name")
_MODULES: Final = many(_MODULE, "a list of modules' names")
_NAMED: Final = re.compile(rf"\^?{_WORD}(\.{_WORD}){{0,30}}", re.ASCII)
"""A key of `rank_pattern` and `alpha_pattern`: a name, which PEFT takes as a regular expression; `^` begins one."""
_PART: Final = text(_WORD, "a part of a module's name")
_LAYER: Final = Shape("a layer's number", lambda given: type(given) is int and 0 <= given < _MAX_PATTERNS)
_RANK: Final = Shape(f"a rank from 1 to {MAX_RANK}", lambda given: type(given) is int and 0 < given <= MAX_RANK)
_SCALE: Final = Shape(
    "a number above 0", lambda given: type(given) in (int, float) and isfinite(given) and 0 < given < 1 << 31
)
_SHARE: Final = Shape("a share from 0 to 1", lambda given: type(given) in (int, float) and 0 <= given <= 1)
_OFF: Final = either(FALSE, NULL)


def _by_module(value: Shape, expected: str) -> Shape:
    def holds(given: Any) -> bool:
        return (
            isinstance(given, dict)
            and len(given) <= _MAX_PATTERNS
            and all(_NAMED.fullmatch(key) and value.holds(one) for key, one in given.items())
        )

    return either(NULL, Shape(expected, holds))


_GRAMMAR: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(
        (
            "alora_invocation_tokens", "arrow_config", "auto_mapping", "corda_config", "eva_config", "exclude_modules",
            "kasa_config", "layer_replication", "lora_ga_config", "megatron_config", "monteclora_config",
            "target_parameters", "trainable_token_indices", "velora_config",
        ),
        NULL,
    ),
    **dict.fromkeys(("ensure_weight_tying", "fan_in_fan_out", "lora_bias", "use_bdlora", "use_qalora"), _OFF),
    "alpha_pattern": _by_module(_SCALE, f"scales by module, at most {_MAX_PATTERNS}"),
    "base_model_name_or_path": either(NULL, text(r"[^\x00-\x1f\x7f]{0,4096}", "the base's name")),
    "bias": exactly("none"),
    "inference_mode": FLAG,
    # The others, such as PiSSA and LoftQ, change the base's own weights before the training.
    "init_lora_weights": either(FLAG, exactly("gaussian", "orthogonal")),
    "layers_pattern": either(NULL, either(_PART, many(_PART, "a list of names"))),
    "layers_to_transform": either(NULL, either(_LAYER, many(_LAYER, "a list of layers' numbers"))),
    "loftq_config": Shape("nothing", lambda given: given in (None, {})),
    "lora_alpha": _SCALE,
    "lora_dropout": _SHARE,
    "megatron_core": either(NULL, exactly("megatron.core")),
    "modules_to_save": either(NULL, _MODULES),
    "peft_type": exactly("LORA"),
    "peft_version": VERSION,
    "qalora_group_size": INTEGER,
    "r": _RANK,
    "rank_pattern": _by_module(_RANK, f"ranks by module, at most {_MAX_PATTERNS}"),
    "revision": either(NULL, text(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}", "a revision")),
    "target_modules": _MODULES,
    "task_type": either(NULL, exactly("CAUSAL_LM")),
    "use_dora": FLAG,
    "use_rslora": FLAG,
}  # fmt: skip
_NEEDED: Final = ("peft_type", "r", "lora_alpha", "target_modules")
_KINDS: Final[Mapping[tuple[bool, bool], Parameterisation]] = {
    (False, False): "LoRA",
    (True, False): "rsLoRA",
    (False, True): "DoRA",
    (True, True): "rsLoRA and DoRA",
}
_EVERY: Final = "all-linear"
"""PEFT's word for all linear modules but the head; it is written as a list when an adapter is saved."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class AdapterConfig:
    """A configuration without faults."""

    value: Mapping[str, Any]
    """What was parsed."""

    @property
    def kind(self) -> Parameterisation:
        """The parameterisation."""
        return _KINDS[bool(self.value.get("use_rslora")), bool(self.value.get("use_dora"))]

    @property
    def dora(self) -> bool:
        """Whether each module has a vector of magnitudes."""
        return bool(self.value.get("use_dora"))

    @property
    def whole(self) -> tuple[str, ...]:
        """Names of modules that are stored whole."""
        return tuple(self.value.get("modules_to_save") or ())

    @property
    def base(self) -> str:
        """The base that it names: its trainer's own word."""
        return str(self.value.get("base_model_name_or_path") or "")

    @property
    def revision(self) -> str:
        """The base's revision that it names; empty where it names none."""
        return str(self.value.get("revision") or "")

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, which names one content."""
        return _COMMIT.fullmatch(self.revision) is not None

    def targets(self, module: str) -> bool:
        """Tell whether PEFT would put an update at a module of this full name, as `check_target_module_exists` does.

        A module that is named in full is taken whatever its layer.
        """
        targets = self.value["target_modules"]
        return module in targets or (
            any(module.endswith(f".{target}") for target in targets) and self._is_of_a_layer(module)
        )

    def _is_of_a_layer(self, module: str) -> bool:
        """Tell whether a module lies in one of the layers to transform: its first number counts, as in PEFT."""
        layers, patterns = self.value.get("layers_to_transform"), self.value.get("layers_pattern")
        if layers is None or layers == []:
            return True
        named = [patterns] if isinstance(patterns, str) else patterns or ()
        # PEFT wants something before the segment that it takes of itself, and nothing before one that is named.
        rules = [rf"(?:^|.*?\.){one}\.(\d+)\." for one in named] or [r".*?\.[^.]*\.(\d+)\."]
        found = next((match for rule in rules if (match := re.match(rule, module))), None)
        return found is not None and int(found[1]) in ([layers] if isinstance(layers, int) else layers)

    def rank(self, module: str) -> int:
        """Return the rank of a module's update."""
        return int(self._ranks.at(module, self.value["r"]))

    def scale(self, module: str) -> float:
        """Return the factor of B · A: alpha over the rank, or over its root in rsLoRA."""
        alpha, rank = float(self._alphas.at(module, self.value["lora_alpha"])), self.rank(module)
        return alpha / (sqrt(rank) if self.value.get("use_rslora") else rank)

    @cached_property
    def _ranks(self) -> ByModule:
        return ByModule.of(self.value.get("rank_pattern"))

    @cached_property
    def _alphas(self) -> ByModule:
        return ByModule.of(self.value.get("alpha_pattern"))


def config_faults(given: Any) -> Iterator[str]:
    """Yield what in a parsed `adapter_config.json` the gate does not know, or needs and does not find."""
    if not isinstance(given, dict):
        yield "it is no mapping"
        return
    if given.get("auto_mapping") is not None:
        yield "'auto_mapping' names classes of its own to load: make the adapter with get_peft_model and a task_type"
        return
    if given.get("peft_type") != "LORA":
        yield f"its parameterisation is {str(given.get('peft_type'))[:60]!r}; the gate reads LORA, with rsLoRA and DoRA"
        return
    if told := _pattern_fault(given):
        yield told
        return
    yield from faults(given, _GRAMMAR, "an adapter of low rank")
    yield from (f"it has no {key!r}" for key in _NEEDED if key not in given)


def _pattern_fault(given: Mapping[str, Any]) -> str:
    """Return which key is a regular expression where PEFT takes one, and what to write in its place; or nothing."""
    targets = given.get("target_modules")
    if isinstance(targets, str) and targets.lower() == _EVERY:
        return (
            "'target_modules' is 'all-linear', which is an order to PEFT and no list of modules; write "
            '["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] or the names that the base '
            "has, as PEFT's save_pretrained does"
        )
    if isinstance(targets, str):
        return (
            "'target_modules' is a pattern; write the modules' names in a list, the last parts or whole ones such as "
            "\"model.layers.0.self_attn.q_proj\", and for some layers 'layers_to_transform' beside it"
        )
    for key in ("rank_pattern", "alpha_pattern"):
        value = given.get(key)
        odd = [one for one in value if not _NAMED.fullmatch(one)] if isinstance(value, dict) else []
        if odd:
            return (
                f"{key!r} has the regular expression {odd[0][:60]!r}; write a line for each module's name, such as "
                '"layers.0.self_attn.q_proj"'
            )
    return ""


def read_config(raw: bytes) -> AdapterConfig:
    """Return the configuration of a file's bytes; the first fault is an `UnreadableError`."""
    try:
        given = parse_json(raw, what=NAME, limit=MAX_BYTES)
    except GateError as error:
        raise UnreadableError(str(error)) from None
    for fault in config_faults(given):
        raise UnreadableError(fault)
    return AdapterConfig(given)
