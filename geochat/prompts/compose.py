"""From what a person asks to the text the model reads."""

from collections.abc import Sequence

from geochat.errors import PromptError
from geochat.prompts.tasks import (
    DEFAULT_QUESTIONS,
    Task,
    refer_question,
    scene_question,
    task_of,
    vqa_question,
)
from geochat.regions import AngleConvention, OrientedBox, format_box

_DEFAULT_CONVENTION = AngleConvention()


def compose(
    question: str,
    task: Task | None = None,
    boxes: Sequence[OrientedBox] = (),
    convention: AngleConvention = _DEFAULT_CONVENTION,
) -> str:
    """Write the user's text for a question, in the published wording of its task.

    Args:
        question: What is asked. May already open with a task token. For `Task.REFER` it is the referring
            expression, for `Task.SCENE` the classes separated by commas; for `Task.CAPTION`, `Task.GROUNDING` and
            `Task.IDENTIFY` it may be empty, which asks the published question. Full questions in the published
            wording pass unchanged.
        task: None takes the task from the question's token; a question with a region and no token becomes
            `[identify]`, because that is the token that makes the model look at a region.
        boxes: The regions asked about, in the model's frame (percent). They follow the question's words.
        convention: How the checkpoint writes angles.

    Raises:
        PromptError: The question is empty where words are needed, opens with another task's token, or the task
            needs a region and none is given.
    """
    question = question.strip()
    opened_with = task_of(question)
    if task is None:
        task = opened_with or (Task.IDENTIFY if boxes else Task.CHAT)
    elif opened_with not in (None, task):
        raise PromptError(
            f"the question opens with {opened_with.token} but the task is {task.value!r}; drop one of the two"
        )
    words = question.removeprefix(task.token).strip() if task.token else question
    if not words or opened_with is None:
        words = _worded(words, task)
    text = f"{task.token} {words}".strip()
    if boxes:
        text = f"{text} {' '.join(format_box(box, convention) for box in boxes)}"
    elif task is Task.IDENTIFY and "{" not in text:
        raise PromptError("the task 'identify' asks about a region and none was given; give one")
    return text


def _worded(words: str, task: Task) -> str:
    if not words:
        if task not in DEFAULT_QUESTIONS:
            raise PromptError(f"the question is empty; the task {task.value!r} needs words")
        return DEFAULT_QUESTIONS[task]
    if task is Task.REFER and "<p>" not in words:
        return refer_question(words)
    if task is Task.VQA and "Answer the question using" not in words:
        return vqa_question(words)
    if task is Task.SCENE and not words.startswith("Classify the image"):
        return scene_question([name.strip() for name in words.split(",") if name.strip()])
    return words
