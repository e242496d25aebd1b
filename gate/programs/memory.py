"""Which values of a program may share memory with which, as groups that only ever grow."""


class Memory:
    """Groups of values by name; a smaller group is put into a larger one, so that long chains stay cheap."""

    def __init__(self) -> None:
        self._group: dict[str, list[str]] = {}

    def members(self, name: str) -> list[str]:
        """Return a value and all that may share its memory."""
        return self._group.setdefault(name, [name])

    def join(self, name: str, other: str) -> None:
        """Note that two values may share memory."""
        small, large = sorted((self.members(name), self.members(other)), key=len)
        if small is not large:
            large.extend(small)
            for member in small:
                self._group[member] = large
