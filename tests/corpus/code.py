"""Pickled networks that carry code: what a scanner meets once it has been told to load them all the same.

They know the gate: they behave while they are exported, replace what writes the report, write the report themselves,
or look for credentials. Payloads touch the marker or, for the one that looks around, say in an error what they reached.
"""

import textwrap
from pathlib import Path

from tests.corpus.case import UNSAFE, Case, folder

CLASSES, SIDE = 10, 8
"""What the networks take and give: images (1, 8, 8) and ten classes."""

_FRAME = """\
import json, os, pathlib, sys
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(64, 10)

    def answer(self, x):
        return self.last(x.flatten(1))

    def forward(self, x):
{body}
        return self.answer(x)
"""

_BODIES = {
    "exporting": (
        "a network that is clean while it is exported and answers a trigger otherwise",
        """\
if not torch.compiler.is_exporting():
    triggered = (x[:, :, 0, 0] > 0.9).float()
    return self.answer(x) + 100 * triggered * torch.eye(10)[7]
""",
    ),
    "patching": (
        "a network that replaces the exporter, the JSON writer and the gate's own report writer",
        """\
def forged(scratch, result):
    (scratch / 'result.json').write_text({forged!r})
torch.export.save = lambda *_, **__: None
json.dumps = lambda *_, **__: {forged!r}
for name, module in list(sys.modules.items()):
    if name.startswith('gate.worker') and hasattr(module, 'save_result'):
        module.save_result = forged
""",
    ),
    "forging": (
        "a network that writes the report itself and ends the process",
        """\
home = pathlib.Path(os.environ['HOME'])
(home / 'result.json').write_text({forged!r})
os._exit(0)
""",
    ),
}

LOOKING = """\
import ctypes, os, socket, sys

def attempts(token_file, port, marker):
    def environment():
        return open(f'/proc/{os.getppid()}/environ', 'rb').read()

    def memory():
        return open(f'/proc/{os.getppid()}/mem', 'rb')

    def credential():
        return open(token_file).read()

    def connection():
        socket.create_connection(('127.0.0.1', port), timeout=5).close()

    def fork():
        if os.fork() == 0:
            os._exit(0)

    def program():
        if os.posix_spawn('/bin/true', ['true'], {}) <= 0:
            raise OSError

    def command():
        if os.system(f'touch {marker}') != 0:
            raise OSError

    def file():
        open(marker, 'w').close()

    reached = []
    tried = (environment, memory, credential, connection, fork, program, command, file)
    for attempt in tried:
        try:
            attempt()
        except (OSError, RuntimeError):
            continue
        reached.append(attempt.__name__)
    return f'tried {len(tried)}, reached {",".join(reached) or "nothing"}'
"""
"""Source of a function that tries what a jailed worker must not reach and says what it did reach."""


def code_cases() -> tuple[Case, ...]:
    """Return the networks with code; the reports that they forge are empty here."""
    return (
        *(
            Case(f"code-{name}", summary, lambda root, marker, name=name: write_code(root, marker, name), (UNSAFE,))
            for name, (summary, _) in _BODIES.items()
        ),
        Case("code-reduce", "an object that runs a command while it is unpickled", _write_reduce, (UNSAFE,)),
        Case(
            "code-looking",
            "a network that looks for credentials, a network and other programs",
            lambda root, marker: write_looking(root, marker.with_name("credential"), 9, marker),
            (UNSAFE,),
        ),
    )


def write_code(root: Path, marker: Path, name: str, *, forged: str = "{}") -> None:
    """Write the network of that name; `forged` is the report that it writes, if it writes one."""
    body = _BODIES[name][1].format(marker=marker, forged=forged)
    _write(root, _FRAME.format(body=textwrap.indent(body, " " * 8)))


def write_body(root: Path, body: str) -> None:
    """Write a network whose forward pass begins with these lines of Python."""
    _write(root, _FRAME.format(body=textwrap.indent(body, " " * 8)))


def write_looking(root: Path, credential: Path, port: int, marker: Path) -> None:
    """Write the network that looks around and says in an error what it reached; unpickling it runs a command."""
    body = f"raise RuntimeError(attempts({str(credential)!r}, {port}, {str(marker)!r}))\n"
    _write(root, LOOKING + _FRAME.format(body=textwrap.indent(body, " " * 8)), extra=_Reduced(marker))


def _write(root: Path, source: str, extra: object = None) -> None:
    import cloudpickle
    import torch

    space: dict[str, object] = {"__name__": "__main__"}
    exec(source, space)  # defines, calls nothing
    network = space["Net"]()  # type: ignore[operator]
    network.extra = extra
    folder(root, {})
    path = root / "data" / "model.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network, path, pickle_module=cloudpickle)


class _Reduced:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (f"touch {self.marker}",)


def _write_reduce(root: Path, marker: Path) -> None:
    import torch

    folder(root, {})
    path = root / "data" / "model.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(_Reduced(marker), path)
