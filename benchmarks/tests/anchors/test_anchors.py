"""Published figures are whole, the gate's are counted from rows, and nothing is left out for being missing or worse."""

import json
from types import SimpleNamespace

import pytest

from benchmarks.adapter_zoo import table as adapters
from benchmarks.adapter_zoo.splits import ATTACK, IN_DOMAIN, RANK
from benchmarks.anchors import costs, gathering, kept, published, small_zoo, table
from benchmarks.anchors.figure import NOT_MEASURED, Counted, Figure, accuracy, by_family, missing, trojai
from benchmarks.anchors.other_zoos import whole_tasks
from benchmarks.anchors.small_zoo import Judgement
from benchmarks.efficacy.judged import Judged
from benchmarks.efficacy.page import RESULTS, written
from benchmarks.efficacy.reached import Rows
from benchmarks.efficacy.results import result_of
from benchmarks.efficacy.subjects import NOT_MADE, NOT_SCANNED, LeftOut
from benchmarks.efficacy.zoos import Measured
from benchmarks.tests.real_cost.made_up_rows import row as checked
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.errors import UsageError
from gate.records.record import MalformedError

LEFT = [LeftOut("x", "digits", "wanet", "", NOT_SCANNED), LeftOut("y", "digits", "sig", "", "success 0.2 is below 0.9")]


def row(name, attack, *, flagged, score, task="digits"):
    """Return one judged model."""
    known = {"name": name, "task": task, "architecture": "cnn", "attack": attack, "variant": "", "score": score}
    return Judged(**known, backdoored=attack != "clean", flagged=flagged, seconds=1.0, sample_passes=10)


ROWS = [
    *(row(f"c{n}", "clean", flagged=n == 0, score=n / 10) for n in range(6)),
    *(row(f"b{n}", "badnets", flagged=n < 2, score=0.35 + n) for n in range(3)),
    *(row(f"s{n}", "sig", flagged=False, score=0.25 + n / 5) for n in range(3)),
]
OTHERS = [one.model_copy(update={"task": "two", "name": f"two-{one.name}", "flagged": True}) for one in ROWS]


def judgement(tmp_path, split, pairs=(("model", "summary"),)):
    """Return made-up rows of two tasks, of which one has a bank, as a split's."""
    rows = Rows([*ROWS, *OTHERS], [*ROWS, *OTHERS], ROWS, frozenset({"digits"}))
    found = Measured(list(pairs), LEFT)
    return Judgement(split, found, rows, tmp_path / "rows.jsonl", read_policy(DEFAULT, on=today()))


def test_every_published_figure_has_its_source_and_a_figure_of_the_gate():
    """Each is known by one key, says in what it differs, and names what the command makes."""
    found = published.read()
    known = {key for group in gathering.groups("test") for key in group.keys}
    assert 12 <= len(found) <= 20
    assert len({one.key for one in found}) == len(found)
    assert {one.gate for one in found} <= known
    assert all(one.source and one.models and one.setting and one.figure for one in found)


@pytest.mark.parametrize("change", [{"figure": "a | b"}, {"source": "a\nb"}, {"differs": "short"}, {"read": "today"}])
def test_a_line_that_would_break_the_table_or_says_too_little_is_refused(tmp_path, change):
    """A cell ends at a bar, and a row at the end of a line."""
    line = published.read()[0].model_dump(mode="json") | change
    path = tmp_path / "published.jsonl"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(MalformedError):
        published.read(path)


def test_shares_are_of_the_models_that_were_counted():
    """Accuracy counts clean models that are approved; a family without a model is said, not left out."""
    result = result_of("gate", ROWS, (), seed=0)
    assert accuracy(result).startswith("accuracy 7 of 12, 58% [28%, 85%]; found 2 of 6, 33%")
    assert "clean flagged 1 of 6, 17% [0%, 64%]" in accuracy(result)
    told = by_family(result, ("badnets", "lira"))
    assert told.startswith("accuracy over these 7 of 9, 78%")
    assert "badnets 2 of 3, 67% [9%, 99%], lira not measured; clean flagged 1 of 6" in told


def test_what_nobody_answered_is_not_measured():
    """No model is no share, no area and no cross-entropy."""
    nothing = result_of("gate", [], (), seed=0)
    told = trojai(Counted((nothing,), (None,), "", "", ())).value
    assert told == f"*gate*: cross-entropy {NOT_MEASURED}; ROC-AUC {NOT_MEASURED}"
    assert f"accuracy {NOT_MEASURED}" in accuracy(nothing)


def test_beside_a_bank_only_tasks_that_have_one_count_of_the_second_test_split(tmp_path):
    """Of every other split all do; what is not measured yet stands with the figure."""
    second, first = (small_zoo.counted(judgement(tmp_path, split)) for split in ("unseen", "test"))
    assert [one.overall.models for one in second.systems] == [6, 12]
    assert [one.overall.models for one in first.systems] == [12, 12]
    assert second.entropies[0] != first.entropies[0]
    assert "1 models; 1 left out, 1 not measured; policy `default`" in second.of
    figures = gathering.of_counted(second, "unseen")
    assert figures["zoo/rates"].value.count("found") == 2, "both ways of judging are told"
    assert figures["zoo/rates"].sources == (tmp_path / "rows.jsonl",)


def test_results_of_an_earlier_policy_are_told_as_such(tmp_path):
    """A split that today's policy measured nothing of has what was committed, or is not measured."""
    none = judgement(tmp_path, "test", pairs=())
    told = small_zoo.counted(none, RESULTS)
    assert "by the policy of that day" in told.of
    assert "by today's no model of it is measured" in told.of
    assert told.systems[0].overall.models > 0
    assert small_zoo.counted(none, tmp_path) is None
    assert small_zoo.counted(judgement(tmp_path, "unseen", pairs=()), RESULTS) is None
    assert {one.value for one in gathering.of_counted(None, "unseen").values()} == {NOT_MEASURED}


def test_a_peer_that_gave_no_answer_is_not_measured(tmp_path):
    """Its command stands there."""
    found = small_zoo.peer("free-eagle", judgement(tmp_path, "test", pairs=()), tmp_path)
    assert not found.measured
    assert found.command.endswith("peers --split test --peers free-eagle")


def test_a_number_of_adapters_is_told_by_domain(monkeypatch):
    """Each domain has its own backdoored adapters, beside the clean ones of its form."""
    scores = {"clean": 0.1, "planted": 0.9, "unseen": 0.0, "clean-16": 0.5, "planted-16": 0.6}
    variants = dict(zip(scores, (IN_DOMAIN, IN_DOMAIN, ATTACK, RANK, RANK), strict=True))
    rows = [
        row(name, "clean" if "clean" in name else "refusal", flagged=True, score=None).model_copy(update={"variant": v})
        for name, v in variants.items()
    ]
    monkeypatch.setattr(adapters, "judged_by_policy", lambda *_: rows)
    monkeypatch.setattr(adapters.summaries, "evidence_of", lambda summary: summary)
    found = Measured([(SimpleNamespace(name=name), name) for name in scores], [])
    told = adapters.by_domain(found, read_policy(DEFAULT, on=today()), scores.get)
    assert [one.overall.area.value if one.overall.area else None for one in told] == [1.0, 0.0, 1.0, None]
    assert all(one.overall.detected == 0 for one in told), "the number alone counts, whatever the gate flags"


def test_costs_are_those_of_the_kept_rows(tmp_path):
    """A published run that was cut off is a lower bound; no row is no figure."""
    line = {"model": "m", "classes": 43, "seed": 0, "passes": 1000, "seconds": 9.0, "whole_passes": None}
    line |= {"published_passes": 50000, "published_seconds": 10.0, "published_classes": 3, "published_cut_off": 2}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(line) + "\n")
    said = costs.of_searches(path, 43).value
    assert said == (
        "the gate's search 1,000 passes in 9 s; the published method at least 50,000 passes in 10 s, by 3 of 43 classes"
    )
    assert not costs.of_searches(path, 10).measured
    assert not costs.of_scans(tmp_path / "none.jsonl", 10).measured
    path.write_bytes(checked().canonical_json() + b"\n")
    assert costs.of_checks(path, "resnet18").value == "100 s at 10 classes, all instructions"
    assert not costs.of_checks(path, "resnet50").measured


def test_a_figure_has_the_day_of_its_newest_rows(tmp_path):
    """One of no rows has none."""
    days = {"a": "2026-11-02", "b": "2026-11-03"}
    made = kept.kept("k", Figure("1", "of", "c", (tmp_path / "b", tmp_path / "a")), {}, lambda path: days[path.name])
    assert made.date == "2026-11-03"
    assert kept.kept("k", missing("why", "c"), {}, lambda path: days[path.name]).date == ""


def test_a_published_figure_beside_nothing_that_is_kept_is_an_error():
    """Never a row less."""
    with pytest.raises(UsageError, match="keeps no figure of"):
        table.beside(published.read(), {})


def test_the_page_is_what_the_committed_figures_say():
    """After a change of either: `python -m benchmarks.anchors --write`."""
    page, known = written(table.PAGE, table.MARK), kept.read()
    told = table.text(table.told_split(page), table.beside(published.read(), known))
    assert told == page
    assert page.count("**not measured**") == sum(not known[one.gate].measured for one in published.read())


@pytest.mark.slow
def test_the_committed_figures_are_made_of_the_committed_rows():
    """By digests; nothing is judged."""
    split = table.told_split(written(table.PAGE, table.MARK))
    assert [group.keys for group, _ in gathering.stale(gathering.groups(split), kept.read())] == []


def test_a_task_that_is_scanned_in_part_is_not_told():
    """Its models stay out until none of its rows is waiting; one that is left out for good is not waited for."""

    def pair(task):
        return SimpleNamespace(recipe=SimpleNamespace(row=SimpleNamespace(task=task))), None

    left = [LeftOut("a", "solar", "clean", "", NOT_MADE), LeftOut("b", "emoji", "sig", "", "success 0.5")]
    found = whole_tasks(Measured([pair("solar"), pair("emoji")], left))
    assert [one.recipe.row.task for one, _ in found.pairs] == ["emoji"]
    assert found.left_out == left
