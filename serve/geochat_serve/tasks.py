"""Tasks of the page, which of them use regions, and the core's notices in the page's words."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from geochat.assistant import Conversation, Question
from geochat.assistant.notices import Notice
from geochat.errors import PromptError
from geochat.prompts import Task, read_task

_REGION_TASKS = (Task.IDENTIFY, Task.CHAT)
_CONTROLS = {  # of the page, for arguments that notices of the core name
    "(a window)": "(zoom in and tick “Visible area only”)",
    "(a search)": "(“Find in the whole scene”)",
    "with page (--page)": "under “Image and regions”",
}


@dataclass(frozen=True, slots=True)
class PageTask:
    """A task that users can choose.

    Attributes:
        task: Kind of question; None derives it from the words and the regions.
        hint: One line on what the task does and what to type.
        placeholder: Placeholder of the question box.
        needs_words: Whether the question must not be empty.
    """

    task: Task | None
    hint: str
    placeholder: str
    needs_words: bool = False


TASKS = {
    "Auto": PageTask(
        None, "Ask anything about the image. If you draw a region, ask what is in it.", "Ask about the image"
    ),
    "Describe": PageTask(Task.CAPTION, "Describes the image in one or two sentences. No text needed.", "Press Ask"),
    "Grounded description": PageTask(
        Task.GROUNDING, "Describes the image and marks what it mentions with boxes. No text needed.", "Press Ask"
    ),
    "Find": PageTask(Task.REFER, "Marks what you name with boxes.", "the largest storage tank", needs_words=True),
    "Identify region": PageTask(Task.IDENTIFY, "Names what is in the region you drew. No text needed.", "Press Ask"),
    "Classify": PageTask(
        Task.SCENE,
        "Picks one of the classes you list, or one of the model's own if you list none.",
        "airport, harbor, forest",
    ),
    "Question": PageTask(
        Task.VQA,
        "Answers in short: yes or no, a number, a word.",
        "How many airplanes are there?",
        needs_words=True,
    ),
}


def require_words(name: str, question: str) -> None:
    """Check that a question has words if its task needs some; the core checks the rest.

    Raises:
        PromptError: It has none.
    """
    if TASKS[name].needs_words and not question.strip():
        raise PromptError(f"{name} needs words, such as “{TASKS[name].placeholder}”")


def drop_unused_regions(conversation: Conversation, question: Question) -> tuple[Question, tuple[Notice, ...]]:
    """Drop the regions of a question whose task looks at the whole view: the model would take them for nonsense.

    Returns:
        The question to ask; and the notices known before it is answered.

    Raises:
        GeoChatError: The question cannot be asked.
    """
    task, dropped = read_task(question.task), False
    if question.regions and task is not None and task not in _REGION_TASKS:
        question, dropped = replace(question, regions=()), True
    prepared = conversation.prepare(question)
    task = prepared.interpretation.task
    if question.regions and task not in _REGION_TASKS:
        question, dropped = replace(question, regions=()), True
        prepared = conversation.prepare(question)
    if not dropped:
        return question, prepared.notices
    text = f"The region was not used: the task {task.value!r} looks at the whole view. To ask about it, use 'identify'."
    return question, (Notice("region-not-used", text), *prepared.notices)


def beside(notices: Sequence[Notice], given: Sequence[Notice]) -> list[dict[str, Any]]:
    """Return the notices that are not among those given with an answer, as the API shows them."""
    return [asdict(notice) for notice in notices if notice not in given]


def _with_controls(text: str) -> str:
    for argument, control in _CONTROLS.items():
        text = text.replace(argument, control)
    return text


_PAGE_TEXTS: dict[str, Callable[[str], str]] = {
    "region-not-used": lambda _text: (
        "Your region was not used: this task looks at the whole view. To ask about it, choose “Identify region”;"
        " to search a part of the image, zoom in and tick “Visible area only”."
    ),
    "cut-off": lambda text: f"{text.split(';')[0].rstrip('.')}.",
    "cancelled": lambda _text: "Stopped; what was written stays in the conversation.",
}


def notice_for_page(notice: Notice) -> dict[str, str]:
    """Return code and text of a notice; where the text names a Python argument, it names the page's control instead."""
    return {"code": notice.code, "text": _PAGE_TEXTS.get(notice.code, _with_controls)(notice.text)}
