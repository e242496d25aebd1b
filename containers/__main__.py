"""`make container` and `make container-test`: build the image; run it as a pipeline would.

python -m containers build [--torch cuda]
python -m containers trial [--no-build]
"""

import argparse
import signal
import subprocess
import sys

from containers.engine import ROOT, Engine, EngineError, absence


def main() -> int:
    """Run one of the two and return its exit code."""
    arguments = _parser().parse_args()
    if missing := absence():
        print(f"{arguments.verb}: NOT RUN: {missing}")
        # Without an engine there is nothing to try, which is no fault; but an image that was asked for is missing.
        return 0 if arguments.verb == "trial" else 1
    # A polite kill ends as Ctrl-C does: with everything cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    engine = Engine(f"gate:{arguments.torch}")
    try:
        if not arguments.no_build:
            engine.build(arguments.torch, _revision())
        if arguments.verb == "build":
            print(f"built {engine.image}: {engine.inspect()['Size'] / 1e6:.0f} MB")
            return 0
        from containers.trial import Trial

        return Trial(engine).run()
    except (EngineError, subprocess.TimeoutExpired) as error:
        print(f"{arguments.verb}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m containers", description="The gate's container image.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (("build", "build the image"), ("trial", "build the image and run every check of it")):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("--torch", choices=("cpu", "cuda"), default="cpu", help="which build of torch")
        one.set_defaults(no_build=False)
        if verb == "trial":
            one.add_argument("--no-build", action="store_true", help="take the image that is there")
    return parser


def _revision() -> str:
    """Return the commit of the checkout, marked where files differ from it, for the image's label."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--match="]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
