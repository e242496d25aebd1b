"""Public peers as published, by id: measured on the same models, in the same run, as the gate's own detectors.

Three are written anew from their papers and published settings; two belong to the Adversarial Robustness Toolbox, which
is installed where they run (`benchmarks/peers.in`) and not copied.
"""

from benchmarks.efficacy.peer import Peer
from benchmarks.efficacy.peers.art_activation_defence import ArtActivationDefence
from benchmarks.efficacy.peers.art_neural_cleanse import ArtNeuralCleanse
from benchmarks.efficacy.peers.free_eagle import FreeEagle
from benchmarks.efficacy.peers.mm_bd import MaximumMargin
from benchmarks.efficacy.peers.neural_cleanse import NeuralCleanse

_ALL: tuple[Peer, ...] = (
    NeuralCleanse(),
    MaximumMargin(),
    FreeEagle(),
    ArtActivationDefence("smaller"),
    ArtActivationDefence("silhouette-scores"),
    ArtNeuralCleanse(),
)
PEERS: dict[str, Peer] = {peer.id: peer for peer in _ALL}
"""With their published settings and no deadline."""
