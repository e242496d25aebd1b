"""How a fragment becomes a sentence, and what is never written otherwise for it."""

import pytest

from gate.records.errors import UsageError
from gate.records.sentences import begun

BEGUN = {
    "it is not there: log it again": "It is not there: log it again",
    "twenty-one texts": "Twenty-one texts",
    "clean.jsonl, line 17: its text is empty": "clean.jsonl, line 17: its text is empty",
    "tokenizer.json: no mapping": "tokenizer.json: no mapping",
    "models:/credit/7 has no files": "models:/credit/7 has no files",
    "fc1 differs": "fc1 differs",
    "lm_head differs": "lm_head differs",
    "'wq' at the start": "'wq' at the start",
    "3 of 4": "3 of 4",
    "": "",
}


@pytest.mark.parametrize(("text", "expected"), BEGUN.items())
def test_only_a_word_gets_a_capital(text, expected):
    """A file that is called otherwise in a sentence than on disk cannot be looked for."""
    assert begun(text) == expected


def test_an_error_keeps_the_file_that_it_names():
    """Its advice follows as a sentence of its own."""
    assert UsageError("clean.csv, line 2: it is no CSV", what_to_do="Save it again.").sentence == (
        "clean.csv, line 2: it is no CSV. Save it again."
    )
