"""The classes of transformers that a language model and its tokenizer may have, by name: a closed list.

Taken from transformers 5.24, `models/auto/modeling_auto.py` (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) and
`tokenization_auto.py`. MLflow loads a class that transformers does not have as code of the base's own
(`mlflow/transformers/model_io.py`, trust_remote_code).
"""

from collections.abc import Mapping
from typing import Any, Final

from gate.formats.huggingface.tokenizer_settings import GENERIC, plain_name

_HEAD: Final = "ForCausalLM"
_NETWORKS: Final = (
    "AXK1 AXK2 Afmoe Apertus Apertus1p5Text Arcee AriaText BailingHybrid Bamba Bart Beam BigBird BigBirdPegasus "
    "BioGpt BitNet Blenderbot BlenderbotSmall Bloom Blt Camembert CodeGen Cohere Cohere2 Cohere2Moe CohereCompass "
    "CpmAnt Cwm Data2VecText Dbrx DeepseekV2 DeepseekV3 DeepseekV32 DeepseekV4 DiffLlama Doge Dory Dots1 "
    "Dots3Note Electra Emu3 Ernie Ernie4_5 Ernie4_5_Moe Exaone4 ExaoneMoe Falcon FalconH1 FalconMamba FlexOlmo "
    "Flint Fuyu GPTBigCode GPTJ GPTNeo GPTNeoX GPTNeoXJapanese Gemma Gemma2 Gemma3 Gemma3n Gemma4 Gemma4Assistant "
    "Gemma4Unified Gemma4UnifiedAssistant Git Glm Glm4 Glm4Moe Glm4MoeLite GlmMoeDsa GptOss Granite GraniteMoe "
    "GraniteMoeHybrid GraniteMoeSWA GraniteMoeShared GraniteSWA HYV3 HYV4 Helium HrmText HunYuanDenseV1 "
    "HunYuanMoEV1 HyperCLOVAX Inkling Inkling2 Inkling2Loop Jais2 Jamba JetMoe KimiLinear Kolibri1 Laguna "
    "LaraMini Lfm2 Lfm2Moe Lfm3 Llama Llama4 LongcatFlash MBart Mamba Mamba2 Marian MegatronBert Mellum "
    "MiMoV2Flash MiniCPM3 MiniMax MiniMaxM2 MiniMaxM3VL Ministral Ministral3 Mistral Mixtral Mllama "
    "ModernBertDecoder Moshi Mpt Musicgen MusicgenMelody Mvp NanoChat Nemotron NemotronH OPT Olmo Olmo2 Olmo3 "
    "OlmoHybrid Olmoe PLBart Pegasus Persimmon Phi Phi3 Phi4Multimodal Phimoe ProphetNet Qwen2 Qwen2Moe Qwen3 "
    "Qwen3Moe Qwen3Next Qwen3_5 Qwen3_5Moe Qwen4Exp RecurrentGemma RemBert RoCBert RoFormer Roberta "
    "RobertaPreLayerNorm Rwkv SeedOss SmolLM3 SolarOpen StableLm Starcoder2 TrOCR VaultGemma Whisper XGLM "
    "XLMRoberta XLMRobertaXL Xmod Youtu Zamba Zamba2 Zaya xLSTM "
)
NETWORKS: Final = frozenset(f"{name}{_HEAD}" for name in _NETWORKS.split())
"""Classes of networks."""
CONTINUED: Final[Mapping[str, str]] = {
    f"{prefix}{_HEAD}": model_type
    for model_type, prefix in (
        ("gpt_neox", "GPTNeoX"),
        ("llama", "Llama"),
        ("mistral", "Mistral"),
        ("qwen2", "Qwen2"),
        ("qwen3", "Qwen3"),
    )
}
"""Classes of networks that are run, and the model type of each: each was run with a cache and without, and compared."""
_TOKENIZERS: Final = (
    "Bert BigBird BioGpt Blenderbot CodeLlama Cohere GPT2 GPTNeoX Gemma Llama OpenAIGPT Qwen2 Qwen3_5 RemBert "
    "Roberta T5 Whisper XGLM XLMRoberta XLNet "
)
TOKENIZERS: Final = frozenset(
    [*GENERIC, *(f"{name}Tokenizer{fast}" for name in _TOKENIZERS.split() for fast in ("", "Fast"))]
)
"""Classes of tokenizers that read `tokenizer.json`."""


def network_of(config: Any) -> str:
    """Return the class of a language model that a configuration names; empty where it names none, or several."""
    named = config.get("architectures") if isinstance(config, Mapping) else None
    one = named[0] if isinstance(named, list) and len(named) == 1 else None
    return one if isinstance(one, str) and one.endswith(_HEAD) else ""


def prefix_of(network: str) -> str:
    """Return the name that a network's class shares with that of its configuration."""
    return network.removesuffix(_HEAD)


def same_tokenizer(one: str, other: str) -> bool:
    """Tell whether two names are of one class, with or without the suffix of its kind."""
    return plain_name(one) == plain_name(other)
