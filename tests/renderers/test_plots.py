"""Plots: small, finite whatever the numbers, and distinguishable without colour."""

import re
from xml.etree import ElementTree as ET

import pytest
import reports
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.records.evidence import Location, Measured, Measurement, Point, Projection
from gate.records.policy import Rule
from gate.renderers import html
from gate.renderers.classes import ClassSize, ClassSizes, class_sizes
from gate.renderers.plots import HEIGHT, SIDE, WIDTH, bars, scatter

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def coordinates(svg: str) -> list[float]:
    """Return every number of every path, and see that the drawing is well-formed XML without odd values."""
    ET.fromstring(svg)
    assert not re.search(r"\b(nan|inf)\b", " ".join(re.findall(r' d="([^"]*)"', svg)))
    return [float(n) for d in re.findall(r' d="([^"]*)"', svg) for n in re.findall(r"-?\d+\.?\d*", d)]


@pytest.mark.parametrize(("classes", "most"), [(2, 6_000), (10, 8_000), (43, 10_000), (1000, 40_000)])
def test_a_bar_for_every_class_in_few_bytes(classes: int, most: int) -> None:
    """All classes are drawn, and a thousand of them take less than 40 kB."""
    sizes = tuple(
        ClassSize(i, 50.0 + i % 7, None, None, None, "suspect" if i == 1 else "ordinary") for i in range(classes)
    )
    drawn = bars(ClassSizes(detector="neural-cleanse", title="Neural Cleanse", sizes=sizes, median=53.0))
    assert sum(d.count("z") for d in re.findall(r'class="bar \w+" d="([^"]*)"', drawn.svg)) == classes
    assert len(drawn.svg) < most


def test_flagged_and_suspect_classes_carry_signs_and_words() -> None:
    """A flagged class has a triangle and its index, a suspect a diamond, and both are named in the description."""
    (series,) = class_sizes(reports.flagged())
    drawn = bars(series)
    assert 'class="sign flagged"' in drawn.svg
    assert 'class="sign suspect"' in drawn.svg
    assert "A limit is exceeded at class 7." in drawn.description
    assert "Suspect and examined further: class 3." in drawn.description
    assert [key.label for key in drawn.keys][:2] == ["exceeds a limit", "suspect, examined further"]
    assert [entry.index for entry in series.smallest][:3] == [7, 3, 4]


def test_a_class_is_flagged_by_the_detector_whose_limit_it_exceeds() -> None:
    """In another detector's plot the same class is a suspect: no limit of that detector is exceeded there."""
    report = reports.flagged()
    assert report.evidence is not None
    assert report.verdict is not None
    patches = report.evidence.outcomes["neural-cleanse"]
    outcomes = report.evidence.outcomes | {"warp-trigger": patches}
    rules = report.policy.model_copy(update={"detectors": report.policy.detectors | {"warp-trigger": Rule()}})
    evidence = report.evidence.model_copy(update={"outcomes": outcomes})
    both = class_sizes(report.model_copy(update={"evidence": evidence, "policy": rules}))
    own, other = ({entry.index: entry.standing for entry in series.sizes} for series in both)
    flagged = [index for index, standing in own.items() if standing == "flagged"]
    assert flagged == list(report.verdict.target_classes)
    assert {other[index] for index in flagged} == {"suspect"}


def test_classes_that_left_the_search_early_are_set_apart() -> None:
    """They have no share of the median, which is the detector's own; the plot and the words say that they left."""
    report = reports.flagged()
    assert report.evidence is not None
    patches = report.evidence.outcomes["neural-cleanse"]
    assert isinstance(patches, Measured)
    kept = tuple(m for m in patches.measurements if m.metric != "size-ratio")
    sizes = {m.location.class_index: m.value for m in kept if m.metric == "size" and m.location is not None}
    ratios = [Measurement(metric="size-ratio", value=sizes[k] / 200, location=Location.of_class(k)) for k in (3, 7)]
    outcomes = {"neural-cleanse": patches.model_copy(update={"measurements": (*kept, *ratios)})}
    evidence = report.evidence.model_copy(update={"outcomes": report.evidence.outcomes | outcomes})
    (series,) = class_sizes(report.model_copy(update={"evidence": evidence}))
    assert series.median == pytest.approx(200)
    assert {entry.index for entry in series.sizes if entry.ended} == {3, 7}
    assert {entry.index for entry in series.sizes if entry.of_median is not None} == {3, 7}
    drawn = bars(series)
    assert 'class="bar ordinary early"' in drawn.svg
    assert f"{len(sizes) - 2} of the classes left the search early; their sizes are upper bounds." in drawn.description
    assert [key.label for key in drawn.keys][-2:] == ["left early: at most so large", "median of those compared"]


@given(st.lists(FINITE, min_size=1, max_size=30), FINITE)
def test_bars_stay_in_the_picture_whatever_the_sizes(values: list[float], median: float) -> None:
    """Huge, tiny, negative and equal sizes all give finite coordinates inside the drawing."""
    sizes = tuple(ClassSize(i, value, None, None, None, "flagged") for i, value in enumerate(values))
    found = coordinates(bars(ClassSizes("d", "D", sizes, median)).svg)
    assert all(-20 <= value <= max(WIDTH, HEIGHT) for value in found)


@settings(max_examples=50)
@given(st.lists(st.tuples(FINITE, FINITE, st.text(max_size=5), st.integers(-3, 9)), min_size=1, max_size=30))
def test_samples_stay_in_the_picture_whatever_their_places(points: list[tuple[float, float, str, int]]) -> None:
    """Hostile coordinates, groups and clusters give a finite, well-formed drawing that counts every sample."""
    drawn = scatter(
        Projection(
            location=Location.of_class(1),
            method="PCA",
            points=tuple(Point(x=x, y=y, group=group, cluster=cluster) for x, y, group, cluster in points),
        )
    )
    assert all(-20 <= value <= SIDE for value in coordinates(drawn.svg))
    assert sum(int(re.search(r"(\d+) samples?$", key.label)[1]) for key in drawn.keys) == len(points)
    assert len(drawn.keys) <= 5 * 6


def test_groups_and_clusters_differ_by_shape_and_by_filling() -> None:
    """Each group has its own shape; neighbouring clusters differ in filling and carry their names."""
    drawn = scatter(reports.projection())
    shapes = {
        (css, re.sub(r"[\d.-]+", "", d)[:6]) for css, d in re.findall(r'class="point ([^"]+)" d="([^"]+)"', drawn.svg)
    }
    assert {css for css, _ in shapes} == {"outlier", "cluster-0 solid", "cluster-1 hollow"}
    assert len({shape for _, shape in shapes}) == 2
    assert ">cluster 0<" in drawn.svg
    assert ">cluster 1<" in drawn.svg


def test_a_thousand_classes_make_a_page_of_bounded_size() -> None:
    """The whole page for a thousand classes stays below 100 kB and names the three classes beyond the limit."""
    page = html.render(reports.many_classes(1000))
    assert len(page) < 100_000
    assert "Target classes: 7, 500, 995" in page
