"""From what a person asks to what a model is asked.

Where a checkpoint's settings say that it understands only the wordings it was trained on, the question is recognised
and put into these; what is outside its scope is answered here, in one sentence, without asking it. Any other checkpoint
is asked in the user's words, and so is this one where the question is `raw`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from geochat.assistant.question import Question
from geochat.errors import PromptError
from geochat.geometry import OrientedBox
from geochat.models import ModelInfo
from geochat.prompts import Task, read_task
from geochat.prompts.phrases import aliases_of, normalise
from geochat.prompts.recognition import recognise
from geochat.prompts.vocabulary import OutOfScope, Recognised, Vocabulary


@dataclass(frozen=True, slots=True)
class Interpretation:
    """A question as a model is asked it.

    Attributes:
        task: The kind of question.
        prompt: What the model reads, task token and regions included; the question itself where `reply` answers it.
        phrase: What is to be found, for `Task.REFER`.
        choices: The answers offered, as the user named them; empty for a free answer.
        aliases: The names by which the model knows each of `choices`.
        note: How the question was understood, where it was put in other words.
        reply: The answer to a question outside the model's scope; None for a question the model is asked.
        recognised: What a follow-up leans on.
    """

    task: Task
    prompt: str
    phrase: str | None = None
    choices: tuple[str, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""
    reply: str | None = None
    recognised: Recognised | None = None

    @property
    def scored(self) -> tuple[str, ...]:
        """The answers an engine is to score, each once: the names by which the model knows the choices."""
        return tuple(dict.fromkeys(name for choice in self.choices for name in self.aliases.get(choice, (choice,))))


def interpret(
    question: Question, boxes: Sequence[OrientedBox], info: ModelInfo, previous: Recognised | None = None
) -> Interpretation:
    """Work out what a model is asked.

    Args:
        question: What a person asks.
        boxes: The regions it is about, in the model's numbers.
        info: The model.
        previous: What the question before this one was recognised as.

    Raises:
        PromptError: The question is empty where words are needed, contradicts its task, or offers fewer than two
            different answers.
    """
    task, text = read_task(question.task), _words(question, info)
    if question.choices and len(set(question.choices)) < 2:
        raise PromptError(f"choices {tuple(question.choices)} leave nothing to choose; give two or more")
    if info.settings.trained_wordings and not question.raw:
        return _recognised(question, text, task, boxes, info=info, previous=previous)
    dialect = info.dialect
    task = task or dialect.task_of(text) or (Task.IDENTIFY if boxes and not question.raw else Task.CHAT)
    choices = tuple(question.choices) or (() if question.raw else _classes(text, task))
    return Interpretation(task, dialect.compose(text, task, boxes), _phrase(text, task), tuple(dict.fromkeys(choices)))


def _words(question: Question, info: ModelInfo) -> str:
    """The question's words; the classes to choose from where a scene question has none."""
    text = question.text.strip()
    if text or question.task is not Task.SCENE:
        return text
    return ", ".join(question.choices or info.settings.scene_classes)


def _recognised(
    question: Question,
    text: str,
    task: Task | None,
    boxes: Sequence[OrientedBox],
    *,
    info: ModelInfo,
    previous: Recognised | None,
) -> Interpretation:
    settings = info.settings
    vocabulary = Vocabulary(settings.categories, settings.scene_classes, settings.tasks)
    if text or task is None:
        found = recognise(text, vocabulary, has_regions=bool(boxes), task=task, previous=previous)
    else:
        found = Recognised(task, "")
    if question.choices and task is None and isinstance(found, Recognised) and found.task in (Task.CAPTION, Task.CHAT):
        found = Recognised(Task.SCENE, "")  # what is seen, in one of these words
    if isinstance(found, OutOfScope):
        if not text:
            raise PromptError("the question is empty; type one")
        return Interpretation(task or Task.CHAT, text, reply=found.answer)
    choices = tuple(dict.fromkeys(question.choices or found.choices))
    known = settings.scene_classes if found.task is Task.SCENE else settings.categories
    aliases = _aliases(choices, known)
    words = found.words
    if found.task is Task.SCENE and choices:
        words = ", ".join(dict.fromkeys(name for choice in choices for name in aliases[choice]))
    elif found.task is Task.IDENTIFY and not boxes and not info.dialect.parse(text).regions:
        raise PromptError("the task 'identify' asks about a region and none was given; give one")
    prompt = info.dialect.compose(words, found.task, boxes)
    told = found.note or f'asked as "{" ".join(prompt.split())}"'
    note = told if text and normalise(prompt) != normalise(info.dialect.compose(text, task, boxes)) else ""
    phrase = found.words if found.task is Task.REFER else None
    return Interpretation(found.task, prompt, phrase, choices, aliases, note, recognised=found)


def _aliases(choices: Sequence[str], known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The names by which the model knows each choice; one that is offered itself stands for that offer alone."""
    own = {choice: aliases_of(choice, known) for choice in choices}
    exact = {name for choice, names in own.items() for name in names if name == choice}
    return {
        choice: tuple(name for name in names if name == choice or name not in exact) or (choice,)
        for choice, names in own.items()
    }


def _classes(text: str, task: Task) -> tuple[str, ...]:
    """The classes a scene question offers in the form "a, b, c"; none where it is a sentence of its own."""
    if task is not Task.SCENE or "classes:" in text.lower():
        return ()
    return tuple(name.strip() for name in text.replace("\n", ",").split(",") if name.strip())


def _phrase(text: str, task: Task) -> str | None:
    """The bare referring expression; None where it stands in a sentence."""
    return text if task is Task.REFER and text and not text.startswith("[") and "<p>" not in text else None
