"""Whole scenes, window by window: finding objects once each, describing windows, counting objects.

A scene is divided into overlapping windows (`windows`). Questions about each window are asked (`asking`) and recorded
in a job (`job`), which survives a kill and can be shared by several processes. Boxes of the same object from several
windows are merged (`merging`).
"""

from geochat.find.asking import JobOptions, Progress
from geochat.find.candidates import Candidate
from geochat.find.counting import CellCounts
from geochat.find.finding import Finding, FindOptions
from geochat.find.looking import Look, LookOptions
from geochat.find.merging import Merger
from geochat.find.objects import FoundObject
from geochat.find.proposals import ProposalOptions, Proposals
from geochat.find.survey import Survey, SurveyOptions, WindowAnswers, survey_questions
from geochat.find.windows import Grid, WindowPlan, plan_windows

__all__ = [
    "Candidate",
    "CellCounts",
    "FindOptions",
    "Finding",
    "FoundObject",
    "Grid",
    "JobOptions",
    "Look",
    "LookOptions",
    "Merger",
    "Progress",
    "ProposalOptions",
    "Proposals",
    "Survey",
    "SurveyOptions",
    "WindowAnswers",
    "WindowPlan",
    "plan_windows",
    "survey_questions",
]
