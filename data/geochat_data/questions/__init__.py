"""Grounded conversations made from labelled images, in the published GeoChat wording."""

from geochat_data.questions.about_image import tidy
from geochat_data.questions.balance import Balance
from geochat_data.questions.builder import DEFAULT_SHARES, FULL_SHARES, build_conversation
from geochat_data.questions.colour import COLOURS, colour_of
from geochat_data.questions.conversation import Conversation, Turn
from geochat_data.questions.dialogue import build_dialogue
from geochat_data.questions.expressions import Expression, expressions
from geochat_data.questions.qualities import described
from geochat_data.questions.subject import Subject
from geochat_data.questions.wordings import Choice

__all__ = [
    "COLOURS",
    "DEFAULT_SHARES",
    "FULL_SHARES",
    "Balance",
    "Choice",
    "Conversation",
    "Expression",
    "Subject",
    "Turn",
    "build_conversation",
    "build_dialogue",
    "colour_of",
    "described",
    "expressions",
    "tidy",
]
