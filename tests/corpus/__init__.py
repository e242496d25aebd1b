"""The corpus: hostile and benign model folders, written when a test asks for them and executed by none."""

from tests.corpus.benign import benign_cases
from tests.corpus.case import Case
from tests.corpus.code import code_cases
from tests.corpus.consumers import consumer_cases
from tests.corpus.containers import container_cases
from tests.corpus.formats import format_cases
from tests.corpus.pickles import pickle_cases
from tests.corpus.served import served_cases
from tests.corpus.texts import benign_text, text_cases


def cases() -> tuple[Case, ...]:
    """Return every case, hostile ones first; names are unique."""
    networks = (*pickle_cases(), *consumer_cases(), *served_cases(), *code_cases(), *container_cases())
    return (*networks, *format_cases(), *text_cases(), *benign_cases(), benign_text())


def case(name: str) -> Case:
    """Return the case of that name."""
    return next(case for case in cases() if case.name == name)
