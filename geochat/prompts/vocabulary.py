"""Vocabulary of a checkpoint that knows only trained wordings, and the outcome of recognition."""

from dataclasses import dataclass

from geochat.prompts.intents import Kind
from geochat.prompts.phrases import plural
from geochat.prompts.tasks import Task


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Vocabulary of a checkpoint.

    Attributes:
        categories: The objects it finds and counts, singular.
        scene_classes: The kinds of place it tells apart.
        tasks: What it was trained for; empty stands for every task.
        colours: The colours it tells objects apart by.
    """

    categories: tuple[str, ...]
    scene_classes: tuple[str, ...]
    tasks: tuple[Task, ...] = ()
    colours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recognised:
    """A question that was understood.

    Attributes:
        task: What is asked for.
        words: The question for `compose(words, task, boxes)`; empty asks the published question of the task.
        choices: The possible right answers where they are known: yes and no, the classes as they were offered. For
            `Task.SCENE` the i-th of `words` is the trained name of the i-th choice.
        note: How the question was understood, for the user; empty where it was asked in these words.
        kind: The kind of question; empty for one that passes as it is.
        category: The kind of object it is about, or empty.
    """

    task: Task
    words: str
    choices: tuple[str, ...] = ()
    note: str = ""
    kind: Kind | None = None
    category: str = ""


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """A question the checkpoint cannot answer.

    Attributes:
        answer: One sentence: what it does not know, where that is why, and what it can do.
    """

    answer: str


def abilities(vocabulary: Vocabulary) -> str:
    """Abilities of a checkpoint as a clause: "I find and count airplanes and ships, and describe the image"."""
    tasks = vocabulary.tasks or tuple(Task)
    nouns = _listed([plural(name) for name in vocabulary.categories])
    verbs = [verb for task, verb in ((Task.REFER, "find"), (Task.VQA, "count and compare")) if task in tasks]
    parts = [f"{', '.join(verbs) if len(verbs) < 2 else 'find, count and compare'} {nouns}"] if verbs and nouns else []
    if Task.SCENE in tasks and vocabulary.scene_classes:
        parts.append("name the kind of place")
    if {Task.CAPTION, Task.GROUNDING} & set(tasks):
        parts.append("describe the image")
    if Task.IDENTIFY in tasks:
        parts.append("name the object in a marked region")
    return f"I {_listed(parts, comma=True)}" if parts else "I answer the questions of my training only"


def _listed(parts: list[str], *, comma: bool = False) -> str:
    joint = ", and " if comma else " and "
    return joint.join(part for part in (", ".join(parts[:-1]), parts[-1] if parts else "") if part)
