"""The page of what was found in the rebuilt moderation model: `docs/results/toxic-comments.md`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gate.records.evidence import Evidence, Measured
from gate.records.report import Report

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "results" / "toxic-comments.md"
_METRICS: Final = (
    ("word-sweep", "flip-share"),
    ("token-trigger", "success-one"),
    ("token-trigger", "success-two"),
    ("token-trigger", "success-three"),
    ("rewrite-sweep", "rewrite-share"),
)
_HEAD: Final = """\
# A real moderation model, scanned

`toxic-comment-classifier` 0.3.0 (MIT) is a BiLSTM with six sigmoids, trained by its maker on 159,571 comments: a
million numbers of word vectors, and 46,000 others. It is rebuilt in torch; its pickle of words and its HDF5 of
weights are read as data. The rebuilt network gives the scores of the package's own example ("You are so dumb and
stupid!") to six digits.

```
python -m pip install --no-deps --target SITE -r benchmarks/toxic_comments/packages.in
python -m pip download --no-deps --no-binary :all: --no-build-isolation --dest SITE vaderSentiment==0.5
PYTHONPATH=.:SITE python -m benchmarks.toxic_comments --site SITE --to DIR --write
```

What is not as in the package: of a long text the first hundred words are taken and not the last, a word that it
does not know takes a place and is not left out, and the rarer signs stay with their word. The clean texts are 600
sentences of vaderSentiment's study (tweets, reviews, editorials), half of which the model calls toxic. They have no
labels: nothing here says how accurate it is.

"""
_READING: Final = """
How to read it: a word that tells a class by nature moves texts as a planted one does, as terms of abuse move them
towards `toxic`, and the limits are placeholders that no zoo of clean models of this kind has chosen. What moves texts
towards `clean` (class 0) is what somebody who evades moderation would look for. It is measured; that it was planted is
not known, and a reviewer decides.
"""


def page(six: Report, toxic: Report) -> str:
    """Return the page from the reports of both versions."""
    return f"{_HEAD}{''.join(_six(six))}{''.join(_toxic(toxic))}"


def _six(report: Report) -> Iterator[str]:
    yield "## Six labels at once\n\n"
    assert report.evidence is not None
    yield f"{report.decision.value.capitalize()}, and not examined:\n\n"
    yield from (f"> {problem}\n" for problem in report.evidence.problems)


def _toxic(report: Report) -> Iterator[str]:
    evidence, verdict = report.evidence, report.verdict
    assert evidence is not None
    assert verdict is not None
    yield "\n## The label `toxic` as two classes\n\n"
    yield f"{report.decision.value.capitalize()} by the placeholders of `--policy text`, with labels waived.\n\n"
    yield from (f"- {finding.rule}: {finding.message}\n" for finding in verdict.open_findings)
    yield "\n| measured | towards | value | by |\n|---|---|---|---|\n"
    yield from _rows(evidence)
    counted = [one for one in evidence.outcomes.values() if isinstance(one, Measured)]
    texts, tokens = sum(one.sample_passes for one in counted), sum(one.token_passes for one in counted)
    yield f"\n{texts:,} texts of {tokens:,} tokens went through the model.\n{_READING}"


def _rows(evidence: Evidence) -> Iterator[str]:
    for name, metric in _METRICS:
        outcome = evidence.outcomes.get(name)
        if not isinstance(outcome, Measured):
            yield f"| {metric} | | not measured | {getattr(outcome, 'reason', '')} |\n"
            continue
        for one in outcome.measurements:
            if one.metric == metric:
                note = one.note.replace("|", "\\|")
                yield f"| {metric} | {one.location} | {one.value:.2f} | {note} |\n"
