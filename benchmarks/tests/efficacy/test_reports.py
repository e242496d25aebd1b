import json
import xml.etree.ElementTree as ET

import pytest

from benchmarks.efficacy import asked, cost, detectors_table, page, picture, reached, results, tables, targets
from benchmarks.efficacy.judged import Judged
from benchmarks.efficacy.scanning import measure, merged, state_of
from benchmarks.efficacy.subjects import LeftOut, models_of
from gate.records.errors import UsageError


def row(name, attack, *, flagged, score):
    """Return one judged model."""
    return Judged(
        name=name,
        task="digits",
        architecture="cnn",
        attack=attack,
        variant="",
        backdoored=attack != "clean",
        flagged=flagged,
        by_limit=bool(flagged),
        score=score,
        any_right=bool(flagged),
        seconds=10.0,
        sample_passes=64000,
    )


ROWS = [
    *(row(f"c{n}", "clean", flagged=n == 0, score=float(n) / 10) for n in range(6)),
    *(row(f"b{n}", "badnets", flagged=True, score=1.0 + n) for n in range(3)),
    *(row(f"s{n}", "sig", flagged=n == 0, score=0.2 * n) for n in range(3)),
]
LEFT = [LeftOut("x", "digits", "wanet", "warp", "attack success 0.2 is below 0.9")]
RESULT = results.result_of("gate", ROWS, LEFT, seed=0)


def test_counts_are_by_attack_and_over_all():
    """Each attack has its own row, one of which no model was left; all together have the sum."""
    found = {one.attack: (one.models, one.left_out, one.detected) for one in (*RESULT.attacks, RESULT.overall)}
    assert found == {"badnets": (3, 0, 3), "sig": (3, 0, 1), "wanet": (0, 1, 0), "all attacks": (6, 1, 4)}
    assert (RESULT.clean_overall.flagged, RESULT.clean_overall.models) == (1, 6)
    assert RESULT.clean_overall.upper_bound == pytest.approx(0.5818, abs=1e-4)


def test_tables_say_what_was_counted():
    """The rows of the Markdown tables hold counts, bounds, intervals and nothing for what was not measured."""
    text = tables.by_attack(RESULT)
    assert "| badnets | 3 (0) | 3 of 3 | 3 of 3 | 3 of 3 | 0 of 3 | 1.00 [1.00, 1.00] | 10 | – | 64,000 |" in text
    assert "| wanet | 0 (1) | – | – | – | – | – | – | – | – |" in text
    assert "| digits | 6 (0) | 1 | 58% |" in tables.false_alarms(RESULT)
    assert "1 of 6 (58%)" in tables.side_by_side([RESULT])
    assert tables.detected_by_attack([RESULT]).splitlines()[-1] == "| gate | 3 of 3 | 1 of 3 |  |"


def test_the_gate_stands_beside_a_peer_on_the_models_that_the_peer_was_asked_about():
    """What the peer was not asked about is in no row; without a bank there is no row of the gate beside one."""
    answers = {"mm-bd": [row("c0", "clean", flagged=True, score=2.0), row("b0", "badnets", flagged=None, score=None)]}
    text = asked.text("asked", answers, ROWS[:2], ROWS, seed=0)
    assert "`mm-bd`, asked about 1 clean models (tasks: 1) and 1 backdoored ones (attacks: 1):" in text
    told = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert [line.split(" |")[:3] for line in told] == [
        ["| mm-bd (peer)", " 1", " –"], ["| gate beside a bank", " 0", " –"], ["| gate", " 1", " 1 of 1"]
    ]  # fmt: skip
    assert "Without an answer, by a peer that failed or names no threshold: 0 clean and 1 backdoored." in text
    assert "beside a bank" not in asked.text("asked", answers, (), ROWS, seed=0)


@pytest.mark.parametrize(
    "svg",
    [
        picture.areas([RESULT, RESULT.model_copy(update={"system": "peer <1>"})], "Split fit"),
        picture.areas([], "none"),
        picture.log_plot([picture.Series("a & b", ((10, 1e4), (1000, 1e6)))], "Cost", ("classes", "passes")),
        picture.log_plot([], "Nothing", ("x", "y")),
    ],
)
def test_pictures_are_well_formed_and_run_nothing(svg):
    """Every picture parses as XML, has a title for those who cannot see it, and holds no script."""
    root = ET.fromstring(svg)
    assert root.find("{http://www.w3.org/2000/svg}title").text
    assert "<script" not in svg
    assert "nan" not in svg.casefold()


def test_the_page_changes_between_its_markers_only(tmp_path):
    """What stands around the markers stays; a page without them is refused."""
    path = tmp_path / "efficacy.md"
    path.write_text("# Before\n<!-- efficacy-fit -->\nold\n<!-- /efficacy-fit -->\nafter\n")
    for _ in range(2):
        page.between(path, "efficacy-fit", "new")
    assert path.read_text() == "# Before\n<!-- efficacy-fit -->\n\nnew\n<!-- /efficacy-fit -->\nafter\n"
    with pytest.raises(UsageError, match="no markers"):
        page.between(path, "efficacy-test", "new")


def test_results_are_written_for_people_and_programs(tmp_path, monkeypatch, policy):
    """JSON, picture and page come from one call and name split, seeds, sizes and what was left out."""
    monkeypatch.setattr(page, "PAGE", tmp_path / "efficacy.md")
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    page.PAGE.write_text("<!-- efficacy-fit -->\n<!-- /efficacy-fit -->\n")
    page.write(page.Told("fit", [RESULT], LEFT, policy, 7, banks=("digits.json",), targets="| reached |"))
    value = json.loads((tmp_path / "fit.json").read_text())
    assert value["bootstrap_seed"] == 7
    assert value["left_out"][0]["reason"] == LEFT[0].reason
    assert value["systems"][0]["overall"]["detected"] == 4
    assert "12 models, 6 of them backdoored; 1 more are left out, because they did not learn" in page.PAGE.read_text()
    assert "table --write --split fit --bank digits.json" in page.PAGE.read_text()
    assert "| reached |" in page.PAGE.read_text()
    assert (tmp_path / "efficacy-fit.svg").read_text().startswith("<svg")


def test_a_target_that_is_missed_stands_in_the_table_like_one_that_is_reached():
    """Shares have their interval; a target without a number is reported; nothing measured is nothing claimed."""
    odd = row("o", "clean", flagged=True, score=0.1).model_copy(update={"architecture": "routed", "by": ("x size",)})
    text = targets.table(targets.TEST, RESULT, [*ROWS, odd]).splitlines()
    assert "| badnets, multi-target: detected | ≥ 98% | 3 of 3, 100% [29%, 100%] | yes |" in text
    assert (
        "| sig, label-consistent, source-specific, all-to-all: detected | ≥ 85% | 1 of 3, 33% [1%, 91%] | **no** |"
        in text
    )
    assert "| payload, architectural: detected | ≥ 90% | – | – |" in text
    assert "| semantic: detected | – | – | – |" in text
    assert "| odd clean graphs flagged by graph-structure | 0 | 0 of 1 | yes |" in text
    assert "| clean models flagged | ≤ 5% | 1 of 6, 16.7% (at most 58.2%) | **no** |" in text


def test_the_second_test_split_is_told_beside_banks_and_without():
    """Tasks without a bank count only where none is needed; a share above its limit may be chance beside a bank."""
    few = [one.model_copy(update={"task": "two", "name": f"two-{one.name}"}) for one in ROWS]
    known = [one.model_copy(update={"has_target": one.backdoored}) for one in ROWS]
    rows = reached.Rows([*known, *few], [*known, *few], known, frozenset({"digits"}))
    told = reached.tables("unseen", rows, LEFT, seed=0)
    beside, alone = told.split("Without any bank, on all 24:")
    assert "on the 12 models whose task has one" in beside
    assert "| clean models flagged | not significantly above 5% | 1 of 6, 16.7% (at most 58.2%) | yes |" in beside
    assert (
        "| badnets, multi-target, payload, architectural: detected | ≥ 97% | 3 of 3, 100% [29%, 100%] | yes |" in beside
    )
    assert "| true target named where detected and one exists | ≥ 90% | 4 of 4, 100% [40%, 100%] | yes |" in beside
    assert "| clean models flagged | ≤ 5% (at most 8%) | 2 of 12, 16.7% (at most 43.8%) | **no** |" in alone
    assert "cross-entropy" not in alone
    assert reached.tables("fit", rows, LEFT, seed=0) == ""


def test_by_detector_a_metric_that_shows_the_backdoor_has_area_one(bench, store):
    """The smallest size separates all backdoored models at the planted class; constants and twins have no line."""
    from made_up import QuickScan

    entries = models_of(store, "fit").counting
    for entry in entries:
        measure(bench, entry, bench.policy.detectors, QuickScan())
    found = [(entry, merged(bench, state_of(bench, entry))) for entry in entries]
    for within_task in (False, True):
        lines = {(one.metric, one.form): one for one in detectors_table.lines(found, within_task=within_task)}
        ratio = lines["size", "worst"]
        assert (ratio.overall.area, ratio.overall.right, ratio.overall.placed, ratio.clean) == (1.0, 3, 3, 3)
        assert ("silhouette", "worst") not in lines
        assert ("size-ratio", "worst") not in lines, "its order is that of the sizes"
        assert "| neural-cleanse | size | worst | 3 | 1.00 (3/3) |" in detectors_table.text([ratio])


def test_what_a_detector_of_another_day_measured_has_no_line(bench, store):
    """Committed evidence may hold detectors that the gate no longer has; the others' lines stay what they are."""
    from made_up import QuickScan

    (entry, *_) = models_of(store, "fit").counting
    measure(bench, entry, bench.policy.detectors, QuickScan())
    now = merged(bench, state_of(bench, entry))
    older = now.model_copy(update={"outcomes": {"gone": now.outcomes["neural-cleanse"], **now.outcomes}})
    assert detectors_table.lines([(entry, older)]) == detectors_table.lines([(entry, now)])


def test_costs_are_drawn_beside_published_ones():
    """Measured sample-passes and the published methods' formulas share one plot."""
    common = {"detector": "neural-cleanse", "width": 1.0, "parameters": 9, "accuracy": 0.9, "seconds": 100}
    costs = [
        cost.Cost(
            **common, classes=classes, macs=1000 * classes, sample_passes=6400 * classes, scan_processor_seconds=9
        )
        for classes in (10, 100)
    ]
    svg = cost.by_classes(costs)
    assert "Neural Cleanse as published" in svg
    assert "MM-BD as published" in svg
    assert "multiply-adds" in cost.by_size(costs)
    assert "| neural-cleanse | 100 | 1 | 9 | 100,000 | 640,000 | 100 | 9 |" in cost.table(costs)


def test_only_detectors_that_look_at_every_class_are_costed(policy):
    """The search is; a detector over suspects, whose cost depends on the model, is left out."""
    assert "neural-cleanse" in cost.searching(policy)
    assert "activation-clustering" not in cost.searching(policy)


@pytest.mark.parametrize("classes", [10, 200])
def test_a_net_for_costing_tells_its_made_up_classes_apart(classes):
    """The search is costed on a net that has classes to find, whatever their number."""
    net, inputs, labels = cost.built(cost.Size(classes, 0.5), seed=0)
    assert inputs.shape == (cost.SAMPLES, *cost.SHAPE)
    assert float((net(inputs).argmax(1) == labels).float().mean()) > 0.9
    assert 10_000 < cost.multiply_adds(net) < 1_000_000
