"""Whole scenes, window by window: things found once each, windows described, objects counted.

A scene is cut into overlapping windows (`windows`). Each is asked about (`asking`) and recorded in a job (`job`), which
a kill does not lose and several processes may share. What was boxed in several windows is made one (`merging`).
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
