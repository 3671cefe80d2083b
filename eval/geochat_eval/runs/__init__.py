"""Runs of benchmarks: questions are written once, answers appended to journals, and merged when complete.

`runs.classifier` is not imported here, because it needs torch, which answering from a file does not.
"""

from geochat_eval.runs.folder import EvaluationFolder
from geochat_eval.runs.majority_caption import MajorityCaptionPredictor
from geochat_eval.runs.predictors import ChatPredictor, FilePredictor, Prediction, Predictor, Query
from geochat_eval.runs.questions import NoQuestionsError
from geochat_eval.runs.run import Run, RunProgress
from geochat_eval.runs.settings import RunSettings

__all__ = [
    "ChatPredictor",
    "EvaluationFolder",
    "FilePredictor",
    "MajorityCaptionPredictor",
    "NoQuestionsError",
    "Prediction",
    "Predictor",
    "Query",
    "Run",
    "RunProgress",
    "RunSettings",
]
