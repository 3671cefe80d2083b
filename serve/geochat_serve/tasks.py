"""What can be asked for on the page, and how the question box is to be filled in for it."""

from dataclasses import dataclass

from geochat.checkpoints import Settings
from geochat.errors import PromptError
from geochat.prompts import Task


@dataclass(frozen=True, slots=True)
class Choice:
    """One task of the page.

    Attributes:
        task: What it is called in prompts; None goes by the question's token and regions.
        hint: One line on what it does and what to type.
        placeholder: What the question box says while it is empty.
    """

    task: Task | None
    hint: str
    placeholder: str


CHOICES = {
    "Auto": Choice(None, "Ask freely. With a region drawn, it is about what is in the region.", "Ask about the image"),
    "Describe": Choice(Task.CAPTION, "One or two sentences about the whole view. No words needed.", "Just press Ask"),
    "Grounded description": Choice(
        Task.GROUNDING, "A description whose phrases carry boxes. No words needed.", "Just press Ask"
    ),
    "Find": Choice(Task.REFER, "Boxes around what you name.", "the largest storage tank"),
    "Identify region": Choice(
        Task.IDENTIFY, "Says what is in the region you drew (R draws one). No words needed.", "Just press Ask"
    ),
    "Classify": Choice(
        Task.SCENE, "Picks one of the classes you list; with none, of those the model knows.", "airport, harbor, forest"
    ),
    "Question": Choice(Task.VQA, "A short answer: yes or no, a number, a word.", "How many airplanes are there?"),
}


def words_for(name: str, question: str, settings: Settings) -> str:
    """The question to compose a prompt from.

    Raises:
        PromptError: It has no words and needs some; the message says what to type.
    """
    question = question.strip()
    choice = CHOICES[name]
    if question or choice.task in (Task.CAPTION, Task.GROUNDING, Task.IDENTIFY):
        return question
    if choice.task is Task.SCENE and settings.scene_classes:
        return ", ".join(settings.scene_classes)
    raise PromptError("type a question first" if choice.task is None else f"{name} needs words: {choice.placeholder}")
