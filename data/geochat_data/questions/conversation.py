"""What question builders make: turns about one image."""

from dataclasses import dataclass

from geochat.prompts import Task
from geochat_data.records import LabelledImage


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer.

    Attributes:
        question: The user's text as the model reads it, task token and regions included.
        answer: The text the model should give.
        task: The kind of question.
    """

    question: str
    answer: str
    task: Task


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns about one image, none of which depends on another."""

    image: LabelledImage
    turns: tuple[Turn, ...]
