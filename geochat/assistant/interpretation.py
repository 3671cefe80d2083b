"""Translation of a user's question into the question sent to the model.

If a checkpoint's settings say that it understands only its training wordings, the question is recognised and converted
to one of these; questions outside its scope are answered here in one sentence, without running the model. Other
checkpoints receive the user's words, and so does this one if the question is `raw`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from geochat.assistant.question import Question
from geochat.errors import PromptError
from geochat.geometry import OrientedBox
from geochat.models import ModelInfo
from geochat.prompts import Task, read_task
from geochat.prompts.intents import Kind
from geochat.prompts.phrases import aliases_of, normalise
from geochat.prompts.recognition import recognise
from geochat.prompts.vocabulary import OutOfScope, Recognised, Vocabulary


@dataclass(frozen=True, slots=True)
class Interpretation:
    """A question in the form that is sent to the model.

    Attributes:
        task: The kind of question.
        prompt: Text that the model reads, with task token and regions; the question itself if `reply` answers it.
        phrase: Phrase to locate, for `Task.REFER`.
        choices: The answers offered, as the user named them; empty for a free answer.
        aliases: The names by which the model knows each of `choices`.
        ordered: Whether the choices are numbers in order, of which the median of the probabilities is the answer.
        note: Note on the interpretation, if the question was reworded.
        reply: The answer to a question outside the model's scope; None for a question the model is asked.
        recognised: Recognition result that a follow-up refers to.
    """

    task: Task
    prompt: str
    phrase: str | None = None
    choices: tuple[str, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ordered: bool = False
    note: str = ""
    reply: str | None = None
    recognised: Recognised | None = None

    @property
    def scored(self) -> tuple[str, ...]:
        """The answers that an engine scores, without duplicates: the model's names of the choices."""
        return tuple(dict.fromkeys(name for choice in self.choices for name in self.aliases.get(choice, (choice,))))


def interpret(
    question: Question, boxes: Sequence[OrientedBox], info: ModelInfo, previous: Recognised | None = None
) -> Interpretation:
    """Determine the question that is sent to the model.

    Args:
        question: The user's question.
        boxes: The regions it is about, in the model's numbers.
        info: The model.
        previous: Recognition result of the previous question.

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
    """Return the question's words; for a scene question without any, the classes to choose from."""
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
    ordered = not choices and found.kind is Kind.COUNT and settings.counts is not None and info.capabilities.choices
    if ordered and settings.counts is not None:
        choices = tuple(map(str, range(settings.counts + 1)))
    known = settings.scene_classes if found.task is Task.SCENE else settings.categories
    aliases = {} if ordered else _aliases(choices, known)
    words = found.words
    if found.task is Task.SCENE and choices:
        words = ", ".join(dict.fromkeys(name for choice in choices for name in aliases[choice]))
    elif found.task is Task.IDENTIFY and not boxes and not info.dialect.parse(text).regions:
        raise PromptError("the task 'identify' asks about a region and none was given; give one")
    prompt = info.dialect.compose(words, found.task, boxes)
    told = found.note or f'asked as "{" ".join(prompt.split())}"'
    note = told if text and normalise(prompt) != normalise(info.dialect.compose(text, task, boxes)) else ""
    phrase = found.words if found.task is Task.REFER else None
    return Interpretation(found.task, prompt, phrase, choices, aliases, ordered, note, recognised=found)


def _aliases(choices: Sequence[str], known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the model's names of each choice; a name that is itself offered stands only for that choice."""
    own = {choice: aliases_of(choice, known) for choice in choices}
    exact = {name for choice, names in own.items() for name in names if name == choice}
    return {
        choice: tuple(name for name in names if name == choice or name not in exact) or (choice,)
        for choice, names in own.items()
    }


def _classes(text: str, task: Task) -> tuple[str, ...]:
    """Return the classes of a scene question of the form "a, b, c"; empty for other questions."""
    if task is not Task.SCENE or "classes:" in text.lower():
        return ()
    return tuple(name.strip() for name in text.replace("\n", ",").split(",") if name.strip())


def _phrase(text: str, task: Task) -> str | None:
    """Return the bare referring expression; None if it is part of a sentence."""
    return text if task is Task.REFER and text and not text.startswith("[") and "<p>" not in text else None
