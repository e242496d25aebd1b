"""`report.md`: for a terminal, a job summary or a merge request's comment; short, without pictures.

Everything from the candidate or the registry is escaped (gate.renderers.escape); tables are cut so that the whole stays
below what GitHub accepts as a comment.
"""

from gate.renderers.confirmation import COLUMNS
from gate.renderers.templates import MARKDOWN
from gate.renderers.view import view
from gate.renderers.words import CONFIRMED_MEANS
from gate.report import Report


def render(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown that any CommonMark reader can show."""
    return MARKDOWN.get_template("report.md.j2").render(
        view=view(report), confirmation_columns=COLUMNS, confirmed_means=CONFIRMED_MEANS
    )
