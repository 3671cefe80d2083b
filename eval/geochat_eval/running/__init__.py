"""One loop for every benchmark: questions planned once, answers journalled as they come, merged when all are there.

`running.classifying` is not among these names: it needs torch, which answering from a file does not.
"""

from geochat_eval.running.answerers import Answerer, Asked, ChatAnswerer, FileAnswerer, Reply
from geochat_eval.running.canned import CannedAnswerer
from geochat_eval.running.folder import RunFolder
from geochat_eval.running.loop import Progress, Run
from geochat_eval.running.plan import NoQuestionsError
from geochat_eval.running.settings import RunSettings

__all__ = [
    "Answerer",
    "Asked",
    "CannedAnswerer",
    "ChatAnswerer",
    "FileAnswerer",
    "NoQuestionsError",
    "Progress",
    "Reply",
    "Run",
    "RunFolder",
    "RunSettings",
]
