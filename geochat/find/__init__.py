"""Whole scenes, window by window: things found once each, windows described, objects counted.

A scene is cut into overlapping windows (`windows`), each is asked about (`asking`) and recorded in a job (`job`) that
a kill does not lose and that several processes may share, and what was boxed in several windows is made one (`merging`).
"""

from geochat.find.asking import JobOptions, Progress
from geochat.find.finding import FindOptions, Finding
from geochat.find.looking import Look, LookOptions
from geochat.find.merging import Merger
from geochat.find.objects import FoundObject
from geochat.find.windows import Grid, WindowPlan, plan_windows

__all__ = [
    "FindOptions",
    "Finding",
    "FoundObject",
    "Grid",
    "JobOptions",
    "Look",
    "LookOptions",
    "Merger",
    "Progress",
    "WindowPlan",
    "plan_windows",
]
