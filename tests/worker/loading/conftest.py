"""What tests of quicker forms share, of images and of texts."""

import sys

import pytest

from gate.programs.quick import choose, forms


@pytest.fixture
def large(monkeypatch):
    """Let every net count as a large one, and bfloat16 as four times as quick as the rest."""
    choosing = sys.modules[choose.__module__]
    monkeypatch.setattr(choosing, "LEAST_FLOPS", 0.0)
    monkeypatch.setattr(forms, "has_bfloat16", lambda _device: True)
    narrow = {"bfloat16": 4.0}
    monkeypatch.setattr(choosing, "_rate", lambda form, *_: narrow.get(getattr(form, "precision", ""), 1.0))
