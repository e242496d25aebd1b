"""The candidate's score beside the signed decisions before it, drawn, as a table and in words."""

import re

import pytest
import reports

from gate.cli.result import lines
from gate.records.history import History
from gate.renderers import RENDERERS, history_plot
from gate.renderers.history import past

HTML, MARKDOWN = RENDERERS["html"][1], RENDERERS["markdown"][1]


def shown(*decisions, **said):
    """Return the history of a report with these earlier decisions."""
    return past(reports.with_history(History(decisions=decisions, **said)))


def test_only_scores_on_one_scale_are_held_against_the_candidates():
    """Others are shown, hollow, and in no sentence."""
    found = past(reports.with_history())
    assert found.in_short == (
        "The score is 1.2; of 20 signed decisions on earlier versions 17 scores can be compared, from 0.6 to 3.4, the "
        "median 1.2: 8 of them higher."
    )
    notes = {one.number: one.note for one in found.versions if one.note}
    assert notes == {
        "2": "another bank, policy, samples or gate",
        "3": "another bank, policy, samples or gate",
        "4": "limits judged",
    }
    assert [one.number for one in found.versions if one.own] == ["23"]


def test_the_line_is_where_this_scans_ranks_begin_to_flag():
    """Above it a score among the same models is flagged, and at it none is."""
    report = reports.with_history()
    found = past(report)
    comparison, level = report.evidence.bank.comparison, report.verdict.judging.level
    for score, flags in ((found.flags_above, False), (found.flags_above + 1e-6, True)):
        assert (comparison.model_copy(update={"score": score}).p_value <= level) == flags


def test_what_is_not_known_is_said():
    """Versions without a decision, a log that was not asked, and a registry that did not answer."""
    assert shown(unsigned=1, logged=True).sentences[1:] == (
        "1 earlier version carries no decision that a trusted key signed.",
    )
    assert "No review log was asked" in shown().sentences[-1]
    assert "the registry is away" in shown(why="the registry is away").sentences
    assert shown(reports.past_decision(2, None, by=None)).in_short == (
        "The score is 1.2. Of 1 signed decision on earlier versions none has a score that can be compared."
    )


@pytest.mark.parametrize("name", ["approved", "flagged", "unfinished", "without_anything"])
def test_without_a_history_nothing_is_shown(name):
    """No key was trusted, or the check did not finish."""
    report = getattr(reports, name)()
    assert past(report) is None
    assert 'id="history"' not in HTML(report)
    assert "Beside the versions before it" not in MARKDOWN(report)


def test_every_version_has_one_mark_and_the_words_are_on_the_drawing():
    """Decisions by shape, the candidate as a star, no score as a cross; a screen reader gets the sentences."""
    found = past(reports.with_history())
    drawn = history_plot.scores(found)
    marks = re.findall(r'class="score ([a-z ]+)"', str(drawn.svg))
    assert sorted(marks) == sorted(
        ["approved hollow"] * 2 + ["none"] + ["approved solid"] * 15 + ["flagged solid"] * 2 + ["approved own"]
    )
    assert found.in_short in str(drawn.svg)
    assert [key.label for key in drawn.keys] == [
        "approved",
        "flagged",
        "hollow: its score cannot be compared",
        "no score",
        "this version",
    ]


@pytest.mark.parametrize("scores", [(1e308, -1e308), (1e-308, 0.0), (0.0, 0.0), (-3.0, -1.0), (1e100, 1.0)])
def test_hostile_magnitudes_stay_on_the_drawing(scores):
    """No coordinate is infinite or outside, whatever was signed by a gate that was lied to."""
    drawn = str(history_plot.scores(shown(*(reports.past_decision(2 + n, s) for n, s in enumerate(scores)))).svg)
    assert "nan" not in drawn
    assert "inf" not in drawn.replace("information", "")
    for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", drawn):
        assert -20 <= float(x) <= history_plot.WIDTH + 20
        assert -20 <= float(y) <= history_plot.HEIGHT + 20


def test_long_version_numbers_are_cut_on_the_axis_and_whole_in_the_table():
    """A registry may number as it likes."""
    report = reports.with_history(History(decisions=(reports.past_decision(10**17 + 5, 1.0),)))
    assert "…00005" in str(history_plot.scores(past(report)).svg)
    assert "100000000000000005" in HTML(report)


@pytest.mark.parametrize(("render", "live"), [(HTML, "<script"), (MARKDOWN, "](http://e)"), (MARKDOWN, "<script")])
def test_a_registrys_words_are_escaped(render, live):
    """The one text that another party may have written is why nothing is known."""
    text = render(reports.with_history(History(why='</figcaption><script>alert(1)</script> | [x](http://e) "\u202e')))
    assert "alert(1)" in text
    assert live not in text
    assert "\u202e" not in text


def test_the_terminal_says_it_in_a_sentence():
    """Below the p-value."""
    told = list(lines(reports.with_history(), None, "", 200))
    (line,) = [one for one in told if one.startswith("history")]
    assert line.startswith("history  The score is 1.2; of 20 signed decisions")
    assert not [one for one in lines(reports.approved(), None, "", 200) if one.startswith("history")]


def test_a_version_that_limits_judged_has_no_score_and_says_so():
    """The rows stand there all the same."""
    report = reports.with_history(History(decisions=(reports.past_decision(2, 1.0),)))
    verdict = report.verdict.model_copy(update={"calibrated": False})
    found = past(report.model_copy(update={"verdict": verdict}))
    assert found.in_short == "This version has no score: limits judged. Earlier versions have 1 signed decision."
    assert found.flags_above is None
    assert [one.score for one in found.versions] == [1.0, None]
