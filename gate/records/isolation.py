"""How strongly workers were isolated, and as which user they ran, weakest first where several did."""

_WEAKEST_FIRST = ("none", "partial", "full")
DROPPED = "nobody: user rights dropped"
"""User of the workers, where the gate is root itself."""


def least_dropped(*users: str) -> str:
    """Return the one of several workers' users with most rights; empty where the gate is an ordinary user."""
    return next((user for user in users if user and user != DROPPED), DROPPED if any(users) else "")


def isolation_rank(isolation: str) -> int:
    """Return the strength of an isolation by its first word; an unknown word is weaker than `none`."""
    word = isolation.split(" ", maxsplit=1)[0]
    return _WEAKEST_FIRST.index(word) if word in _WEAKEST_FIRST else -1
