"""The kinds of question. Their wording is part of a model's dialect (`geochat.dialects`).

GeoChat switches behaviour by a task token at the head of the question (section 3.1 of the paper): none for
conversation, visual question answering and scene classification, `[grounding]` for a description with boxes,
`[refer]` for the boxes of a phrase, `[identify]` for what is in a region.
"""

from enum import StrEnum

from geochat.errors import PromptError


class Task(StrEnum):
    """A kind of question; its value is the name used on the command line."""

    CHAT = "chat"
    SCENE = "scene"
    VQA = "vqa"
    CAPTION = "caption"
    IDENTIFY = "identify"
    REFER = "refer"
    GROUNDING = "grounding"


TASK_NAMES: dict[str, Task | None] = {"auto": None, "describe": Task.CAPTION, **{task.value: task for task in Task}}
"""The names people give tasks by; "auto" goes by the question."""


def read_task(task: Task | str | None) -> Task | None:
    """Return the task of a name in `TASK_NAMES`; tasks and None are returned unchanged.

    Raises:
        PromptError: There is none of that name.
    """
    if task is None or isinstance(task, Task):
        return task
    name = str(task).strip().lower()
    if name not in TASK_NAMES:
        raise PromptError(f"there is no task {task!r}; choose from {', '.join(TASK_NAMES)}")
    return TASK_NAMES[name]
