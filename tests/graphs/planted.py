"""Ways to plant a branch in a net that is not trained again, by name.

None is taken from the zoo's attacks. Each takes a split net and gives back a module with the same input and output.
"""

from collections.abc import Callable

from torch import nn

from tests.graphs.payload import (
    CLASSES,
    Split,
    finder,
    full_depth,
    padded_finder,
    plain,
    reader,
    small_net,
    stem_reader,
    tail,
    with_layers,
)
from tests.graphs.planted_answers import (
    boolean_product,
    chosen_by_argmax,
    floored,
    greatest,
    hot_softmax,
    looked_up,
    matched_filter,
    pixel_sum,
    put,
    remainder,
    rounded,
    scattered,
    signed,
    steep_sigmoid,
    top_pixels,
)
from tests.graphs.planted_places import (
    added_feature,
    attended,
    carried_along,
    from_the_stem,
    full_depth_switch,
    into_the_middle,
    masked,
    mixed_input,
    other_weights,
    own_logits,
    padded,
    rolled,
    swapped_input,
    turned,
    under_a_tail,
    wide_features,
    written_in_place,
)


def _vector() -> nn.Module:
    return nn.Linear(1, 48, bias=False)


PLANTED: dict[str, Callable[[Split], nn.Module]] = {
    **{
        run.__name__.replace("_", "-"): plain(run)
        for run in (
            steep_sigmoid, matched_filter, pixel_sum, boolean_product, rounded, floored, signed, chosen_by_argmax,
            top_pixels, put, scattered, looked_up, hot_softmax, greatest, remainder, swapped_input, mixed_input,
            written_in_place, masked, rolled, turned, other_weights, attended, carried_along,
        )
    },
    "small-net": with_layers(small_net, finder=finder),
    "added-feature": with_layers(added_feature, vector=_vector),
    "wide-features": with_layers(wide_features, reader=reader(16), both=lambda: nn.Linear(48 + 16, CLASSES)),
    "own-logits": with_layers(own_logits, reader=reader(CLASSES)),
    "from-the-stem": with_layers(from_the_stem, reader=stem_reader),
    "under-a-tail": with_layers(under_a_tail, finder=finder, tail=tail),
    "padded": with_layers(padded, finder=padded_finder),
    "full-depth-switch": with_layers(full_depth_switch, twin=full_depth),
    "into-the-middle": with_layers(into_the_middle, features=lambda: nn.Conv2d(3, 16, 3, 2, padding=1)),
}  # fmt: skip
