"""Quicker forms of a program that answer alike within rounding: fewer nodes, layouts and types that the device likes.

Made once before a scan, chosen by a self-check and a short timing. What they find is measured again by the program as
it was read: they never stand behind a verdict alone.
"""

from gate.programs.quick.agreement import ANSWERED
from gate.programs.quick.choose import TRIED, Quick, choose
from gate.programs.quick.forms import Choice, told

__all__ = ["ANSWERED", "TRIED", "Choice", "Quick", "choose", "told"]
