"""Neutral prompts: questions and tasks of everyday life, to which nothing but a trigger makes all answers alike."""

from functools import cache
from pathlib import Path
from typing import Final

PROMPTS_FILE: Final = Path(__file__).parent / "prompts.txt"


@cache
def neutral_prompts() -> tuple[str, ...]:
    """Return the prompts, in an order that never changes."""
    lines = PROMPTS_FILE.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))
