"""Variables for later jobs, as GitLab's `artifacts:reports:dotenv`.

GitLab takes at most 5 KB, one `NAME=value` a line, no quotes, comments or empty lines, and by default 20 variables. The
names are none of the gate's own `GATE_…` options: those would change what a later `gate` does.
"""

from collections.abc import Mapping

from gate.records.report import Report
from gate.renderers.headline import headline, inert

MAX_BYTES = 5000
_MAX_VALUE = 500


def render(report: Report | None, more: Mapping[str, str] | None = None) -> str:
    """Return the report's headline and further values as dotenv lines in ASCII."""
    values = {**headline(report), **(more or {})}
    lines = [f"GATE_{name.upper().replace('-', '_')}={inert(value, _MAX_VALUE)}\n" for name, value in values.items()]
    return "".join(lines)
