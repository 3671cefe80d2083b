"""The façade: an image and a question in, a grounded answer out."""

from geochat.assistant.answer import Answer
from geochat.assistant.conversation import AnswerStream, Conversation
from geochat.assistant.question import AskOptions, Question, QuestionOptions, ViewOptions
from geochat.assistant.region_input import RegionFrame, RegionLike
from geochat.assistant.regions import asked_region
from geochat.exports import GroundedRegion

__all__ = [
    "Answer",
    "AnswerStream",
    "AskOptions",
    "Conversation",
    "GroundedRegion",
    "Question",
    "QuestionOptions",
    "RegionFrame",
    "RegionLike",
    "ViewOptions",
    "asked_region",
]
