"""A bounded walk over one pickle stream that names what it would import, without importing or building anything.

The walk keeps a stack, on which it knows strings, integers, names and tuples, and a memo, as the real machine does. So
a name that is put together on the stack is known exactly or counted as unresolved, as is each record outside of the
stream that torch would read for it.
"""

import codecs
import pickletools
from dataclasses import dataclass, field
from typing import Any

from gate.formats.source import Bounds, ByteStream, ExceededError, UnreadableError

_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_STRINGS = frozenset(
    {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
)
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_CALLS = frozenset({"REDUCE", "OBJ", "INST", "NEWOBJ", "NEWOBJ_EX", "BUILD"})
_EXTENSIONS = frozenset({"EXT1", "EXT2", "EXT4"})
_MAX_NAMES = 10_000
_MAX_STORAGES = 100_000
_INTEGERS = frozenset({"INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2"})
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()
_UNKNOWN = object()


@dataclass(frozen=True)
class Imported:
    """A value that a stream imports by a written name."""

    module: str
    name: str


@dataclass(frozen=True)
class Storage:
    """A record outside of the stream that torch reads: type, key and number of its elements."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class PickleWalk:
    """The imports, calls and references of one pickle stream, as far as it can be read."""

    names: tuple[tuple[str, str], ...]
    """Module and name of every import, once each, in order."""
    unresolved: int
    """Number of imports whose name is computed or comes from the extension registry."""
    calls: int
    opcodes: int
    fault: str
    """Reason why the stream could not be read to its end; empty if it could."""
    number: int | None
    """The value of a stream that holds only an integer, as the legacy torch format begins."""
    raw: bytes | None
    """The stream's own bytes, if few."""
    storages: tuple[Storage, ...] = ()
    """The records outside of the stream that it refers to, once each."""
    odd_references: int = 0
    """Number of references that are computed, or not to a record of numbers."""

    @property
    def is_certain(self) -> bool:
        """Whether the bytes must be a pickle: they import by a printable name.

        A computed name alone is no proof: what computes it is imported by a written one first, and raw numbers hold the
        opcodes of computed names by chance.
        """
        return any(_is_plausible(module) and _is_plausible(name) for module, name in self.names)


@dataclass
class _Machine:
    """The part of the pickle machine's state that decides which names are imported and records read."""

    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    names: dict[tuple[str, str], None] = field(default_factory=dict)
    storages: dict[Storage, None] = field(default_factory=dict)
    odd_references: int = 0
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
            self.stack.append(self._import(first, last))
        else:
            self._generic(opcode, argument)

    def _generic(self, opcode: Any, argument: Any) -> None:
        """Pop and push by the opcode's own table; only strings, integers, names and tuples are known."""
        before = opcode.stack_before
        wanted = len(before)
        popped: list[Any] = []
        if pickletools.markobject in before:
            while (value := self._pop()) is not _MARK:
                popped.append(value)
            wanted = before.index(pickletools.markobject)
        popped.extend(self._pop() for _ in range(wanted))
        if opcode.name in _EXTENSIONS:
            self.unresolved += 1
        if opcode.name in _CALLS:
            self.calls += 1
        if opcode.name in ("PERSID", "BINPERSID"):
            self._refer(popped[0] if opcode.name == "BINPERSID" else argument)
        self.stack.extend(self._pushed(opcode, argument, popped))

    def _pushed(self, opcode: Any, argument: Any, popped: list[Any]) -> list[Any]:
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            imported = self._import(*argument)
            return [imported if name == "GLOBAL" else _UNKNOWN]
        if name in _STRINGS and isinstance(argument, str):
            return [argument]
        if name in _INTEGERS and isinstance(argument, int):
            return [argument]
        if name == "TUPLE" or name in _TUPLES:
            return [tuple(reversed(popped))]
        return [_MARK if kind is pickletools.markobject else _UNKNOWN for kind in opcode.stack_after]

    def _refer(self, value: Any) -> None:
        """Record a reference as torch writes it: ("storage", type, key, place, number of elements)."""
        match value:
            case ("storage", Imported("torch" | "torch.cuda" | "torch.storage", kind), str(key), str(), int(count)):
                if len(self.storages) >= _MAX_STORAGES:
                    raise UnreadableError(f"more than {_MAX_STORAGES} records")
                self.storages[Storage(kind, key, count)] = None
            case _:
                self.odd_references += 1

    def _import(self, module: Any, name: Any) -> Any:
        if not isinstance(module, str) or not isinstance(name, str):
            self.unresolved += 1
            return _UNKNOWN
        if len(self.names) >= _MAX_NAMES:
            raise UnreadableError(f"more than {_MAX_NAMES} imports")
        self.names[module, name] = None
        return Imported(module, name)

    def _store(self, key: int) -> None:
        value = self._top()
        self.memo[key] = _UNKNOWN if value is _MARK else value

    def _top(self) -> Any:
        if not self.stack:
            raise UnreadableError("the stack is empty")
        return self.stack[-1]

    def _pop(self) -> Any:
        value = self._top()
        self.stack.pop()
        return value


def walk_pickle(stream: ByteStream, bounds: Bounds) -> PickleWalk:
    """Read one stream up to its STOP and return what it names; an error ends the walk and is its `fault`."""
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
            machine.step(opcode, argument)
            if opcode.name == "STOP":
                break
        except ExceededError:
            raise
        except Exception as error:  # noqa: BLE001  # any failure of a parser of hostile bytes is what was found
            fault = f"byte {stream.position}: {type(error).__name__}: {str(error)[:120]}"
            break
        number = argument if opcode.name in ("LONG1", "LONG4", "BININT", "BININT1", "BININT2") else None
        number = None if count > 3 else number  # PROTO, the integer, STOP
    raw = bytes(stream.kept) if stream.kept_whole else None
    return PickleWalk(
        names=tuple(machine.names),
        unresolved=machine.unresolved,
        calls=machine.calls,
        opcodes=count,
        fault=fault,
        number=number,
        raw=raw,
        storages=tuple(machine.storages),
        odd_references=machine.odd_references,
    )


def _is_plausible(name: str) -> bool:
    """Tell a name from noise: any printable text can be imported, since a module's file may have any name."""
    return name != "" and name.isprintable() and "\ufffd" not in name


def _next(stream: ByteStream) -> tuple[Any, Any]:
    code = stream.read(1)
    opcode = _OPCODES.get(code)
    if opcode is None:
        raise UnreadableError(f"no opcode {code!r}" if code else "the data end before STOP")
    if opcode.name in ("GLOBAL", "INST"):
        # The real machine reads these two lines as UTF-8, pickletools only as ASCII: no name may hide behind that.
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
