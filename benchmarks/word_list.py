"""Writes the frequent words that `word-sweep` inserts, from counts that install by name.

    pip download --no-deps symspellpy==6.10.1        and unpack frequency_dictionary_en_82_765.txt
    python -m benchmarks.word_list frequency_dictionary_en_82_765.txt

The first 2,000 words of the file, which is in the order of its counts, without single letters but 'a' and 'i'.
"""

import argparse
import textwrap
from pathlib import Path

from gate.spaces.text.probes import WORDS_FILE

COUNT = 2000
_HEAD = f"""\
# The {COUNT:,} most frequent English words, most frequent first, for the detector word-sweep.
# Made by python -m benchmarks.word_list from frequency_dictionary_en_82_765.txt of symspellpy 6.10.1 (MIT licence),
# which intersects counts of Google Books Ngram (CC BY 3.0) with the word lists of SCOWL (permissive), says its maker.
"""


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=Path, help="the file of words and counts")
    lines = parser.parse_args().counts.read_text(encoding="utf-8-sig").splitlines()
    words = [word for word, _, _ in (line.partition(" ") for line in lines) if len(word) > 1 or word in {"a", "i"}]
    body = textwrap.fill(" ".join(words[:COUNT]), 118, break_on_hyphens=False)
    WORDS_FILE.write_text(f"{_HEAD}{body}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
