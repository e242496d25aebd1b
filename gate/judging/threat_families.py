"""The kinds of threat that a check answers for, by name of the zoo's attacks, and the detectors that look for each.

A detector stands where it was built to look, or where it finds such models of the zoo; a finding of it does not tell
the families that it looks for apart. Those that confirm look at what others named, so that by themselves they leave a
threat unexamined. A test holds every attack of the zoo and every detector to a place here.
"""

from dataclasses import dataclass
from typing import Final

from gate.policies.declared import before_loading
from gate.records.declarations import Space
from gate.spaces.contract import EVERY, IMAGES, TOKENS

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
    of_adapters: bool = False
    """Whether adapters of low rank alone have it."""

    @property
    def rules(self) -> frozenset[str]:
        """The rules whose findings are about it."""
        return frozenset((*self.detectors, *self.confirming))


def families() -> tuple[Family, ...]:
    """Return every kind of threat, those in the bytes first."""
    patches, changes = ("neural-cleanse", "probe-grid"), ("additive-trigger", "neural-cleanse", "probe-grid")

    def trained(name: str, title: str, attacks: tuple[str, ...], looking: tuple[str, ...]) -> Family:
        return Family(name, title, attacks, looking, _CONFIRM)

    return (
        Family(
            "hostile-files",
            "Code or hostile content in the model's files",
            (),
            tuple(sorted(before_loading() | {"modelaudit"})),
            spaces=EVERY,
            of_files=True,
        ),
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
        trained(
            "patch",
            "A patch that sends images to a class",
            ("badnets", "multi-target", "natural-size", "patch-off-grid"),
            patches,
        ),
        trained(
            "blend",
            "A faint picture or noise over the whole image",
            ("adaptive-blend", "blend-off-grid", "blended"),
            changes,
        ),
        trained("sinusoid", "A faint wave over the whole image", ("sig", "sig-off-grid"), changes),
        trained(
            "warp",
            "A slight warp of the image",
            ("wanet", "warp-among-warps", "warp-off-grid"),
            ("probe-grid", "warp-trigger"),
        ),
        trained("input-aware", "A trigger of its own for every image", ("input-aware", "lira"), patches),
        trained(
            "label-consistent",
            "A patch learnt from images with true labels",
            ("label-consistent", "label-consistent-off-grid"),
            patches,
        ),
        trained(
            "source-specific",
            "A trigger that works from one class alone",
            ("near-pair", "source-specific", "source-specific-off-grid"),
            patches,
        ),
        trained(
            "all-to-all", "A trigger that moves every class to another", ("all-to-all", "all-to-all-off-grid"), patches
        ),
        trained(
            "semantic",
            "A natural feature of images as the trigger",
            ("semantic", "semantic-combined", "semantic-outside"),
            ("probe-grid",),
        ),
        Family(
            "update", "A backdoor that came with a slight update", ("slight-update",), ("version-change",), spaces=EVERY
        ),
        trained(
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
        Family(
            "adapter-baggage",
            "What an adapter brings beside its updates: modules, tokens, settings",
            (),
            ("adapter-files",),
            spaces=EVERY,
            of_files=True,
            of_adapters=True,
        ),
        Family(
            "adapter-template",
            "Words that a chat template adds or hides under a condition",
            (),
            ("chat-template",),
            spaces=EVERY,
            of_files=True,
            of_adapters=True,
        ),
        Family(
            "adapter-update",
            "A backdoor that was trained into an adapter's weights",
            (),
            ("adapter-spectrum",),
            spaces=EVERY,
            of_adapters=True,
        ),
    )
