"""Publishers send what renderers wrote, to GitHub and GitLab.

A comment that cannot be posted is reported, and changes neither the decision nor the exit code.
"""
