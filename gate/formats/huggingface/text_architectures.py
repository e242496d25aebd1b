"""The classifiers of texts of transformers that the gate composes, and the keys of each one's `config.json`.

A closed list, as of images (`architectures`): each was exported with free batch and length, read and compared
(tests/worker/pipelines). A key whose other values would make another network has one value here.
"""

from collections.abc import Mapping
from typing import Any, Final

from gate.formats.huggingface.architectures import Architecture
from gate.formats.huggingface.keys import INTEGER, NULL, NUMBER
from gate.formats.mlflow_model import FALSE
from gate.formats.shapes import Shape, either, exactly

_TOKENS: Final = "bos_token_id eos_token_id tie_word_embeddings vocab_size"
_BERT: Final = (
    f"{_TOKENS} attention_probs_dropout_prob classifier_dropout gradient_checkpointing hidden_act hidden_dropout_prob "
    "hidden_size initializer_range intermediate_size layer_norm_eps max_position_embeddings num_attention_heads "
    "num_hidden_layers type_vocab_size use_cache"
)
_DISTILLED: Final = (
    f"{_TOKENS} activation attention_dropout dim dropout hidden_dim initializer_range max_position_embeddings n_heads "
    "n_layers qa_dropout seq_classif_dropout sinusoidal_pos_embds tie_weights_"
)
_ELECTRA: Final = f"{_BERT} embedding_size summary_activation summary_last_dropout summary_type summary_use_proj"
_ALBERT: Final = (
    f"{_BERT} classifier_dropout_prob down_scale_factor embedding_size gap_size inner_group_num net_structure_type "
    "num_hidden_groups num_memory_blocks"
)
_DEBERTA: Final = (
    f"{_BERT} legacy max_relative_positions norm_rel_ebd pooler_dropout pooler_hidden_act pooler_hidden_size "
    "pos_att_type position_biased_input position_buckets relative_attention share_att_key"
)
_MODERN: Final = (
    f"{_TOKENS} attention_bias attention_dropout classifier_activation classifier_bias classifier_dropout "
    "classifier_pooling cls_token_id decoder_bias deterministic_flash_attn embedding_dropout gradient_checkpointing "
    "hidden_activation hidden_size initializer_cutoff_factor initializer_range intermediate_size layer_norm_eps "
    "layer_types local_attention max_position_embeddings mlp_bias mlp_dropout norm_bias norm_eps num_attention_heads "
    "num_hidden_layers position_embedding_type sep_token_id sparse_pred_ignore_index sparse_prediction "
    "global_attn_every_n_layers global_rope_theta local_rope_theta reference_compile"
)
_COMMON: Final[Mapping[str, Shape]] = {
    "add_cross_attention": FALSE,
    "is_decoder": FALSE,
    "pad_token_id": either(INTEGER, NULL),
    "position_embedding_type": exactly("absolute"),
}
_ROTATION: Final = Shape(
    "a rotation of the type default",
    lambda given: (
        isinstance(given, dict)
        and set(given) == {"rope_theta", "rope_type"}
        and NUMBER.holds(given["rope_theta"])
        and given["rope_type"] == "default"
    ),
)
_ROTATIONS: Final = Shape(
    "a rotation of the type default for each kind of attention",
    lambda given: (
        isinstance(given, dict)
        and set(given) <= {"full_attention", "sliding_attention"}
        and all(map(_ROTATION.holds, given.values()))
    ),
)
_MOST: Final = 8192
"""Tokens to which texts are cut where the configuration allows more."""
_TABLE: Final = (
    ("bert", "Bert", _BERT, False),
    ("distilbert", "DistilBert", _DISTILLED, False),
    ("roberta", "Roberta", _BERT, True),
    ("xlm-roberta", "XLMRoberta", _BERT, True),
    ("camembert", "Camembert", _BERT, True),
    ("electra", "Electra", _ELECTRA, False),
    ("albert", "Albert", _ALBERT, False),
    ("mpnet", "MPNet", f"{_BERT} relative_attention_num_buckets", True),
    ("deberta-v2", "DebertaV2", _DEBERTA, False),
    ("modernbert", "ModernBert", _MODERN, False),
)
TEXTS: Final[Mapping[str, Architecture]] = {
    f"{prefix}ForSequenceClassification": Architecture(
        model_type,
        prefix,
        frozenset(keys.split()),
        {**_COMMON, "rope_parameters": _ROTATIONS} if keys is _MODERN else _COMMON,
        behind_padding=behind,
    )
    for model_type, prefix, keys, behind in _TABLE
}
"""Classifiers of texts, by the name of their class."""


def most_tokens(architecture: Architecture, config: Mapping[str, Any]) -> int:
    """Return the most tokens of a text that a network takes; below 1 where its configuration leaves place for none."""
    positions, padding = config.get("max_position_embeddings"), config.get("pad_token_id")
    stated = positions if type(positions) is int else 0
    first = padding + 1 if architecture.behind_padding and type(padding) is int else 0
    return min(stated - first, _MOST)
