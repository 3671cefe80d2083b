"""Questions and answers built from labelled images, in the published GeoChat wording and others.

`builders` has a function for each kind of question, `expressions` the referring expressions, `conversations` the
choice of questions about an image, `wordings` their texts.
"""

from geochat_data.questions.builders import clean_caption
from geochat_data.questions.colour import COLOURS, colour_of
from geochat_data.questions.conversations import (
    DEFAULT_SHARES,
    FULL_SHARES,
    AnswerBalance,
    build_conversation,
    build_dialogue,
)
from geochat_data.questions.expressions import Expression, attribute_expressions, expressions
from geochat_data.questions.subject import QAPair, Subject
from geochat_data.questions.wordings import WordingPool

__all__ = [
    "COLOURS",
    "DEFAULT_SHARES",
    "FULL_SHARES",
    "AnswerBalance",
    "Expression",
    "QAPair",
    "Subject",
    "WordingPool",
    "attribute_expressions",
    "build_conversation",
    "build_dialogue",
    "clean_caption",
    "colour_of",
    "expressions",
]
