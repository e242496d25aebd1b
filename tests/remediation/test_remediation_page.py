"""The report of a remediation: self-contained, escaped, honest, and told apart from an approval."""

import re

import pytest

from gate.records.artifact import ModelRef
from gate.records.evidence import Location
from gate.records.remediation import Named, RemediationReport, attempt_of
from gate.records.repair import RepairBounds
from gate.renderers.remediation import REMEDIATION_RENDERERS, render_html, render_markdown
from tests.remediation.made_up import PLACE, measures, picture, result

HOSTILE = '<img src=x onerror="alert(1)">](http://evil) | ::add-mask::x \u202e `x` &'
BOUNDS = RepairBounds()


def report(*attempts, **changes):
    """Return a report of attempts, by default one that holds."""
    made = tuple(attempt_of(one, (PLACE,), BOUNDS) for one in attempts or (result(),))
    held = any(not one.broken for one in made)
    facts = {
        "gate_version": "1",
        "made_at": "2026-12-01T09:30:00Z",
        "uri": "models:/cand/1",
        "parent": ModelRef(registry="mlflow", name="cand", version="1"),
        "parent_digest": "sha256:" + "a" * 64,
        "evidence_digest": "sha256:" + "b" * 64,
        "policy": "p@sha256:" + "c" * 64,
        "level": 0.05,
        "samples": "clean.npz",
        "samples_sha256": "d" * 64,
        "bounds": BOUNDS,
        "suspects": (PLACE,),
        "findings": ("neural-cleanse: size-ratio 0.1 at class 7",),
        "named": (Named(place="class 7", detector="neural-cleanse", metric="size-ratio", value=0.1),),
        "planned": ("unlearning", "another"),
        "seeds": (6, 7),
        "attempts": made,
        "outcome": "repaired" if held else "none-holds",
        "commands": ("gate check models:/cand/2",) if held else (),
    }
    return RemediationReport(**(facts | changes))


def test_before_and_after_stand_side_by_side():
    """Accuracy with its interval, old and fresh success, sizes and fidelity are in both texts."""
    for text in (render_html(report()), render_markdown(report())):
        plain = text.replace("\N{NARROW NO-BREAK SPACE}", " ")
        for words in ("96.0 % (92.0 % to 99.0 %)", "95.0 % (91.0 % to 98.0 %)", "99.0 %", "2.0 %", "0.10", "0.90"):
            assert words in plain
        assert "NIST fidelity 0.9696" in plain
        assert "200 held-out samples" in plain
        assert "0.1 (0.05 times 2)" in plain


def test_pictures_stand_side_by_side_the_parents_first():
    """Of each suspect the old trigger and the fresh one; without an old one of the attempt, the scan's."""
    html = render_html(report())
    titles = re.findall(r"<figcaption><strong>(.*?)</strong>", html)
    assert titles == ["The parent&#39;s trigger", "A fresh trigger, after the repair"]
    alone = report(result(pictures=(picture("fresh", 200),)), pictures=(picture("", 90),))
    assert re.findall(r"<figcaption><strong>(.*?)</strong>", render_html(alone)) == titles


def test_the_page_is_self_contained_and_nothing_in_it_is_markup():
    """No script, link, form or address that leads out; hostile texts of worker, registry and samples are text."""
    hostile = report(
        result(changed={HOSTILE: HOSTILE}),
        result(status="failed", reason=HOSTILE),
        uri=HOSTILE,
        parent=ModelRef(registry="mlflow", name=HOSTILE, version="1"),
        samples=HOSTILE,
        findings=(HOSTILE,),
        suspects=(PLACE, Location(kind="class", name=HOSTILE)),
        named=(Named(place=HOSTILE, detector=HOSTILE, metric=HOSTILE, value=1.0),),
        training=(HOSTILE,),
        neurons=(HOSTILE,),
        commands=(HOSTILE,),
        policy=HOSTILE,
    )
    html = render_html(hostile)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    assert not re.search(r"<(script|link|iframe|form|object|base|a)[\s>]", html)
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'<img src="?([^"\s]*)', html))
    code = re.compile(r"^```.*?^```$|`+[^\n]*?`+", flags=re.DOTALL | re.MULTILINE)
    markdown = render_markdown(hostile)
    for text in (html, code.sub("", markdown)):
        assert "\u202e" not in text
        assert "<img src=x" not in text
    assert not re.search(r"(?<!\\)\]\(http", code.sub("", markdown))


@pytest.mark.parametrize("name", REMEDIATION_RENDERERS)
def test_no_remediation_calls_a_model_safe_or_approved(name):
    """The word for a repair that holds is 'not approved', and 'safe' is no word of the gate."""
    text = REMEDIATION_RENDERERS[name](report())
    assert not re.search(r"\bsafe\b", text, flags=re.IGNORECASE)
    if name != "remediation.json":
        assert "REPAIRED, and not approved" in text


def test_where_none_holds_the_owner_is_told_what_to_remove():
    """Retrain from scratch, with class, training rows and neurons as far as the evidence names them."""
    rows = "Of the training rows labelled 7, the smaller of the two groups: look at these rows."
    lost = report(result(after=measures(accuracy=0.5)), training=(rows,), neurons=("layer4[3]",))
    for text in (render_html(lost), render_markdown(lost)):
        assert "NO REPAIR HOLDS" in text
        assert "Retrain from scratch. The scan names class 7." in text
        assert "training rows labelled 7" in text
        assert "layer4" in text


def test_the_digest_is_that_of_the_report_before_it_had_a_version():
    """A tag of the version can name the report, although the report names the version."""
    before = report(commands=())
    after = before.model_copy(update={"registered": ModelRef(registry="mlflow", name="cand", version="2")})
    assert before.digest == after.digest
    assert "models:/cand/1 → models:/cand/2" in render_html(after)
