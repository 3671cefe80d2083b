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
        task: The kind of question, as the prompt knows it.
        kind: The builder that made it: "presence", "count", ...
        about: What is asked about, whatever the wording: a category, a phrase, a box.
        grounded: Whether the answer to a referring question holds boxes, and does not say that there is none.
    """

    question: str
    answer: str
    task: Task
    kind: str = ""
    about: str = ""
    grounded: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns about one image.

    Attributes:
        image: What they are about.
        turns: The turns, in order.
        dependent: Whether later turns need the earlier ones; if not, any of them may be left out or asked alone.
    """

    image: LabelledImage
    turns: tuple[Turn, ...]
    dependent: bool = False
