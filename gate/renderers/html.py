"""`report.html`: one self-contained page for the reviewer, light and dark, on screen and paper.

No script, no network: the page has a strict content security policy, pictures are data URIs, plots inline SVG.
"""

from gate.records.report import Report
from gate.renderers import plots
from gate.renderers.confirmation import COLUMNS
from gate.renderers.history_plot import scores
from gate.renderers.templates import HTML
from gate.renderers.view import View
from gate.renderers.words import CONFIRMED_MEANS

_CONTENTS = (
    ("next", "What to do next"),
    ("findings", "Findings"),
    ("sizes", "Trigger sizes"),
    ("confirmation", "Confirmation"),
    ("changes", "Since what serves"),
    ("history", "Earlier versions"),
    ("texts", "Triggers in texts"),
    ("pictures", "Pictures"),
    ("clusters", "Activations"),
    ("threats", "Threats"),
    ("not-examined", "Not examined"),
    ("bundle", "The bundle"),
    ("measurements", "Measurements"),
    ("conditions", "Conditions"),
    ("reproduce", "Reproduce"),
)


def render(report: Report) -> str:
    """Return the report as one HTML page."""
    seen = View(report)
    cluster_plots = [
        (projection, plots.scatter(projection))
        for projection in (report.evidence.projections if report.evidence else ())
        if projection.points
    ]
    absent = {
        "findings": seen.reasons_say_all and not seen.waived,
        "sizes": not seen.sizes,
        "confirmation": not seen.confirmed,
        "changes": seen.changed is None,
        "history": seen.past is None,
        "texts": not seen.excerpts,
        "pictures": not seen.picture_groups,
        "clusters": not cluster_plots and not seen.neurons,
        "threats": not seen.threats,
        "bundle": seen.bundle is None and not seen.oddities,
        "measurements": report.evidence is None,
        "conditions": report.evidence is None,
    }
    return HTML.get_template("report.html.j2").render(
        view=seen,
        contents=[(anchor, title) for anchor, title in _CONTENTS if not absent.get(anchor)],
        confirmation_columns=COLUMNS,
        confirmed_means=CONFIRMED_MEANS,
        size_plots=[(series, plots.bars(series)) for series in seen.sizes],
        cluster_plots=cluster_plots,
        history_plot=scores(seen.past) if seen.past else None,
    )
