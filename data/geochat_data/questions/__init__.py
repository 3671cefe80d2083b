"""Grounded conversations made from labelled images, in the published GeoChat wording."""

from geochat_data.questions.builder import DEFAULT_SHARES, build_conversation
from geochat_data.questions.conversation import Conversation, Turn
from geochat_data.questions.expressions import Expression, expressions
from geochat_data.questions.subject import Subject

__all__ = [
    "DEFAULT_SHARES",
    "Conversation",
    "Expression",
    "Subject",
    "Turn",
    "build_conversation",
    "expressions",
]
