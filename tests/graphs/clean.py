"""All clean nets whose graphs are odd in ways that published classifiers are, by name."""

from collections.abc import Callable

from torch import nn

from tests.graphs.clean_gates import (
    attention_modules,
    experts,
    highway,
    image_pyramid,
    masked_vit,
    multilayer,
    own_activations,
    quantised,
    recurrent,
    shifted_windows,
    shuffled,
    standardised,
    transformer_of_space,
    two_heads,
    two_streams,
    whole_block_gates,
)
from tests.graphs.clean_shortcuts import (
    deep_resnet,
    densenet,
    efficient,
    ensemble,
    flipped_too,
    inception,
    mobile,
    one_dense_block,
    pyramid,
    several_depths,
    several_outputs,
    unet,
)

CLEAN: dict[str, Callable[[], nn.Module]] = {
    build.__name__.replace("_", "-"): build
    for build in (
        deep_resnet, efficient, mobile, one_dense_block, densenet, inception, unet, pyramid, several_depths,
        several_outputs, two_heads, masked_vit, ensemble, flipped_too, transformer_of_space, attention_modules,
        whole_block_gates, experts, own_activations, quantised, standardised, image_pyramid, highway, recurrent,
        shuffled, shifted_windows, two_streams, multilayer,
    )
}  # fmt: skip
