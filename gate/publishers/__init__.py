"""Where reports go once they are written: GitHub and GitLab, one file each.

Renderers make strings, publishers send them. Nothing here decides anything: a comment that cannot be posted is said,
and changes neither the decision nor the exit code.
"""
