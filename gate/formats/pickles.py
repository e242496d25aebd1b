"""A bounded walk over one pickle stream that names what it would import, without importing or building anything.

The walk keeps a stack of which only strings are known, and a memo, as the real machine does; so a name that is put
together on the stack is known exactly or counted as unresolved. `names` says which imports are allowed.
"""

import codecs
import pickletools
from dataclasses import dataclass, field
from typing import Any

from gate.formats.source import Bounds, ByteStream, UnreadableError

_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_STRINGS = frozenset(
    {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
)
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_CALLS = frozenset({"REDUCE", "OBJ", "INST", "NEWOBJ", "NEWOBJ_EX", "BUILD"})
_EXTENSIONS = frozenset({"EXT1", "EXT2", "EXT4"})
_MAX_NAMES = 10_000
_MARK = object()
_UNKNOWN = object()


@dataclass(frozen=True)
class PickleWalk:
    """What one pickle stream would do, as far as it can be read."""

    names: tuple[tuple[str, str], ...]
    """Module and name of every import, once each, in order."""
    unresolved: int
    """Imports whose name is computed, or comes from the extension registry."""
    calls: int
    opcodes: int
    fault: str
    """Why the stream could not be read to its end; empty where it could."""
    number: int | None
    """The value of a stream that holds nothing but an integer: the legacy torch format begins so."""
    raw: bytes | None
    """The stream's own bytes, where few."""

    @property
    def is_telling(self) -> bool:
        """Whether the bytes must be a pickle: they import by a printable name.

        A computed name alone does not tell: what computes it is imported by a written one first, and raw numbers hold
        the opcodes of computed names by chance.
        """
        return any(_is_plausible(module) and _is_plausible(name) for module, name in self.names)


@dataclass
class _Machine:
    """The part of the pickle machine's state that decides which names are imported."""

    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    names: dict[tuple[str, str], None] = field(default_factory=dict)
    unresolved: int = 0
    calls: int = 0

    def step(self, opcode: Any, argument: Any) -> None:
        """Apply one opcode; a stack that is too short raises `UnreadableError`, as the real machine would."""
        name = opcode.name
        if name in _PUTS:
            self._store(int(argument))
        elif name == "MEMOIZE":
            self._store(len(self.memo))
        elif name in _GETS:
            self.stack.append(self.memo.get(int(argument), _UNKNOWN))
        elif name == "DUP":
            self.stack.append(self._top())
        elif name == "STACK_GLOBAL":
            last, first = self._pop(), self._pop()
            self._import(first, last)
            self.stack.append(_UNKNOWN)
        else:
            self._generic(opcode, argument)

    def _generic(self, opcode: Any, argument: Any) -> None:
        """Pop and push by the opcode's own table; only strings and marks are kept apart."""
        before = opcode.stack_before
        wanted = len(before)
        if pickletools.markobject in before:
            while self._pop() is not _MARK:
                pass
            wanted = before.index(pickletools.markobject)
        for _ in range(wanted):
            self._pop()
        if opcode.name in ("GLOBAL", "INST"):
            self._import(*argument)
        elif opcode.name in _EXTENSIONS:
            self.unresolved += 1
        if opcode.name in _CALLS:
            self.calls += 1
        if opcode.name in _STRINGS and isinstance(argument, str):
            self.stack.append(argument)
        else:
            self.stack.extend(_MARK if kind is pickletools.markobject else _UNKNOWN for kind in opcode.stack_after)

    def _import(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            self.unresolved += 1
        elif len(self.names) < _MAX_NAMES:
            self.names[module, name] = None
        else:
            raise UnreadableError(f"more than {_MAX_NAMES} imports")

    def _store(self, key: int) -> None:
        value = self._top()
        self.memo[key] = value if isinstance(value, str) else _UNKNOWN

    def _top(self) -> Any:
        if not self.stack:
            raise UnreadableError("the stack is empty")
        return self.stack[-1]

    def _pop(self) -> Any:
        value = self._top()
        self.stack.pop()
        return value


def walk_pickle(stream: ByteStream, bounds: Bounds) -> PickleWalk:
    """Read one stream up to its STOP and return what it names; whatever is wrong with it ends up in `fault`."""
    stream.restart()
    machine = _Machine()
    count, fault, number = 0, "", None
    while True:
        count += 1
        if count % 4096 == 0:
            bounds.tick()
        if count > bounds.max_opcodes:
            fault = f"more than {bounds.max_opcodes} opcodes"
            break
        try:
            opcode, argument = _next(stream)
            if opcode.name == "STOP":
                machine.step(opcode, argument)
                break
            machine.step(opcode, argument)
        except Exception as error:  # noqa: BLE001  # any failure of a parser of hostile bytes is what was found
            fault = f"byte {stream.position}: {type(error).__name__}: {str(error)[:120]}"
            break
        number = argument if opcode.name in ("LONG1", "LONG4", "BININT", "BININT1", "BININT2") else None
        number = None if count > 3 else number  # PROTO, the integer, STOP
    raw = bytes(stream.kept) if stream.kept_whole else None
    return PickleWalk(tuple(machine.names), machine.unresolved, machine.calls, count, fault, number, raw)


def _is_plausible(name: str) -> bool:
    """Tell a name from noise: any printable text can be imported, since a module's file may be called anything."""
    return name != "" and name.isprintable() and "\ufffd" not in name


def _next(stream: ByteStream) -> tuple[Any, Any]:
    code = stream.read(1)
    opcode = _OPCODES.get(code)
    if opcode is None:
        raise UnreadableError(f"no opcode {code!r}" if code else "the data end before STOP")
    if opcode.name in ("GLOBAL", "INST"):
        # The real machine reads these two lines as UTF-8, pickletools only as ASCII: a name must not hide behind that.
        return opcode, (_line(stream).decode("utf-8", "replace"), _line(stream).decode("utf-8", "replace"))
    if opcode.name == "STRING":
        return opcode, codecs.escape_decode(_line(stream).strip()[1:-1])[0].decode("latin-1")
    reader: Any = None if opcode.arg is None else opcode.arg.reader
    return opcode, None if reader is None else reader(stream)


def _line(stream: ByteStream) -> bytes:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise UnreadableError("a line without an end")
    return line[:-1]
