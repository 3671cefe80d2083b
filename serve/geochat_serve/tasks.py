"""What can be asked for on the page, and how the question box is to be filled in for it."""

from dataclasses import dataclass

from geochat.errors import PromptError
from geochat.prompts import Task


@dataclass(frozen=True, slots=True)
class Choice:
    """One task of the page.

    Attributes:
        task: The kind of question; None goes by its words and regions.
        hint: One line on what it does and what to type.
        placeholder: What the question box says while it is empty.
        needs_words: Whether it cannot be asked with an empty question box.
    """

    task: Task | None
    hint: str
    placeholder: str
    needs_words: bool = False


CHOICES = {
    "Auto": Choice(None, "Ask freely. With a region drawn, it is about what is in the region.", "Ask about the image"),
    "Describe": Choice(Task.CAPTION, "One or two sentences about the whole view. No words needed.", "Just press Ask"),
    "Grounded description": Choice(
        Task.GROUNDING, "A description whose phrases carry boxes. No words needed.", "Just press Ask"
    ),
    "Find": Choice(Task.REFER, "Boxes around what you name.", "the largest storage tank", needs_words=True),
    "Identify region": Choice(
        Task.IDENTIFY, "Says what is in the region you drew (R draws one). No words needed.", "Just press Ask"
    ),
    "Classify": Choice(
        Task.SCENE, "Picks one of the classes you list; with none, of those the model knows.", "airport, harbor, forest"
    ),
    "Question": Choice(
        Task.VQA, "A short answer: yes or no, a number, a word.", "How many airplanes are there?", needs_words=True
    ),
}


def require_words(name: str, question: str) -> None:
    """Refuse an empty question box where the task needs words; the core refuses the rest.

    Raises:
        PromptError: The message says, in the page's names, what to type.
    """
    if CHOICES[name].needs_words and not question.strip():
        raise PromptError(f"{name} needs words, such as “{CHOICES[name].placeholder}”")
