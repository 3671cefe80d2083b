"""What can be asked, with the wording the published model was trained on.

GeoChat switches behaviour by a task token at the head of the question (section 3.1 of the paper): none for
conversation, visual question answering and scene classification, `[grounding]` for a description with boxes,
`[refer]` for the boxes of a phrase, `[identify]` for what is in a region.
"""

from enum import StrEnum


class Task(StrEnum):
    """A kind of question; its value is the name used on the command line."""

    CHAT = "chat"
    SCENE = "scene"
    VQA = "vqa"
    CAPTION = "caption"
    IDENTIFY = "identify"
    REFER = "refer"
    GROUNDING = "grounding"

    @property
    def token(self) -> str:
        """The task token that opens the question, or the empty string."""
        return _TOKENS.get(self, "")


_TOKENS = {Task.IDENTIFY: "[identify]", Task.REFER: "[refer]", Task.GROUNDING: "[grounding]"}

DEFAULT_QUESTIONS = {
    Task.CAPTION: "Describe the image.",
    Task.GROUNDING: "Describe the image in detail with the positions of the objects.",
    Task.IDENTIFY: "What is the object present at",
}
"""The published question of each task that can be asked without words of one's own."""


def scene_question(classes: list[str]) -> str:
    """The published scene-classification question over `classes`."""
    return (
        f"Classify the image within one of the given classes: {', '.join(classes)}. "
        "Answer with one word or short phrase."
    )


def vqa_question(question: str) -> str:
    """The published short-answer question."""
    return f"{question}\nAnswer the question using a single word or phrase."


def refer_question(phrase: str) -> str:
    """The published question for the boxes of a referring expression, without its task token."""
    return f"Give me the location of <p> {phrase} </p>"


def task_of(question: str) -> Task | None:
    """The task whose token opens `question`, if any."""
    opening = question.lstrip()
    return next((task for task, token in _TOKENS.items() if opening.startswith(token)), None)
