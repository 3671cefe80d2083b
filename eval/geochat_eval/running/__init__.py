"""One loop for every benchmark: questions planned once, answers journalled as they come, merged when all are there.

`running.classifying` is not among these names: it needs torch, which answering from a file does not.
"""

from geochat_eval.running.answerers import Answerer, Asked, ChatAnswerer, FileAnswerer, Reply
from geochat_eval.running.canned import CannedAnswerer
from geochat_eval.running.folder import RunFolder
from geochat_eval.running.loop import Progress, Run, RunSettings

__all__ = [
    "Answerer",
    "Asked",
    "CannedAnswerer",
    "ChatAnswerer",
    "FileAnswerer",
    "Progress",
    "Reply",
    "Run",
    "RunFolder",
    "RunSettings",
]
