"""The image's health check: asks `gate serve` for its health address, with Python because the image holds no curl.

Any other command of the gate does not listen: a container that runs one is healthy as long as it runs.
"""

import os
import sys
import urllib.request
from pathlib import Path

DEFAULT_ADDRESS = "http://127.0.0.1:8200/health"
FIRST_PROCESS = Path("/proc/1/cmdline")


def serves(command_line: bytes) -> bool:
    """Tell whether the container's first process runs `gate serve`, started through an init program or not."""
    return b"serve" in command_line.split(b"\0")


def answers(address: str, timeout_seconds: float = 4) -> bool:
    """Tell whether the health address answers 200 in time."""
    try:
        # A proxy of the container's environment is none of the loopback's business.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=timeout_seconds) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def main() -> int:
    """Return 0 for healthy, 1 for not."""
    if not serves(FIRST_PROCESS.read_bytes()):
        return 0
    return 0 if answers(os.environ.get("GATE_HEALTH_URL", DEFAULT_ADDRESS)) else 1


if __name__ == "__main__":
    sys.exit(main())
