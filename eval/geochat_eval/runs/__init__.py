"""Runs of benchmarks: questions written once, answers journalled as they come, merged when all are there.

`runs.classifier` is not among these names: it needs torch, which answering from a file does not.
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
