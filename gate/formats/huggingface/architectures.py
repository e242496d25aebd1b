"""The networks of transformers that the gate composes, and the keys that each one's `config.json` may hold.

A closed list. Each network here was exported, read and compared (tests/worker/pipelines). Its keys are the fields of
its configuration's class (transformers 5.24, `models/*/configuration_*.py`) and those that follow from them; a key that
names code, a kernel, a backbone or other weights to be fetched is in none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gate.formats.shapes import Shape


@dataclass(frozen=True)
class Architecture:
    """One kind of network."""

    model_type: str
    """Its name in `config.json`."""
    prefix: str
    """Beginning of its classes' names: `ViT` of `ViTConfig` and `ViTForImageClassification`."""
    keys: frozenset[str]
    """Keys of `config.json` that only such a network has."""
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    """Further keys, with the values that they may have."""
    behind_padding: bool = False
    """Whether the first token of a text has the position behind the padding's id."""


_VIT: Final = (
    "hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act hidden_dropout_prob "
    "attention_probs_dropout_prob initializer_range layer_norm_eps image_size patch_size num_channels qkv_bias"
)
_POOLED: Final = "encoder_stride pooler_output_size pooler_act"
_STAGES: Final = "stage_names out_features out_indices"
_RESIDUAL: Final = (
    "num_channels embedding_size hidden_sizes depths layer_type hidden_act downsample_in_first_stage "
    f"downsample_in_bottleneck {_STAGES}"
)
_CONVNEXT: Final = (
    "num_channels patch_size num_stages hidden_sizes depths hidden_act initializer_range layer_norm_eps "
    f"layer_scale_init_value drop_path_rate image_size {_STAGES}"
)
_SWIN: Final = (
    "image_size patch_size num_channels embed_dim depths num_heads window_size mlp_ratio qkv_bias hidden_dropout_prob "
    "attention_probs_dropout_prob drop_path_rate hidden_act use_absolute_embeddings initializer_range layer_norm_eps "
    f"encoder_stride hidden_size num_layers {_STAGES}"
)
_BEIT: Final = (
    f"{_VIT} vocab_size use_mask_token use_absolute_position_embeddings use_relative_position_bias "
    "use_shared_relative_position_bias layer_scale_init_value drop_path_rate use_mean_pooling pool_scales "
    "use_auxiliary_head auxiliary_loss_weight auxiliary_channels auxiliary_num_convs auxiliary_concat_input "
    f"semantic_loss_ignore_index add_fpn reshape_hidden_states {_STAGES}"
)
_MOBILENET: Final = (
    "num_channels image_size depth_multiplier depth_divisible_by min_depth expand_ratio output_stride "
    "first_layer_is_expansion finegrained_output hidden_act tf_padding classifier_dropout_prob initializer_range "
    "layer_norm_eps semantic_loss_ignore_index"
)
_EFFICIENTNET: Final = (
    "num_channels image_size width_coefficient depth_coefficient depth_divisor kernel_sizes in_channels out_channels "
    "depthwise_padding strides num_block_repeats expand_ratios squeeze_expansion_ratio hidden_act hidden_dim "
    "pooling_type initializer_range batch_norm_eps batch_norm_momentum dropout_rate drop_connect_rate num_hidden_layers"
)
_DINO: Final = (
    f"{_VIT} mlp_ratio layerscale_value drop_path_rate use_swiglu_ffn apply_layernorm reshape_hidden_states "
    f"use_mask_token {_STAGES}"
)
_TABLE: Final = (
    ("vit", "ViT", f"{_VIT} {_POOLED}"),
    ("deit", "DeiT", f"{_VIT} {_POOLED}"),
    ("beit", "Beit", _BEIT),
    ("dinov2", "Dinov2", _DINO),
    ("swin", "Swin", _SWIN),
    ("swinv2", "Swinv2", f"{_SWIN} pretrained_window_sizes"),
    ("resnet", "ResNet", _RESIDUAL),
    ("regnet", "RegNet", f"{_RESIDUAL} groups_width"),
    ("convnext", "ConvNext", _CONVNEXT),
    ("convnextv2", "ConvNextV2", _CONVNEXT),
    ("mobilenet_v2", "MobileNetV2", _MOBILENET),
    ("efficientnet", "EfficientNet", _EFFICIENTNET),
)
IMAGES: Final[Mapping[str, Architecture]] = {
    f"{prefix}ForImageClassification": Architecture(model_type, prefix, frozenset(keys.split()))
    for model_type, prefix, keys in _TABLE
}
"""Classifiers of images, by the name of their class."""
