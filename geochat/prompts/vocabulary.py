"""Vocabulary of a checkpoint with fixed wordings, the classes that a question offers, and recognition results.

"Airport, harbor or forest?" offers three classes. A checkpoint that knows the first as "airplane" is asked for that.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from geochat.prompts.intents import Kind
from geochat.prompts.phrases import match_choice, normalise, plural
from geochat.prompts.tasks import Task

_CLASSIFYING = re.compile(
    r"\b(?:class|categor|option|which|choose|pick|select|kind|type|label|following|decide|these|one of|scene|place)",
    re.IGNORECASE,
)
_IS_THIS = re.compile(
    r"^\W*(?:is|are|does)\s+(?:this|it|that|the\s+(?:image|scene|picture|photo|place|area))\s+"
    r"(?:(?:image|scene|picture|photo|place|area|show|showing|of|more\s+like|rather|either)\s+)*(?P<list>[^?:]+)",
    re.IGNORECASE,
)
_AMONG = re.compile(
    r"^\W*(?:please\s+|can\s+you\s+)?(?:choose|pick|select|decide|classify|label|categori[sz]e)\b[^,?:]{0,60}?"
    r"\b(?:between|from|among|amongst|as|into|one\s+of)\s+(?:one\s+of\s+)?(?P<list>[^?:]+)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[,;?\n]|\.(?:\s|$)|\b(?:or|vs|versus)\b", re.IGNORECASE)
_END = re.compile(r"\?|\.(?:\s|$)")
_AROUND = re.compile(r"^(?:[\s'\"()\[\]._!]|(?:and|either|the|an?)\s)+|[\s'\"()\[\]._!]+$", re.IGNORECASE)
_WORDS = 4  # of a class's name, at most, where a question does not say that it lists classes


def offered_classes(text: str, known: Sequence[str], *, chosen: bool = False, bare: bool = False) -> tuple[str, ...]:
    """Return the classes that a question offers, as written; empty if it offers none.

    Args:
        text: The question.
        known: The classes of the checkpoint.
        chosen: Whether the user asked for a scene class, so that a list or a name alone is enough.
        bare: Whether a list alone is enough if half of it is known.
    """
    head, colon, tail = text.partition(":")
    if colon and _CLASSIFYING.search(head[:200]):
        items = _items(_END.split(tail, maxsplit=1)[0], known)
        return items if len(items) > 1 else ()
    for pattern in (_IS_THIS, _AMONG):
        if found := pattern.match(text):
            items = _items(_END.split(found["list"], maxsplit=1)[0], known)
            return items if len(items) > 1 and _short(items) else ()
    items = _items(text, known)
    if chosen:
        return items if len(items) > 1 or (_short(items) and "?" not in text) else ()
    if not (bare and len(items) > 1 and _short(items)):
        return ()
    return items if 2 * sum(match_choice(item, known) is not None for item in items) >= len(items) else ()


def trained_names(offered: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the trained names of offered classes; their own if there is none, or two would share one."""
    names = [match_choice(name, known) or name for name in offered]
    taken = Counter(names) + Counter(offered) - Counter(o for o, n in zip(offered, names, strict=True) if o == n)
    return tuple(ours if taken[ours] == 1 else theirs for ours, theirs in zip(names, offered, strict=True))


def _items(text: str, known: Sequence[str]) -> tuple[str, ...]:
    parts = [part for part in _BETWEEN.split(text) if part.strip()]
    if len(parts) > 1 and " and " in parts[-1] and not match_choice(parts[-1], known):
        parts[-1:] = parts[-1].rsplit(" and ", 1)
    cleaned = (_AROUND.sub("", part.replace(":", " ").strip()) for part in parts)
    return tuple(dict.fromkeys(item for item in cleaned if normalise(item)))


def _short(items: Sequence[str]) -> bool:
    return bool(items) and all(len(item.split()) <= _WORDS for item in items)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Vocabulary of a checkpoint.

    Attributes:
        categories: The objects it finds and counts, singular.
        scene_classes: The scene classes that it distinguishes.
        tasks: Tasks it was trained for; empty means all.
        colours: The colours by which it distinguishes objects.
    """

    categories: tuple[str, ...]
    scene_classes: tuple[str, ...]
    tasks: tuple[Task, ...] = ()
    colours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recognised:
    """A recognised question.

    Attributes:
        task: Kind of question.
        words: The question for `compose(words, task, boxes)`; empty asks the published question of the task.
        choices: The possible right answers where they are known: yes and no, the classes as they were offered. For
            `Task.SCENE` the i-th of `words` is the trained name of the i-th choice.
        note: Note on the interpretation for the user; empty if the question was not reworded.
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
    """Describe a checkpoint's abilities as a clause: "I find and count airplanes and ships, and describe the image"."""
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
