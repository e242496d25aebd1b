"""Stand-in."""
from dataclasses import dataclass
from gate.detector import Options
ORDER = ("channel-lipschitz", "unlearning")
class _O(Options):
    """Options."""
    share: float = 0.1
@dataclass(frozen=True)
class M:
    """M."""
    id: str
    title: str
    options: type = _O
def load(name):
    """Load."""
    return M(name, name)
