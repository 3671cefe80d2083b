"""One loop for every benchmark: questions planned once, answers journalled as they come, merged when all are there."""

from geochat_eval.running.answerers import Answerer, Asked, ChatAnswerer, FileAnswerer, Reply
from geochat_eval.running.canned import CannedAnswerer
from geochat_eval.running.classifying import ClassifierAnswerer
from geochat_eval.running.folder import RunFolder
from geochat_eval.running.loop import Progress, Run, RunSettings

__all__ = [
    "Answerer",
    "Asked",
    "CannedAnswerer",
    "ChatAnswerer",
    "ClassifierAnswerer",
    "FileAnswerer",
    "Progress",
    "Reply",
    "Run",
    "RunFolder",
    "RunSettings",
]
