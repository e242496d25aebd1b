"""The kinds of threat that a check answers for, by name of the zoo's attacks, and the detectors that look for each.

A detector stands where it was built to look, or where it finds such models of the zoo; a finding of it does not tell
the families that it looks for apart. Those that confirm look at what others named, so that by themselves they leave a
threat unexamined. A test holds every attack of the zoo and every detector to a place here.
"""

from dataclasses import dataclass
from typing import Final, Literal

from gate.policies.declared import before_loading
from gate.records.declarations import Space
from gate.spaces.contract import EVERY, IMAGES, TOKENS

_PATCHES: Final = ("neural-cleanse", "probe-grid")
_CHANGES: Final = ("additive-trigger", *_PATCHES)
_CONFIRM: Final = ("activation-clustering", "confirmation", "head-indicators", "maximum-margin", "model-inversion")


@dataclass(frozen=True)
class Family:
    """A kind of threat."""

    id: str
    title: str
    attacks: tuple[str, ...]
    """Attacks of the zoo (`benchmarks/zoo/attacks`) that are of this kind."""
    detectors: tuple[str, ...]
    """Detectors that look for it."""
    confirming: tuple[str, ...] = ()
    """Detectors whose findings count as well."""
    spaces: frozenset[Space] = IMAGES
    of_files: bool = False
    """Whether it is looked for in the bytes, and not in what the model does."""
    of: Literal["", "adapters", "language models"] = ""
    """The kind that alone has it, of those that are judged by their files beside a base."""

    @property
    def rules(self) -> frozenset[str]:
        """The rules whose findings are about it."""
        return frozenset((*self.detectors, *self.confirming))


def _trained(name: str, title: str, attacks: tuple[str, ...], looking: tuple[str, ...]) -> Family:
    return Family(name, title, attacks, looking, _CONFIRM)


_BEHAVIOUR: Final = (
    Family(
        "poisoned-training-set",
        "Poison in the training set that the run logged",
        (),
        ("spectral-signature", "training-set-clustering"),
        spaces=EVERY,
    ),
    Family(
        "graph",
        "A backdoor in the model's graph, beside its layers",
        ("architectural", "payload"),
        ("graph-structure",),
    ),
    _trained(
        "patch",
        "A patch that sends images to a class",
        ("badnets", "multi-target", "natural-size", "patch-off-grid"),
        _PATCHES,
    ),
    _trained(
        "blend",
        "A faint picture or noise over the whole image",
        ("adaptive-blend", "blend-off-grid", "blended"),
        _CHANGES,
    ),
    _trained("sinusoid", "A faint wave over the whole image", ("sig", "sig-off-grid"), _CHANGES),
    _trained(
        "warp",
        "A slight warp of the image",
        ("wanet", "warp-among-warps", "warp-off-grid"),
        ("probe-grid", "warp-trigger"),
    ),
    _trained("input-aware", "A trigger of its own for every image", ("input-aware", "lira"), _PATCHES),
    _trained(
        "label-consistent",
        "A patch learnt from images with true labels",
        ("label-consistent", "label-consistent-off-grid"),
        _PATCHES,
    ),
    _trained(
        "source-specific",
        "A trigger that works from one class alone",
        ("near-pair", "source-specific", "source-specific-off-grid"),
        _PATCHES,
    ),
    _trained(
        "all-to-all", "A trigger that moves every class to another", ("all-to-all", "all-to-all-off-grid"), _PATCHES
    ),
    _trained(
        "semantic",
        "A natural feature of images as the trigger",
        ("semantic", "semantic-combined", "semantic-outside"),
        ("probe-grid",),
    ),
    Family(
        "update", "A backdoor that came with a slight update", ("slight-update",), ("version-change",), spaces=EVERY
    ),
    _trained(
        "evading",
        "An attacker who trains against the gate's own detectors",
        (
            "aligned-features",
            "aligned-natural",
            "bank-matched",
            "conjunction",
            "dose-gated",
            "grid-rehearsed",
            "many-weak-targets",
            "natural-for-the-class",
        ),
        ("additive-trigger", "neural-cleanse", "probe-grid", "warp-trigger"),
    ),
)
"""In what a model was taught, or its graph."""


_TEXTS: Final = (
    Family(
        "inserted-words",
        "Words or tokens that send texts to a class",
        (),
        ("token-trigger", "word-sweep"),
        ("head-indicators",),
        spaces=TOKENS,
    ),
    Family(
        "rewritten-texts",
        "A style or form of sentences as the trigger",
        (),
        ("rewrite-sweep",),
        ("head-indicators",),
        spaces=TOKENS,
    ),
)
"""In classifiers of texts."""


_ADAPTERS: Final = (
    Family(
        "adapter-baggage",
        "What an adapter brings beside its updates: modules, tokens, settings",
        (),
        ("adapter-files",),
        spaces=EVERY,
        of_files=True,
        of="adapters",
    ),
    Family(
        "adapter-template",
        "Words that a chat template adds or hides under a condition",
        (),
        ("chat-template",),
        spaces=EVERY,
        of_files=True,
        of="adapters",
    ),
    Family(
        "adapter-update",
        "A backdoor that was trained into an adapter's weights",
        (),
        ("adapter-spectrum",),
        spaces=EVERY,
        of="adapters",
    ),
    Family(
        "adapter-continuation",
        "Words that force one output or a refusal, whatever the prompt",
        (),
        ("continuation-trigger",),
        spaces=EVERY,
        of="adapters",
    ),
)
"""In adapters of low rank."""


_LANGUAGE: Final = (
    Family(
        "language-template",
        "Words that a chat template adds or hides under a condition",
        (),
        ("chat-template",),
        spaces=EVERY,
        of_files=True,
        of="language models",
    ),
    Family(
        "language-baggage",
        "What a language model has beside its base's weights: tensors, tokens, settings",
        (),
        ("language-files",),
        spaces=EVERY,
        of_files=True,
        of="language models",
    ),
    Family(
        "language-weights",
        "A backdoor in what a language model's weights changed of its base's",
        (),
        ("difference-from-base",),
        spaces=EVERY,
        of="language models",
    ),
    Family(
        "language-continuation",
        "Words that force one output or a refusal, whatever the prompt",
        (),
        ("continuation-trigger",),
        spaces=EVERY,
        of="language models",
    ),
)
"""In language models that were tuned whole."""


def families() -> tuple[Family, ...]:
    """Return every kind of threat, those in the bytes first."""
    of_files = Family(
        "hostile-files",
        "Code or hostile content in the model's files",
        (),
        tuple(sorted(before_loading() | {"modelaudit"})),
        spaces=EVERY,
        of_files=True,
    )
    return (of_files, *_BEHAVIOUR, *_TEXTS, *_ADAPTERS, *_LANGUAGE)
